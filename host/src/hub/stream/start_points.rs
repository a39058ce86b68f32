//! Decides, frame by frame, where readers may begin.
//!
//! The lead track says: keyframes of video; any frame of audio or data, once a second. Video before its first keyframe is
//! of no use to anybody and is thrown away, unless no keyframe comes: such a stream (intra refresh without recovery points) can
//! be joined anywhere.

use plugin_api::frame::{Frame, Ns, Shape, TrackKind};

use crate::hub::ring::Opening;

/// Without a keyframe for this long from its first frame, a stream can be joined anywhere.
pub(super) const KEYFRAME_WAIT: Ns = 2_000_000_000;

/// Where every frame is a start point, one opens a segment this often.
const SEGMENT_TIME: Ns = 1_000_000_000;

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Keep(Opening),
}

/// The rule, with what it has seen of the publisher so far.
#[derive(Debug, Default)]
pub(super) struct StartPoints {
    lead: Option<(u32, TrackKind)>,
    /// Lead video is dropped until a keyframe comes.
    is_awaiting: bool,
    has_keyframes: bool,
    /// When the first frame of the lead track came.
    since: Option<Ns>,
    /// dts of the newest segment that was opened because time was up.
    opened: Option<Ns>,
    last_keyframe: Option<Ns>,
    gop: Option<Ns>,
}

impl StartPoints {
    /// Another shape is in force.
    pub(super) fn on_shape(&mut self, shape: &Shape) {
        let lead = shape.lead().map(|track| (track.id, track.kind));
        if lead == self.lead && !shape.discontinuity {
            return;
        }
        let is_awaiting = matches!(lead, Some((_, TrackKind::Video)));
        *self = Self { lead, is_awaiting, gop: self.gop, ..Self::default() };
    }

    /// Frames were lost on the way in: video makes sense again from the next keyframe on.
    pub(super) fn on_loss(&mut self) {
        self.is_awaiting |= self.has_keyframes;
    }

    /// From start point to start point on the timeline.
    pub(super) fn gop(&self) -> Option<Ns> {
        self.gop
    }

    /// Judges a frame whose stamps are the stream's already.
    pub(super) fn judge(&mut self, frame: &Frame, now: Ns) -> Verdict {
        match self.lead {
            Some((track, _)) if track != frame.track => Verdict::Keep(Opening::Continued),
            Some((_, TrackKind::Video)) => self.judge_video(frame, now),
            Some(_) | None => self.open_by_time(frame),
        }
    }

    fn judge_video(&mut self, frame: &Frame, now: Ns) -> Verdict {
        if frame.flags.key {
            self.has_keyframes = true;
            self.is_awaiting = false;
            self.since.get_or_insert(now);
            self.gop = self.last_keyframe.map(|last| frame.dts - last).or(self.gop);
            self.last_keyframe = Some(frame.dts);
            return Verdict::Keep(Opening::StartPoint);
        }
        let since = *self.since.get_or_insert(now);
        if self.is_awaiting && (self.has_keyframes || now - since < KEYFRAME_WAIT) {
            return Verdict::Drop;
        }
        self.is_awaiting = false;
        if self.has_keyframes {
            Verdict::Keep(Opening::Continued)
        } else {
            self.open_by_time(frame)
        }
    }

    fn open_by_time(&mut self, frame: &Frame) -> Verdict {
        if self.opened.is_some_and(|opened| frame.dts - opened < SEGMENT_TIME) {
            return Verdict::Keep(Opening::Continued);
        }
        self.opened = Some(frame.dts);
        Verdict::Keep(Opening::Anywhere)
    }
}
