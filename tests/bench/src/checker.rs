//! Judges what one viewer received: every frame there, none twice, timestamps as at the source.
//!
//! session → **checker** → figures
//!
//! A server that drops frames must not look cheap, so each frame counts: video and audio carry a
//! sequence number and the source's timestamp. Latency is taken of frames sent within a window.

use crate::chunk::Message;
use crate::clip;
use crate::stamp::Stamp;

/// From picture to picture at the source.
const FRAME_NS: u64 = clip::FRAME_MS as u64 * 1_000_000;

/// The time in which figures are taken, by when a frame was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub from_ns: u64,
    pub to_ns: u64,
}

impl Window {
    /// Nothing is measured yet.
    pub(crate) const CLOSED: Self = Self { from_ns: u64::MAX, to_ns: u64::MAX };

    fn contains(&self, time_ns: u64) -> bool {
        (self.from_ns..self.to_ns).contains(&time_ns)
    }
}

/// What must all be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub missing: u64,
    pub doubled: u64,
    /// Timestamps that are off the source by another amount than the viewer's first.
    pub time_jumps: u64,
    /// Viewers whose first picture was no keyframe.
    pub no_keyframe_first: u64,
    /// Frames that nobody published.
    pub unstamped: u64,
    /// Viewers that were refused, cut off, or got nothing to the end of the window.
    pub viewers_lost: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, other: &Self) {
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.time_jumps += other.time_jumps;
        self.no_keyframe_first += other.no_keyframe_first;
        self.unstamped += other.unstamped;
        self.viewers_lost += other.viewers_lost;
    }

    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Checker {
    video: Track,
    audio: Track,
    /// Timestamp here less timestamp at the source: one constant for all tracks.
    offset_ms: Option<u32>,
    pub faults: Faults,
    /// When the first audio or video message had arrived, be it a decoder configuration.
    pub first_media_ns: Option<u64>,
    pub first_keyframe_ns: Option<u64>,
    /// When the newest picture that has arrived was sent.
    pub newest_sent_ns: u64,
    /// When the last picture was sent, and when it arrived.
    last_picture_ns: Option<(u64, u64)>,
    /// Between two pictures of the window; a pause of the source's own is not counted.
    pub longest_gap_ns: u64,
}

/// The sequence number that comes next.
#[derive(Debug, Default)]
struct Track(Option<u32>);

impl Checker {
    /// Looks at one audio or video message that arrived at `now_ns`; gives its latency if it counts.
    pub(crate) fn on_media(
        &mut self,
        message: &Message<'_>,
        now_ns: u64,
        window: &Window,
    ) -> Option<u64> {
        self.first_media_ns.get_or_insert(now_ns);
        // AVCPacketType and AACPacketType: 0 is a decoder configuration (FLV 10.1, E.4).
        if message.head.get(1).is_none_or(|packet_type| *packet_type == 0) {
            return None;
        }
        let Some(stamp) = Stamp::find(message.head) else {
            self.faults.unstamped += 1;
            return None;
        };
        self.check_time(message.timestamp.wrapping_sub(stamp.source_ms));
        if message.type_id == clip::AUDIO {
            self.audio.check(stamp.sequence, &mut self.faults);
            return None;
        }
        let is_keyframe = message.head.first().is_some_and(|first| first >> 4 == 1);
        if self.video.0.is_none() && !is_keyframe {
            self.faults.no_keyframe_first += 1;
        }
        self.video.check(stamp.sequence, &mut self.faults);
        if is_keyframe {
            self.first_keyframe_ns.get_or_insert(now_ns);
        }
        self.newest_sent_ns = self.newest_sent_ns.max(stamp.sent_ns);
        let last = self.last_picture_ns.replace((stamp.sent_ns, now_ns));
        if !window.contains(stamp.sent_ns) {
            return None;
        }
        if let Some((last_sent_ns, last_ns)) = last {
            let pause = stamp.sent_ns.saturating_sub(last_sent_ns + FRAME_NS);
            let gap = now_ns.saturating_sub(last_ns + pause);
            self.longest_gap_ns = self.longest_gap_ns.max(gap);
        }
        Some(now_ns.saturating_sub(stamp.sent_ns))
    }

    fn check_time(&mut self, offset_ms: u32) {
        if *self.offset_ms.get_or_insert(offset_ms) != offset_ms {
            self.faults.time_jumps += 1;
        }
    }

    /// Whether everything that was sent by then has arrived: a later picture has.
    pub(crate) fn has_all_until(&self, time_ns: u64) -> bool {
        self.newest_sent_ns >= time_ns
    }
}

impl Track {
    fn check(&mut self, sequence: u32, faults: &mut Faults) {
        let expected = *self.0.get_or_insert(sequence);
        if sequence < expected {
            faults.doubled += 1;
            return;
        }
        faults.missing += u64::from(sequence - expected);
        self.0 = Some(sequence + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::{Clip, Frame, Frames};

    const OPEN: Window = Window { from_ns: 0, to_ns: u64::MAX };

    /// Three GOPs from the second one's start, sent at their timestamps.
    fn frames() -> Vec<Frame> {
        Frames::default()
            .skip_while(|frame| frame.time_ms < 2000)
            .take_while(|frame| frame.time_ms < 8000)
            .collect()
    }

    /// What a checker says of frames, each given with an error in its timestamp.
    fn judge(frames: impl IntoIterator<Item = (Frame, u32)>) -> Checker {
        let mut checker = Checker::default();
        let (clip, mut body) = (Clip::of(200_000).unwrap(), Vec::new());
        for (frame, shift) in frames {
            let sent_ns = u64::from(frame.time_ms) * 1_000_000;
            clip.write(&frame, sent_ns, &mut body);
            let timestamp = (frame.time_ms + shift).wrapping_sub(5000);
            let message = Message { type_id: frame.type_id, timestamp, head: &body[..64] };
            let latency = checker.on_media(&message, sent_ns + 7, &OPEN);
            assert_eq!(latency, (frame.type_id == clip::VIDEO).then_some(7));
        }
        checker
    }

    #[test]
    fn finds_no_fault_in_what_was_published() {
        let checker = judge(frames().into_iter().map(|frame| (frame, 0)));

        assert!(checker.faults.is_clean(), "{:?}", checker.faults);
        assert_eq!(checker.first_keyframe_ns, Some(2_000_000_007));
        assert_eq!(checker.longest_gap_ns, 40_000_000);
        assert!(checker.has_all_until(7_960_000_000) && !checker.has_all_until(7_960_000_001));
    }

    #[test]
    fn doctored_input_fails() {
        let plain = || frames().into_iter().map(|frame| (frame, 0));
        let is_video = |frame: &Frame| frame.type_id == clip::VIDEO;
        let delta = 60;
        type Input = Vec<(Frame, u32)>;
        let cases: [(&str, Input, Faults); 7] = [
            (
                "a picture is missing",
                plain()
                    .filter(|(frame, _)| !(is_video(frame) && frame.sequence == delta))
                    .collect(),
                Faults { missing: 1, ..Faults::default() },
            ),
            (
                "a GOP is missing",
                plain()
                    .filter(|(frame, _)| !(is_video(frame) && (100..150).contains(&frame.sequence)))
                    .collect(),
                Faults { missing: 50, ..Faults::default() },
            ),
            (
                "sound is missing",
                plain().filter(|(frame, _)| is_video(frame) || frame.sequence != 200).collect(),
                Faults { missing: 1, ..Faults::default() },
            ),
            (
                "a picture is doubled",
                plain()
                    .flat_map(|pair| {
                        vec![
                            pair;
                            if is_video(&pair.0) && pair.0.sequence == delta { 2 } else { 1 }
                        ]
                    })
                    .collect(),
                Faults { doubled: 1, ..Faults::default() },
            ),
            (
                "a timestamp is off by one",
                plain()
                    .map(|(frame, _)| {
                        (frame, u32::from(is_video(&frame) && frame.sequence == delta))
                    })
                    .collect(),
                Faults { time_jumps: 1, ..Faults::default() },
            ),
            (
                "begins within a GOP",
                plain()
                    .skip_while(|(frame, _)| !is_video(frame) || frame.sequence < delta)
                    .collect(),
                Faults { no_keyframe_first: 1, ..Faults::default() },
            ),
            ("nothing wrong", plain().collect(), Faults::default()),
        ];
        for (name, input, expected) in cases {
            assert_eq!(judge(input).faults, expected, "{name}");
        }
    }

    #[test]
    fn foreign_frames_are_a_fault_and_configurations_are_none() {
        let mut checker = Checker::default();
        let mut give = |head: &[u8]| {
            let message = Message { type_id: clip::VIDEO, timestamp: 0, head };
            checker.on_media(&message, 1, &OPEN)
        };

        assert_eq!(give(&[0x17, 0, 0, 0, 0, 1, 77]), None);
        assert_eq!(give(&[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 9]), None);
        assert_eq!(checker.faults, Faults { unstamped: 1, ..Faults::default() });
    }

    #[test]
    fn counts_only_what_was_sent_in_the_window() {
        let frame = frames()[0];
        let (clip, mut body) = (Clip::of(200_000).unwrap(), Vec::new());
        let window = Window { from_ns: 100, to_ns: 200 };
        for (sent_ns, expected) in [(99, None), (100, Some(900)), (199, Some(801)), (200, None)] {
            clip.write(&frame, sent_ns, &mut body);
            let message = Message { type_id: clip::VIDEO, timestamp: 0, head: &body[..64] };

            assert_eq!(Checker::default().on_media(&message, 1000, &window), expected, "{sent_ns}");
        }
    }
}
