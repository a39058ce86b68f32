//! The one source of time of the hub: an argument, so that tests own it.

use std::time::{Duration, Instant};

use plugin_api::frame::Ns;

/// Monotonic time in nanoseconds from an arbitrary start.
pub trait Clock: Send + Sync {
    fn now(&self) -> Ns;
}

/// The system's monotonic clock, from when this was made.
#[derive(Debug)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Ns {
        ns(self.0.elapsed())
    }
}

/// A duration in nanoseconds; three centuries are as good as for ever.
pub(super) fn ns(duration: Duration) -> Ns {
    Ns::try_from(duration.as_nanos()).unwrap_or(Ns::MAX)
}

/// Whole milliseconds, never negative, for people.
pub(super) fn ms(ns: Ns) -> u64 {
    u64::try_from(ns / 1_000_000).unwrap_or(0)
}
