//! A connection as actix sees it: a share in a [`Conn`] of the host, which can be taken out of its hands.
//!
//! What is no request is refused here, in words. The dispatcher reads up to 128 KiB of a head before it gives up, and what
//! it says by itself has no text.

use std::future::Future;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use super::activity::{Activity, IdleTimer};
use super::room::Place;
use super::{Problem, Settings};
use crate::net::{CloseReason, Conn, ConnIo};

/// What is read behind a request's head until the next one is whole, unless it is a body that somebody reads. So a head may be
/// as long as this; one that began in the same read as the end of the head before, twice as long.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Read at a time of what nobody wants.
const DISCARD_LEN: usize = 4096;

/// The I/O of one HTTP connection. Dropping it closes the connection, unless somebody has taken it.
#[derive(Debug)]
pub struct ServerIo {
    io: ConnIo,
    handle: ConnHandle,
    write_timeout: Duration,
    /// Runs while the kernel takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    idle: IdleTimer,
    head: Reading,
    /// Requests asked when all that was written had gone.
    settled: u64,
    _place: Place,
}

/// What was read behind the last head.
#[derive(Debug, Default)]
struct Reading {
    /// Heads before it.
    asked: u64,
    len: usize,
    /// The dispatcher has looked at all of it.
    is_seen: bool,
    /// To go on when the answer is out.
    is_held: bool,
}

/// Reaches the connection from a request of it (in the request's connection data).
#[derive(Clone, Debug)]
pub struct ConnHandle {
    conn: Arc<Conn>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    taken: AtomicBool,
    /// The dispatcher has bytes that the kernel did not take.
    unsent: AtomicBool,
    /// Of the dispatcher while it waits for a request.
    reader: Mutex<Option<Waker>>,
    /// Nothing more will be read.
    peer_ended: Notify,
    activity: Arc<Activity>,
}

impl ConnHandle {
    pub fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    /// Takes the connection away from HTTP. What the dispatcher writes from here on goes nowhere, what it reads is the
    /// end, and when it drops its I/O the connection stays open. `None`: it was taken before.
    pub fn take(&self) -> Option<Arc<Conn>> {
        let was_taken = self.shared.taken.swap(true, Ordering::AcqRel);
        let reader = self.shared.reader.lock().take();
        if let Some(reader) = reader {
            reader.wake();
        }
        (!was_taken).then(|| Arc::clone(&self.conn))
    }

    /// Ready once the peer has closed its half, or the connection is lost. For an answer that goes on: it would otherwise
    /// notice only when it writes.
    pub(super) async fn peer_ended(&self) {
        self.shared.peer_ended.notified().await;
    }

    /// Whether the dispatcher has bytes of an earlier answer that the kernel did not take.
    pub(super) fn has_unsent(&self) -> bool {
        self.shared.unsent.load(Ordering::Acquire)
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.shared.activity
    }

    fn is_taken(&self) -> bool {
        self.shared.taken.load(Ordering::Acquire)
    }
}

impl ServerIo {
    /// On a thread that has a timer.
    pub(super) fn new(conn: Arc<Conn>, place: Place, settings: &Settings) -> Self {
        let handle = ConnHandle { conn: Arc::clone(&conn), shared: Arc::default() };
        let idle = IdleTimer::new(Arc::clone(handle.activity()), settings);
        let write_timeout = settings.write_timeout;
        Self {
            io: conn.into_io(),
            handle,
            write_timeout,
            stalled: None,
            idle,
            head: Reading::default(),
            settled: 0,
            _place: place,
        }
    }

    pub(super) fn handle(&self) -> ConnHandle {
        self.handle.clone()
    }

    /// How much may be read now. `Pending`: nothing as yet.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let activity = self.handle.activity();
        if activity.takes_body() {
            return Poll::Ready(usize::MAX);
        }
        let asked = activity.asked();
        if asked != self.head.asked {
            self.head = Reading { asked, ..Reading::default() };
        }
        let room = HEAD_BYTES_MAX.saturating_sub(self.head.len);
        if room > 0 {
            return Poll::Ready(room);
        }
        if activity.is_answering() {
            self.head.is_held = true;
            return Poll::Pending;
        }
        if std::mem::replace(&mut self.head.is_seen, true) {
            return Poll::Ready(0);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Says that the head is too long. What the peer has sent of it is read, or closing would cut off the answer.
    fn refuse_head(&mut self, cx: &mut Context<'_>) {
        let mut bytes = [0; DISCARD_LEN];
        for _ in 0..HEAD_BYTES_MAX / DISCARD_LEN {
            if !matches!(self.io.conn().poll_read(cx, &mut bytes), Poll::Ready(Ok(1..))) {
                break;
            }
        }
        if let Some(answer) = own_words(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            && !self.handle.has_unsent()
        {
            // It is short. If the kernel does not take it, there is nothing more to be done.
            let _best_effort = Pin::new(&mut self.io).poll_write(cx, &answer);
        }
    }

    /// Gives up on a peer that takes nothing: it would hold the answer in memory for ever.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        self.handle.shared.unsent.store(written.is_pending(), Ordering::Release);
        if written.is_ready() {
            self.stalled = None;
            self.idle.restart();
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for ServerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        // Before the look at the flag: whoever takes the connection later finds the waker.
        *self.handle.shared.reader.lock() = Some(cx.waker().clone());
        if self.handle.is_taken() {
            return Poll::Ready(Ok(()));
        }
        if self.idle.poll(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        let room = ready!(self.poll_room(cx)).min(buf.remaining());
        if room == 0 && buf.remaining() > 0 {
            self.refuse_head(cx);
            return Poll::Ready(Ok(()));
        }
        let read = self.io.conn().poll_read(cx, buf.initialize_unfilled_to(room));
        let n = ready!(read).inspect_err(|_| self.handle.shared.peer_ended.notify_one())?;
        buf.advance(n);
        self.head.len += n;
        if n == 0 && room > 0 {
            self.handle.shared.peer_ended.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ServerIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        if self.handle.is_taken() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = match own_answer(buf) {
            // Nothing was asked since the last answer: the dispatcher says what it thinks of the bytes.
            Some(answer) if self.handle.activity().asked() == self.settled => {
                let written = Pin::new(&mut self.io).poll_write(cx, &answer);
                written.map_ok(|_| buf.len())
            }
            _ => Pin::new(&mut self.io).poll_write(cx, buf),
        };
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.handle.is_taken() {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Over TLS a part of what was written waits here when the kernel is full.
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => self.watch(cx, Poll::Pending),
            flushed => {
                self.handle.shared.unsent.store(false, Ordering::Release);
                let activity = self.handle.activity();
                if !activity.is_answering() {
                    self.settled = activity.asked();
                    if std::mem::take(&mut self.head.is_held) {
                        cx.waker().wake_by_ref();
                    }
                }
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.handle.is_taken() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The answer in place of one that the dispatcher gives by itself.
fn own_answer(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    own_words(StatusCode::from_bytes(status).ok()?)
}

fn own_words(status: StatusCode) -> Option<Vec<u8>> {
    let detail = match status {
        StatusCode::BAD_REQUEST => "this is no request of HTTP/1.1".to_owned(),
        StatusCode::REQUEST_TIMEOUT => "the head of the request did not come in time".to_owned(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            format!(
                "the head of the request has more than {HEAD_BYTES_MAX} bytes, or too many lines"
            )
        }
        _ => return None,
    };
    Some(Problem::new(status, detail).into_last_bytes())
}

impl Drop for ServerIo {
    fn drop(&mut self) {
        if !self.handle.is_taken() {
            self.handle.conn.close(CloseReason::Asked);
        }
    }
}
