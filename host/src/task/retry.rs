//! When a failed attempt is made again.

use std::time::Duration;

/// The shortest wait before a retry, so that an endless policy with no interval can't spin.
const WAIT_MIN: Duration = Duration::from_millis(10);
/// A wait is its nominal length, more or less by up to this part.
const JITTER: f64 = 0.2;

/// The policy of a task with attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Retries after the first attempt; `u32::MAX`: endless.
    pub count: u32,
    /// Before the first retry; each further wait doubles.
    pub interval: Duration,
    /// Where the doubling stops; zero: no doubling.
    pub interval_max: Duration,
    /// An attempt that ran this long resets the counter; zero: never.
    pub steady: Duration,
}

impl Retry {
    /// No retry at all.
    pub const NEVER: Self = Self {
        count: 0,
        interval: Duration::ZERO,
        interval_max: Duration::ZERO,
        steady: Duration::ZERO,
    };

    /// True if a task that has failed `failures` times in a row is made again.
    pub(super) fn allows(&self, failures: u32) -> bool {
        self.count == u32::MAX || failures <= self.count
    }

    /// True if an attempt of this length forgives the failures before it.
    pub(super) fn is_steady(&self, ran: Duration) -> bool {
        self.steady > Duration::ZERO && ran >= self.steady
    }

    /// The wait after `failures` (1 or more) in a row. `random` is in 0 to 1.
    pub(super) fn wait(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let nominal = if self.interval_max > Duration::ZERO {
            self.interval.saturating_mul(1 << doublings).min(self.interval_max)
        } else {
            self.interval
        };
        let factor = 1.0 + JITTER * (random.clamp(0.0, 1.0) * 2.0 - 1.0);
        let wait = Duration::try_from_secs_f64(nominal.as_secs_f64() * factor).unwrap_or(nominal);
        wait.max(WAIT_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_jitters_by_a_fifth() {
        let retry = Retry {
            count: u32::MAX,
            interval: Duration::from_secs(1),
            interval_max: Duration::from_secs(5),
            steady: Duration::ZERO,
        };
        let cases: &[(u32, f64, f64)] = &[
            (1, 0.5, 1.0),
            (2, 0.5, 2.0),
            (3, 0.5, 4.0),
            (4, 0.5, 5.0),
            (u32::MAX, 0.5, 5.0),
            (1, 0.0, 0.8),
            (4, 1.0, 6.0),
        ];
        for &(failures, random, seconds) in cases {
            let wait = retry.wait(failures, random).as_secs_f64();
            assert!((wait - seconds).abs() < 1e-6, "{failures} failures, random {random}: {wait}");
        }
    }

    #[test]
    fn never_spins_and_survives_extremes() {
        let endless = Retry { count: u32::MAX, ..Retry::NEVER };
        assert_eq!(endless.wait(1, 0.0), WAIT_MIN);

        let longest = Retry { interval: Duration::MAX, interval_max: Duration::MAX, ..endless };
        assert!(longest.wait(40, 1.0) >= Duration::from_secs(1 << 40));
    }

    #[test]
    fn without_a_cap_the_interval_stays() {
        let retry = Retry { count: 3, interval: Duration::from_secs(2), ..Retry::NEVER };
        assert_eq!(retry.wait(9, 0.5), Duration::from_secs(2));
        assert!(retry.allows(3));
        assert!(!retry.allows(4));
    }
}
