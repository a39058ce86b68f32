//! Acknowledgements: when to say how many bytes have come (RTMP 1.0, sections 5.4.3 and 5.4.4).
//!
//! chunk_reader → **acks** → session → socket

/// Decides when an Acknowledgement is due. Count and clock are the caller's: the count is
/// [`ChunkReader::bytes_received`](super::chunk_reader::ChunkReader::bytes_received).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acks {
    window: u32,
    acknowledged: u64,
}

impl Acks {
    /// What the peer asked for with Window Acknowledgement Size. Zero, and before any: none.
    pub fn set_window(&mut self, window: u32) {
        self.window = window;
    }

    /// The sequence number to send now, if one is due; it counts as sent.
    ///
    /// Sent at half a window, like ffmpeg: a sender that stops at a whole unacknowledged window
    /// would stall for a round trip each time otherwise. The number wraps at 2^32: the
    /// specification says nothing of it, the field has no more bits.
    pub fn due(&mut self, received: u64) -> Option<u32> {
        let since = received.saturating_sub(self.acknowledged);
        if self.window == 0 || since == 0 || since < u64::from(self.window / 2) {
            return None;
        }
        self.acknowledged = received;
        u32::try_from(received & u64::from(u32::MAX)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledges_every_half_window() {
        let mut acks = Acks::default();
        acks.set_window(1000);

        let due: Vec<_> = [0, 3, 499, 500, 501, 999, 1000, 5000].map(|n| acks.due(n)).into();

        assert_eq!(due, [None, None, None, Some(500), None, None, Some(1000), Some(5000)]);
    }

    #[test]
    fn acknowledges_nothing_unless_asked() {
        assert_eq!(Acks::default().due(u64::MAX), None);
    }

    #[test]
    fn wraps_the_sequence_number() {
        let mut acks = Acks::default();
        acks.set_window(10);

        assert_eq!(acks.due((1 << 32) + 7), Some(7));
        assert_eq!(acks.due((1 << 32) + 8), None);
    }

    #[test]
    fn window_of_one_acknowledges_each_byte_once() {
        let mut acks = Acks::default();
        acks.set_window(1);

        assert_eq!([acks.due(1), acks.due(1), acks.due(2)], [Some(1), None, Some(2)]);
    }
}
