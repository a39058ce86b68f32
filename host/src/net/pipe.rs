//! What a fan-out thread reads from a lent socket, on its way to the session.
//!
//! Bounded, and without memory while the peer is silent, as nearly every viewer is.

use std::io;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// What waits in a pipe at most; then the thread stops reading and the peer's window fills. Replies and pings of a viewer
/// take some hundred bytes.
pub const PIPE_BYTES_MAX: usize = 8 * 1024;

/// One writer, one reader.
#[derive(Debug, Default)]
pub struct Pipe {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    /// How many of `bytes` were read.
    taken: usize,
    end: Option<End>,
    /// The writer was refused and wants to hear when there is room.
    full: bool,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Eof,
    Error(io::ErrorKind),
}

/// What a read gave, and whether the writer waits for room.
pub(super) struct Taken {
    pub(super) result: io::Result<usize>,
    pub(super) has_room_again: bool,
}

impl Pipe {
    /// How many bytes [`Pipe::push`] would take. At 0 the writer stops until the reader has taken something.
    pub fn room(&self) -> usize {
        let mut inner = self.inner.lock();
        let room = PIPE_BYTES_MAX - inner.waiting();
        inner.full = room == 0;
        room
    }

    /// Appends bytes; the writer has asked for [`Pipe::room`].
    pub fn push(&self, bytes: &[u8]) {
        let waker = {
            let mut inner = self.inner.lock();
            let taken = std::mem::take(&mut inner.taken);
            inner.bytes.drain(..taken);
            inner.bytes.extend_from_slice(bytes);
            inner.reader.take()
        };
        wake(waker);
    }

    /// The peer has closed its half: the reader gets what waits, then the end.
    pub fn finish(&self) {
        self.end(End::Eof);
    }

    /// The socket failed: the reader gets what waits, then the error.
    pub fn fail(&self, kind: io::ErrorKind) {
        self.end(End::Error(kind));
    }

    /// Wakes the reader, so that it looks again at the connection.
    pub(super) fn wake_reader(&self) {
        let waker = self.inner.lock().reader.take();
        wake(waker);
    }

    /// For the next loan: what waits stays, the end is forgotten.
    pub(super) fn reopen(&self) {
        let mut inner = self.inner.lock();
        inner.end = None;
        inner.full = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inner.lock().waiting() == 0
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        if inner.waiting() == 0 && !buf.is_empty() {
            let result = match inner.end {
                Some(End::Eof) => Ok(0),
                Some(End::Error(kind)) => Err(kind.into()),
                None => {
                    inner.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            return Poll::Ready(Taken { result, has_room_again: false });
        }
        let n = inner.take(buf);
        let has_room_again = n > 0 && std::mem::take(&mut inner.full);
        Poll::Ready(Taken { result: Ok(n), has_room_again })
    }

    fn end(&self, end: End) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.end.get_or_insert(end);
            inner.reader.take()
        };
        wake(waker);
    }
}

impl Inner {
    fn waiting(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn take(&mut self, buf: &mut [u8]) -> usize {
        let n = buf.len().min(self.waiting());
        buf[..n].copy_from_slice(&self.bytes[self.taken..self.taken + n]);
        self.taken += n;
        if self.waiting() == 0 {
            // The memory goes too: a viewer says something once a minute.
            self.bytes = Vec::new();
            self.taken = 0;
        }
        n
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
