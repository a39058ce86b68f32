//! What one peer can repeat at will is logged now and then, and otherwise counted: a flood must not fill the disk, nor hide
//! the other lines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Says by address whether it is time for a line.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// Lines about one address in an interval.
    lines_max: u32,
    interval: Duration,
    /// Addresses with a line in that time; what others do is only counted.
    addresses_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when, and how many lines.
    logged: HashMap<IpAddr, (Instant, u32)>,
    cleaned: Option<Instant>,
    left_out: u64,
}

/// Old addresses are looked for this often in an interval.
const CLEANINGS: u32 = 16;

impl Quiet {
    /// One line in each interval.
    pub(crate) fn new(interval: Duration, addresses_max: usize) -> Self {
        Self::several(1, interval, addresses_max)
    }

    pub(crate) fn several(lines_max: u32, interval: Duration, addresses_max: usize) -> Self {
        Self { lines_max, interval, addresses_max, state: Mutex::default() }
    }

    /// `Some`: log it, and how many lines were left out since the last one, whoever they were about.
    pub(crate) fn may_log(&self, about: IpAddr, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let State { logged, cleaned, left_out } = &mut *state;
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < self.interval;
        let known = logged.get_mut(&about).filter(|(at, _)| is_fresh(*at));
        let may_log = match known {
            Some((_, lines)) => {
                *lines = lines.saturating_add(1);
                *lines <= self.lines_max
            }
            None => {
                let is_full = logged.len() >= self.addresses_max;
                let pause = self.interval / CLEANINGS;
                if is_full && cleaned.is_none_or(|at| now.saturating_duration_since(at) >= pause) {
                    *cleaned = Some(now);
                    logged.retain(|_, (at, _)| is_fresh(*at));
                }
                let has_room = logged.len() < self.addresses_max;
                if has_room {
                    logged.insert(about, (now, 1));
                }
                has_room
            }
        };
        if !may_log {
            *left_out += 1;
            return None;
        }
        Some(std::mem::take(left_out))
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
    fn an_address_may_have_several_lines() {
        let quiet = Quiet::several(3, MINUTE, 10);
        let (now, a) = (Instant::now(), [192, 0, 2, 1].into());
        let lines = |at: Instant| (0..10).filter(|_| quiet.may_log(a, at).is_some()).count();

        assert_eq!((lines(now), lines(now + MINUTE / 2), lines(now + MINUTE)), (3, 0, 3));
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
