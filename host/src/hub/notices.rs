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
        let mut pending = self.0.lock();
        if let Some(notice) = pending.take() {
            return Poll::Ready(notice);
        }
        // The publisher asks at each of its reads, nearly always with the waker that is here.
        if pending.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(pending);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_waker_of_the_newest_poll_is_woken_once_a_notice() {
        let notices = Notices::default();
        let [first, second] = [Arc::<Count>::default(), Arc::default()];
        let poll = |count: &Arc<Count>| {
            notices.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
        };
        let put = |notice| notices.put(notice).into_iter().for_each(Waker::wake);

        assert!(poll(&first).is_pending() && poll(&first).is_pending());
        put(Notice::FirstReader);
        assert_eq!(poll(&first), Poll::Ready(Notice::FirstReader));
        assert!(poll(&first).is_pending() && poll(&second).is_pending());
        put(Notice::KeyframeWanted);
        put(Notice::LastReader);

        assert_eq!([&first, &second].map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
    }
}
