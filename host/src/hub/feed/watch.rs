//! A log that one writes, and the threads that are told when it has grown: each once, until it looks.

use std::sync::Arc;

use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use crate::told::Told;

/// A log and who watches it.
#[derive(Debug, Default)]
pub(super) struct Watched<L> {
    log: Mutex<L>,
    watches: Mutex<Vec<Arc<Watch>>>,
}

/// Gets told that a feed has grown.
pub trait FeedWaker: Send + Sync {
    /// `slot` is what the watcher gave. Must not block.
    fn wake(&self, slot: usize);
}

/// One fan-out thread's interest in a feed.
pub struct Watch {
    waker: Arc<dyn FeedWaker>,
    slot: usize,
    told: Told,
    /// The oldest packet that one of the thread's viewers has still to get.
    oldest: AtomicU64,
}

impl<L> Watched<L> {
    /// The log, for its writer and for all that is no news. [`Watched::tell`] follows when it has grown.
    pub(super) fn lock(&self) -> MutexGuard<'_, L> {
        self.log.lock()
    }

    /// Wakes those who have looked since they were told last.
    pub(super) fn tell(&self) {
        for watch in self.watches.lock().iter() {
            if watch.told.tell() {
                watch.waker.wake(watch.slot);
            }
        }
    }

    /// What a watcher does with the news: whatever comes after this was read tells it again.
    pub(super) fn look<R>(&self, watch: &Watch, read: impl FnOnce(&L) -> R) -> R {
        watch.told.looks();
        read(&self.lock())
    }

    /// Wakes `waker` with `slot` when there is news, until [`Watched::unwatch`].
    pub(super) fn watch(&self, waker: Arc<dyn FeedWaker>, slot: usize) -> Arc<Watch> {
        let (told, oldest) = (Told::default(), AtomicU64::new(0));
        let watch = Arc::new(Watch { waker, slot, told, oldest });
        self.watches.lock().push(Arc::clone(&watch));
        watch
    }

    pub(super) fn unwatch(&self, watch: &Arc<Watch>) {
        self.watches.lock().retain(|other| !Arc::ptr_eq(other, watch));
    }

    /// The oldest packet that a watcher has still to get; `u64::MAX`: none is wanted.
    pub(super) fn oldest_wanted(&self) -> u64 {
        let watches = self.watches.lock();
        let oldest = watches.iter().map(|watch| watch.oldest.load(Ordering::Relaxed)).min();
        oldest.unwrap_or(u64::MAX)
    }
}

impl Watch {
    /// No viewer of this thread needs a packet before `seq`.
    pub fn needs_from(&self, seq: u64) {
        self.oldest.store(seq, Ordering::Relaxed);
    }

    /// A viewer that has come needs packets from `seq` on.
    pub fn also_needs_from(&self, seq: u64) {
        self.oldest.fetch_min(seq, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("slot", &self.slot).finish_non_exhaustive()
    }
}
