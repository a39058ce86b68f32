//! Who reads a stream, as its writer sees them: what each has still to get, and whom to wake.

use std::task::{Context, Poll, Waker};

use slab::Slab;

/// The readers of one stream, by their numbers. Under the same lock as what they read.
#[derive(Debug, Default)]
pub(super) struct Readers(Slab<Reader>);

#[derive(Debug)]
pub(super) struct Reader {
    /// Set while it waits for frames.
    waker: Option<Waker>,
    /// The next entry of the ring that it has to get; `u64::MAX` before it has begun.
    next: u64,
}

impl Readers {
    /// The number of one that has come.
    pub(super) fn add(&mut self) -> usize {
        self.0.insert(Reader { waker: None, next: u64::MAX })
    }

    /// What this gives is to be dropped when nothing is locked: a waker may be a plugin's.
    pub(super) fn remove(&mut self, number: usize) -> Option<Reader> {
        self.0.try_remove(number)
    }

    /// The next entry that a reader has to get; `None` before it has begun.
    pub(super) fn set_next(&mut self, number: usize, entry: Option<u64>) {
        if let Some(reader) = self.0.get_mut(number) {
            reader.next = entry.unwrap_or(u64::MAX);
        }
    }

    /// The oldest entry that a reader has still to get; `u64::MAX`: there is none.
    pub(super) fn needed(&self) -> u64 {
        self.0.iter().map(|(_, reader)| reader.next).min().unwrap_or(u64::MAX)
    }

    /// Leaves a waker for the next news, and takes back the one from before.
    pub(super) fn wait(&mut self, number: usize, waker: &mut Option<Waker>) {
        if let Some(reader) = self.0.get_mut(number) {
            std::mem::swap(&mut reader.waker, waker);
        }
    }

    /// Whom to wake, when nothing is locked any more.
    pub(super) fn take_wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.0.iter_mut().filter_map(|(_, reader)| reader.waker.take())
    }
}

/// Reads, and if there is nothing reads again with a waker to leave. Each read locks once: what is written between the two is
/// found by the second, what is written later wakes.
pub(super) fn poll_read<R>(
    cx: &Context<'_>,
    mut read: impl FnMut(Option<&mut Option<Waker>>) -> Option<R>,
) -> Poll<R> {
    if let Some(found) = read(None) {
        return Poll::Ready(found);
    }
    // Cloning and dropping a waker may run a plugin's code, so both happen outside.
    let mut waker = Some(cx.waker().clone());
    read(Some(&mut waker)).map_or(Poll::Pending, Poll::Ready)
}
