//! What lies between the writer of a stream and its readers: the newest frames and shapes, in order, bounded.
//!
//! publisher ▸ **ring** ▸ subscriber
//!
//! ```text
//!   segments   │start ············│start ···│continued ···│start ····▸ written here
//!   positions  100        lapped reader      ▲ a cursor      ▲ newest start point
//! ```
//!
//! A start point opens a segment; a long GOP goes on in further ones, so that what falls out at the old end is never more
//! than a fraction of the bounds. Readers have a [`Cursor`] and hold nothing of the ring between calls: the writer never
//! waits for them, and one that was lapped resumes at the newest start point, with what it lost counted.
//!
//! It knows no clock, no lock and no publisher: whoever owns it serializes the calls. A reader touches the ring only by
//! [`Ring::read`], so that segments which need no lock can take its place.

mod cursor;
mod segment;

use std::collections::VecDeque;
use std::sync::Arc;

use plugin_api::frame::{Frame, Ns, Shape, Track};

use super::clock::ns;
use super::settings::RingSettings;

pub(in crate::hub) use cursor::Cursor;
use segment::Entry;
pub(in crate::hub) use segment::{Opening, Position, Segment};

/// A segment ends when it holds this part of the ring's bounds, whether or not the GOP does.
const SEGMENTS_PER_RING: usize = 16;

/// Entries of one segment, so that tiny frames can't make one long.
const SEGMENT_ENTRIES_MAX: usize = 2048;

/// The newest entries of one stream.
#[derive(Debug)]
pub(in crate::hub) struct Ring {
    segments: VecDeque<Segment>,
    limits: RingSettings,
    bytes: usize,
    shape: Option<Arc<Shape>>,
    sticky: Arc<Vec<Frame>>,
    gop_lost: bool,
    /// The oldest entry that a reader has still to get: history from there on is kept within the bounds.
    needed: u64,
}

impl Ring {
    pub(in crate::hub) fn new(limits: RingSettings) -> Self {
        Self {
            segments: VecDeque::new(),
            limits,
            bytes: 0,
            shape: None,
            sticky: Arc::default(),
            gop_lost: false,
            needed: u64::MAX,
        }
    }

    /// New bounds, in force from the next frame on.
    pub(in crate::hub) fn set_limits(&mut self, limits: RingSettings) {
        self.limits = limits;
    }

    /// The oldest entry that a reader has still to get; `u64::MAX`: they all begin at start points to come.
    pub(in crate::hub) fn set_needed(&mut self, entry: u64) {
        self.needed = entry;
    }

    /// The shape in force for the next frame.
    pub(in crate::hub) fn shape(&self) -> Option<&Arc<Shape>> {
        self.shape.as_ref()
    }

    /// Bytes held, with what each frame takes beside its payload.
    pub(in crate::hub) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long ago the oldest frame came before the newest one.
    pub(in crate::hub) fn span(&self) -> Ns {
        match (self.segments.front(), self.segments.back()) {
            (Some(oldest), Some(newest)) => newest.newest - oldest.opened,
            _ => 0,
        }
    }

    /// The newest start point's way of opening, if one is held.
    pub(in crate::hub) fn newest_start(&self) -> Option<Opening> {
        self.segments.iter().rev().find(|segment| segment.is_start()).map(|segment| segment.opening)
    }

    /// Whether the newest GOP has lost its head: a new reader has to wait for the next start point.
    pub(in crate::hub) fn gop_exceeds_ring(&self) -> bool {
        self.gop_lost
    }

    /// The position behind the newest entry.
    pub(in crate::hub) fn end(&self) -> Position {
        self.segments.back().map_or_else(Position::default, Segment::end)
    }

    /// Adds a change of shape. Sticky frames live as long as their track does.
    pub(in crate::hub) fn append_shape(
        &mut self,
        shape: Arc<Shape>,
        now: Ns,
        garbage: &mut Vec<Segment>,
    ) {
        if self.newest_is_full(now) {
            self.open(Opening::Continued, now);
        }
        let bytes = shape.tracks.iter().map(|track| size_of::<Track>() + track.config.len()).sum();
        self.push(Entry::Shape(Arc::clone(&shape)), bytes, now);
        let stays = |frame: &Frame| !shape.discontinuity && shape.track(frame.track).is_some();
        if !self.sticky.iter().all(stays) {
            self.sticky =
                Arc::new(self.sticky.iter().filter(|frame| stays(frame)).cloned().collect());
        }
        self.shape = Some(shape);
        self.evict(now, garbage);
    }

    /// Adds a frame. What falls out goes to `garbage`, to be dropped when nothing is locked.
    pub(in crate::hub) fn append(
        &mut self,
        frame: Frame,
        opening: Opening,
        now: Ns,
        garbage: &mut Vec<Segment>,
    ) {
        if opening != Opening::Continued || self.newest_is_full(now) {
            self.open(opening, now);
        }
        if frame.flags.sticky {
            self.keep_sticky(&frame);
        }
        let bytes = frame.payload.len();
        self.push(Entry::Frame(frame), bytes, now);
        self.evict(now, garbage);
    }

    /// Gives up all history in front of the newest start point.
    pub(in crate::hub) fn shed_history(&mut self, garbage: &mut Vec<Segment>) {
        let last = self.segments.len().saturating_sub(1);
        for _ in 0..self.segments.iter().rposition(Segment::is_start).unwrap_or(last) {
            self.drop_oldest(garbage);
        }
    }

    /// Gives up all but what readers that keep up are about to read.
    pub(in crate::hub) fn shed_all(&mut self, garbage: &mut Vec<Segment>) {
        for _ in 1..self.segments.len() {
            self.drop_oldest(garbage);
        }
    }

    fn newest_is_full(&self, now: Ns) -> bool {
        self.segments.back().is_none_or(|newest| {
            newest.bytes >= self.limits.max_bytes / SEGMENTS_PER_RING
                || now - newest.opened >= ns(self.limits.max_time) / SEGMENTS_PER_RING as Ns
                || newest.entries.len() >= SEGMENT_ENTRIES_MAX
        })
    }

    fn open(&mut self, opening: Opening, now: Ns) {
        if opening != Opening::Continued {
            self.gop_lost = false;
        }
        self.segments.push_back(Segment {
            first: self.end(),
            opening,
            shape: self.shape.clone(),
            sticky: Arc::clone(&self.sticky),
            entries: Vec::new(),
            frames: 0,
            bytes: 0,
            opened: now,
            newest: now,
        });
    }

    fn push(&mut self, entry: Entry, payload: usize, now: Ns) {
        let Some(newest) = self.segments.back_mut() else { return };
        let bytes = payload + size_of::<Entry>();
        newest.frames += u64::from(matches!(entry, Entry::Frame(_)));
        newest.entries.push(entry);
        newest.bytes += bytes;
        newest.newest = now;
        self.bytes += bytes;
    }

    fn keep_sticky(&mut self, frame: &Frame) {
        let sticky = Arc::make_mut(&mut self.sticky);
        match sticky.iter_mut().find(|kept| kept.track == frame.track) {
            Some(kept) => *kept = frame.clone(),
            None => sticky.push(frame.clone()),
        }
    }

    fn evict(&mut self, now: Ns, garbage: &mut Vec<Segment>) {
        while let Some(oldest) = self.segments.front() {
            let too_old = now - oldest.newest > ns(self.limits.max_time);
            let is_only = self.segments.len() == 1;
            let is_over = too_old || self.bytes > self.limits.max_bytes;
            if is_only || !(is_over || self.is_idle_history(oldest, now)) {
                return;
            }
            self.drop_oldest(garbage);
        }
    }

    /// In front of the newest GOP, longer than was asked for, and read by all.
    fn is_idle_history(&self, oldest: &Segment, now: Ns) -> bool {
        oldest.end().entry <= self.needed
            && now - oldest.newest > ns(self.limits.history)
            && self.segments.iter().skip(1).any(Segment::is_start)
    }

    fn drop_oldest(&mut self, garbage: &mut Vec<Segment>) {
        let Some(oldest) = self.segments.pop_front() else { return };
        self.bytes -= oldest.bytes;
        if oldest.is_start() && self.newest_start().is_none() {
            self.gop_lost = true;
        }
        garbage.push(oldest);
    }
}
