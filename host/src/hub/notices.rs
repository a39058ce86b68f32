//! What a stream has to say to its publisher: states, not a queue, so that nothing grows when nobody listens.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::outcome::Reason;
use super::publisher::Notice;

/// The letter box of one publisher.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    ended: Option<Reason>,
    is_watched: bool,
    /// What the publisher believes of `is_watched`.
    told: bool,
    wants_keyframe: bool,
    waker: Option<Waker>,
}

impl Notices {
    /// Puts a notice in. Who is to be woken for it, once nothing is locked, comes back.
    pub(super) fn put(&self, notice: Notice) -> Option<Waker> {
        let mut pending = self.0.lock();
        match notice {
            Notice::Ended(reason) => {
                pending.ended.get_or_insert(reason);
            }
            Notice::FirstReader => pending.is_watched = true,
            Notice::KeyframeWanted => pending.wants_keyframe = true,
            Notice::LastReader => pending.is_watched = false,
        }
        pending.waker.take()
    }

    /// Takes the next one out.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        if let Some(notice) = self.0.lock().take() {
            return Poll::Ready(notice);
        }
        let waker = cx.waker().clone();
        let mut pending = self.0.lock();
        if let Some(notice) = pending.take() {
            return Poll::Ready(notice);
        }
        let old = pending.waker.replace(waker);
        drop(pending);
        drop(old);
        Poll::Pending
    }
}

impl Pending {
    fn take(&mut self) -> Option<Notice> {
        if let Some(reason) = self.ended {
            return Some(Notice::Ended(reason));
        }
        if self.told != self.is_watched {
            self.told = self.is_watched;
            return Some(if self.told { Notice::FirstReader } else { Notice::LastReader });
        }
        std::mem::take(&mut self.wants_keyframe).then_some(Notice::KeyframeWanted)
    }
}
