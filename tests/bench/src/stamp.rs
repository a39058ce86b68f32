//! What every frame carries: which one it is, and when it was sent.
//!
//! clip → **stamp** → publisher … server … viewer → **stamp** → checker
//!
//! A stamp is the content of a "user data unregistered" SEI message (H.264, D.1.7): a UUID to find
//! it by, then numbers in groups of seven bits with the top bit set. No byte is zero, so the NAL
//! unit needs no emulation prevention (H.264, 7.4.1) and the stamp survives any change of framing.
//! Audio frames carry the same bytes at the start of their payload.

/// The UUID. Any value without a zero will do.
const MARK: [u8; 16] = *b"plugcast-bench-1";
const SEQUENCE_LEN: usize = 5;
const SOURCE_LEN: usize = 5;
const SENT_LEN: usize = 10;

/// The length of a written stamp.
pub(crate) const LEN: usize = MARK.len() + SEQUENCE_LEN + SOURCE_LEN + SENT_LEN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Counts the frames of one track from zero.
    pub sequence: u32,
    /// The frame's timestamp at the source.
    pub source_ms: u32,
    /// When it was sent, on [`clock`](crate::clock).
    pub sent_ns: u64,
}

impl Stamp {
    pub(crate) fn write(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (mark, numbers) = bytes.split_at_mut(MARK.len());
        let (sequence, numbers) = numbers.split_at_mut(SEQUENCE_LEN);
        let (source, sent) = numbers.split_at_mut(SOURCE_LEN);
        mark.copy_from_slice(&MARK);
        write_number(self.sequence.into(), sequence);
        write_number(self.source_ms.into(), source);
        write_number(self.sent_ns, sent);
        bytes
    }

    /// Looks for a stamp anywhere in the first bytes of a frame.
    pub(crate) fn find(head: &[u8]) -> Option<Self> {
        let at = head.windows(MARK.len()).position(|window| window == MARK)?;
        let numbers = head.get(at + MARK.len()..at + LEN)?;
        let (sequence, numbers) = numbers.split_at(SEQUENCE_LEN);
        let (source, sent) = numbers.split_at(SOURCE_LEN);
        Some(Self {
            sequence: u32::try_from(read_number(sequence)?).ok()?,
            source_ms: u32::try_from(read_number(source)?).ok()?,
            sent_ns: read_number(sent)?,
        })
    }
}

/// Big-endian groups of seven bits, each with the top bit set.
fn write_number(mut number: u64, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        let [low, ..] = number.to_le_bytes();
        *byte = low | 0x80;
        number >>= 7;
    }
}

fn read_number(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0_u64, |number, byte| {
        let group = byte.checked_sub(0x80)?;
        Some(number.checked_mul(128)? | u64::from(group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_anywhere_in_a_head() {
        let stamps = [
            Stamp { sequence: 0, source_ms: 0, sent_ns: 0 },
            Stamp { sequence: 1, source_ms: 40, sent_ns: 1_234_567_890_123 },
            Stamp { sequence: u32::MAX, source_ms: u32::MAX, sent_ns: u64::MAX },
        ];
        for stamp in stamps {
            for lead in [0, 1, 12, 20] {
                let head = [vec![0x17; lead], stamp.write().to_vec(), vec![0xff; 3]].concat();

                assert_eq!(Stamp::find(&head), Some(stamp), "{lead} bytes before");
            }
        }
    }

    #[test]
    fn has_no_zero_byte() {
        let stamp = Stamp { sequence: 0, source_ms: 128, sent_ns: 1 << 63 };

        assert!(stamp.write().iter().all(|byte| *byte != 0));
    }

    #[test]
    fn finds_nothing_in_damaged_bytes() {
        let whole = Stamp { sequence: 7, source_ms: 280, sent_ns: 9 }.write();
        for len in 0..whole.len() {
            assert_eq!(Stamp::find(&whole[..len]), None, "{len} bytes");
        }
        for at in 0..whole.len() {
            let mut damaged = whole;
            damaged[at] &= 0x7f;
            if damaged != whole {
                assert_eq!(Stamp::find(&damaged), None, "byte {at}");
            }
        }
    }
}
