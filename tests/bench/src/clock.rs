//! The one clock of a measurement: monotonic nanoseconds, the same in every process of the machine.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}

/// A duration on this clock.
pub(crate) fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps until `due_ns`, or not at all.
pub(crate) fn sleep_until(due_ns: u64) {
    let left = due_ns.saturating_sub(now_ns());
    if left > 0 {
        thread::sleep(Duration::from_nanos(left));
    }
}
