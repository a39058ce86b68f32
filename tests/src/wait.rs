//! Waiting for a condition with a deadline; the only place that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(5);

/// Returns what `probe` finds, or panics after `limit` with `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match try_until(limit, probe) {
        Some(found) => found,
        None => panic!("waited {limit:?} for {what}"),
    }
}

/// Returns what `probe` finds, or `None` after `limit`.
pub fn try_until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(STEP);
    }
}

/// Sleeps until `moment`: the pace of an encoder, not a guess at how long something takes.
pub fn pace_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}
