//! Which thread a viewer goes to, and what each thread does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use utoipa::ToSchema;

/// Viewers per thread, in all and of each feed.
#[derive(Debug)]
pub(super) struct Loads {
    counts: Mutex<Counts>,
    none_left: Condvar,
    counters: Box<[Counters]>,
}

#[derive(Debug)]
struct Counts {
    total: Vec<usize>,
    of_feed: HashMap<u64, Vec<usize>>,
}

/// Of one thread.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) wake_ups: AtomicU64,
    pub(super) sends: AtomicU64,
}

/// One fan-out thread's figures.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ThreadInfo {
    pub viewers: usize,
    /// Times it has come back from waiting.
    pub wake_ups: u64,
    /// System calls that sent something, or tried to.
    pub sends: u64,
}

impl Loads {
    pub(super) fn new(threads: usize) -> Self {
        let counts = Counts { total: vec![0; threads], of_feed: HashMap::new() };
        let counters = (0..threads).map(|_| Counters::default()).collect();
        Self { counts: Mutex::new(counts), none_left: Condvar::new(), counters }
    }

    /// The thread that has the fewest viewers of the feed, of these the one that has the fewest in all.
    pub(super) fn assign(&self, feed: u64) -> usize {
        let mut counts = self.counts.lock();
        let Counts { total, of_feed } = &mut *counts;
        let of_feed = of_feed.entry(feed).or_insert_with(|| vec![0; total.len()]);
        let thread = (0..total.len()).min_by_key(|i| (of_feed[*i], total[*i])).unwrap_or(0);
        of_feed[thread] += 1;
        total[thread] += 1;
        thread
    }

    pub(super) fn release(&self, feed: u64, thread: usize) {
        let mut counts = self.counts.lock();
        counts.total[thread] -= 1;
        if let Some(of_feed) = counts.of_feed.get_mut(&feed) {
            of_feed[thread] -= 1;
            if of_feed.iter().all(|count| *count == 0) {
                counts.of_feed.remove(&feed);
            }
        }
        if counts.total.iter().all(|count| *count == 0) {
            self.none_left.notify_all();
        }
    }

    /// Whether there was no viewer left before `deadline`.
    pub(super) fn wait_for_none(&self, deadline: Instant) -> bool {
        let mut counts = self.counts.lock();
        let some_left = |counts: &mut Counts| counts.total.iter().any(|count| *count > 0);
        !self.none_left.wait_while_until(&mut counts, some_left, deadline).timed_out()
    }

    pub(super) fn counters(&self, thread: usize) -> &Counters {
        &self.counters[thread]
    }

    pub(super) fn threads(&self) -> Vec<ThreadInfo> {
        let total = self.counts.lock().total.clone();
        total
            .into_iter()
            .zip(&self.counters)
            .map(|(viewers, counters)| ThreadInfo {
                viewers,
                wake_ups: counters.wake_ups.load(Ordering::Relaxed),
                sends: counters.sends.load(Ordering::Relaxed),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_each_feed_and_the_sum() {
        let loads = Loads::new(2);

        let first: Vec<usize> = (0..3).map(|_| loads.assign(1)).collect();
        let second = loads.assign(2);
        loads.release(1, 0);
        let third = loads.assign(1);

        assert_eq!(first, [0, 1, 0]);
        assert_eq!(second, 1);
        assert_eq!(third, 0);
    }
}
