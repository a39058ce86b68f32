//! Undoes the wrap-around of RTMP's 32-bit milliseconds. Redone in the packager, nowhere else.
//!
//! message → **clock** → frame

use plugin_api::frame::{NS_PER_MS, Ns};

/// The clock of one connection, which all its messages share: audio that wraps a moment before video stays beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The last stamp of a frame, in milliseconds, unwrapped.
    last_ms: Option<i64>,
}

impl Clock {
    /// The time of a frame. The reference moves along: a stamp is up to 24.8 days before or after the last one.
    pub(super) fn advance(&mut self, timestamp: u32) -> Ns {
        let ms = self.unwrap(timestamp);
        self.last_ms = Some(ms);
        ms.saturating_mul(NS_PER_MS)
    }

    /// The time of a message that is no frame. Metadata mostly says 0, which tells nothing of the time.
    pub(super) fn at(&self, timestamp: u32) -> Ns {
        self.unwrap(timestamp).saturating_mul(NS_PER_MS)
    }

    /// The time of the last frame, 0 before any.
    pub(super) fn now(&self) -> Ns {
        self.last_ms.unwrap_or(0).saturating_mul(NS_PER_MS)
    }

    fn unwrap(&self, timestamp: u32) -> i64 {
        let Some(last) = self.last_ms else { return i64::from(timestamp) };
        let low = u32::try_from(last.rem_euclid(1 << 32)).unwrap_or_default();
        let step = timestamp.wrapping_sub(low).cast_signed();
        last.saturating_add(i64::from(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_where_the_wire_wraps() {
        let mut clock = Clock::default();
        let stamps = [0xffff_ffe0, 0xffff_fff7, 0x0000_000e, 0xffff_fffe, 0x0000_0025];

        let ms: Vec<i64> = stamps.map(|stamp| clock.advance(stamp) / NS_PER_MS).into();

        let base = 0xffff_ffe0;
        assert_eq!(ms, [base, base + 23, base + 46, base + 30, base + 69]);
    }

    #[test]
    fn a_message_with_stamp_zero_moves_nothing() {
        let mut clock = Clock::default();
        let late = 0x9000_0000;
        clock.advance(late);

        clock.at(0);

        assert_eq!(clock.advance(late + 40) / NS_PER_MS, i64::from(late) + 40);
    }

    #[test]
    fn steps_back_are_kept() {
        let mut clock = Clock::default();
        clock.advance(5000);

        assert_eq!(clock.advance(1000), 1000 * NS_PER_MS);
    }
}
