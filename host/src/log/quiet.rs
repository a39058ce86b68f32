//! What one peer can repeat at will is logged now and then, and otherwise counted: a flood must not fill the disk, nor hide
//! the other lines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Says by address whether it is time for a line.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// Between two lines about one address.
    interval: Duration,
    /// Addresses with a line in that time; what others do is only counted.
    addresses_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: HashMap<IpAddr, Instant>,
    left_out: u64,
}

impl Quiet {
    pub(crate) fn new(interval: Duration, addresses_max: usize) -> Self {
        Self { interval, addresses_max, state: Mutex::default() }
    }

    /// `Some`: log it, and how many lines were left out since the last one, whoever they were about.
    pub(crate) fn may_log(&self, about: IpAddr, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < self.interval;
        let is_known = state.logged.get(&about).is_some_and(|at| is_fresh(*at));
        if !is_known && state.logged.len() >= self.addresses_max {
            state.logged.retain(|_, at| is_fresh(*at));
        }
        if is_known || state.logged.len() >= self.addresses_max {
            state.left_out += 1;
            return None;
        }
        state.logged.insert(about, now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_address_has_a_line_in_each_interval_and_the_others_are_counted() {
        let quiet = Quiet::new(MINUTE, 10);
        let (now, a, b) = (Instant::now(), [192, 0, 2, 1].into(), [192, 0, 2, 2].into());

        assert_eq!(quiet.may_log(a, now), Some(0));
        assert_eq!(quiet.may_log(a, now + MINUTE / 2), None);
        assert_eq!(quiet.may_log(a, now + MINUTE - Duration::from_nanos(1)), None);
        assert_eq!(quiet.may_log(b, now + MINUTE / 2), Some(2));
        assert_eq!(quiet.may_log(a, now + MINUTE), Some(0));
    }

    #[test]
    fn many_addresses_are_bounded_and_make_room_when_they_are_old() {
        let quiet = Quiet::new(MINUTE, 10);
        let now = Instant::now();
        let lines = |from: u8, at: Instant| {
            (from..from + 100)
                .filter(|n| quiet.may_log([192, 0, 2, *n].into(), at).is_some())
                .count()
        };

        assert_eq!(lines(0, now), 10);
        assert_eq!(lines(100, now + MINUTE / 2), 0);
        assert_eq!(lines(100, now + MINUTE), 10);
        assert_eq!(quiet.state.lock().logged.len(), 10);
    }
}
