//! Where a reader is, and what one read gives.

use std::sync::Arc;

use plugin_api::frame::{Frame, Ns, Shape};

use super::Ring;
use super::segment::{Entry, Opening, Position, Segment};
use crate::hub::batch::{Batch, StartAt};

/// A reader's place in a ring.
#[derive(Debug)]
pub(in crate::hub) struct Cursor {
    place: Place,
    /// Number of the newest shape that the reader has been given.
    shape: Option<u32>,
    sticky: Sticky,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Not begun.
    Begin(StartAt, Position),
    /// Lapped at this position, waiting for a start point.
    Lost(Position),
    /// The next entry to be read.
    Next(Position),
}

/// Sticky frames that come before the first frame of the ring.
#[derive(Debug, Default)]
struct Sticky {
    frames: Option<Arc<Vec<Frame>>>,
    given: usize,
    /// Of the frame that the reader begins at: their own stamps may be hours old.
    dts: Ns,
}

/// Where reading begins, with what a reader has to be told first.
struct Start<'a> {
    position: Position,
    shape: Option<Arc<Shape>>,
    segment: &'a Segment,
}

impl<'a> Start<'a> {
    fn at_front(segment: &'a Segment) -> Self {
        Self { position: segment.first, shape: segment.shape.clone(), segment }
    }
}

impl Cursor {
    /// A reader that joins now: `end` is the ring's.
    pub(in crate::hub) fn new(start: StartAt, end: Position) -> Self {
        Self { place: Place::Begin(start, end), shape: None, sticky: Sticky::default() }
    }

    /// The next entry that it has to get, once it has begun.
    pub(in crate::hub) fn next_entry(&self) -> Option<u64> {
        match self.place {
            Place::Next(position) => Some(position.entry),
            Place::Begin(..) | Place::Lost(_) => None,
        }
    }

    /// Whether it waits for a start point that is yet to come.
    pub(in crate::hub) fn is_waiting_for_start(&self) -> bool {
        !matches!(self.place, Place::Next(_))
    }
}

impl Ring {
    /// Moves up to `max` frames into `out`. False: nothing is there yet.
    pub(in crate::hub) fn read(&self, cursor: &mut Cursor, max: usize, out: &mut Batch) -> bool {
        out.shape = None;
        out.frames.clear();
        out.lost = 0;
        let Some(mut position) = self.resume(cursor, out) else { return false };
        let max = max.max(1);
        cursor.give_sticky(max, out);
        let first = self.segments.partition_point(|segment| segment.end().entry <= position.entry);
        'read: for segment in self.segments.range(first..) {
            for entry in segment.from(position) {
                match entry {
                    Entry::Frame(_) if out.frames.len() >= max => break 'read,
                    Entry::Frame(frame) => {
                        out.frames.push(frame.clone());
                        position.frame += 1;
                    }
                    Entry::Shape(shape) if cursor.knows(shape) => {}
                    Entry::Shape(_) if out.shape.is_some() || !out.frames.is_empty() => break 'read,
                    Entry::Shape(shape) => {
                        cursor.shape = Some(shape.number);
                        out.shape = Some(Arc::clone(shape));
                    }
                }
                position.entry += 1;
            }
        }
        cursor.place = Place::Next(position);
        out.shape.is_some() || !out.frames.is_empty()
    }

    /// Where the cursor reads on, after going to a start point if it has to.
    fn resume(&self, cursor: &mut Cursor, out: &mut Batch) -> Option<Position> {
        if let Place::Next(position) = cursor.place {
            if self.segments.front().is_none_or(|oldest| position.entry >= oldest.first.entry) {
                return Some(position);
            }
            cursor.place = Place::Lost(position);
        }
        let start = match cursor.place {
            Place::Begin(start, joined) => self.start(start, joined)?,
            Place::Lost(_) | Place::Next(_) => self.start(StartAt::Newest, Position::default())?,
        };
        if let Place::Lost(position) = cursor.place {
            out.lost = start.position.frame.saturating_sub(position.frame);
        }
        let shape = start.shape.map(|shape| self.settled_form(shape, start.position));
        if let Some(shape) = shape.filter(|shape| !cursor.knows(shape)) {
            cursor.shape = Some(shape.number);
            out.shape = Some(shape);
        }
        cursor.sticky = Sticky {
            frames: Some(Arc::clone(&start.segment.sticky)),
            given: 0,
            dts: start.segment.first_dts().unwrap_or(0),
        };
        Some(start.position)
    }

    fn start(&self, start: StartAt, joined: Position) -> Option<Start<'_>> {
        let mut starts = self.segments.iter().filter(|segment| segment.is_start());
        match start {
            StartAt::Oldest => starts.next().map(Start::at_front),
            StartAt::Newest => starts.next_back().map(Start::at_front),
            StartAt::Live => {
                // What continues a segment that can be joined anywhere can be joined as well: its end is the next start.
                let segment = starts.find(|segment| {
                    let is_open = segment.opening == Opening::Anywhere;
                    segment.first.entry >= joined.entry
                        || (is_open && segment.end().entry > joined.entry)
                })?;
                let (position, shape) = segment.seek(joined.entry);
                Some(Start { position, shape, segment })
            }
        }
    }

    /// The shape to begin with at a position. A stream's first GOP begins while tracks are still being added; a reader that
    /// comes later is told at once what they became, if that only adds to what the frames before need.
    fn settled_form(&self, shape: Arc<Shape>, from: Position) -> Arc<Shape> {
        if shape.settled {
            return shape;
        }
        let first = self.segments.partition_point(|segment| segment.end().entry <= from.entry);
        let later = self.segments.range(first..).flat_map(|segment| segment.from(from));
        for entry in later {
            let Entry::Shape(next) = entry else { continue };
            if next.discontinuity || !extends(next, &shape) {
                break;
            }
            if next.settled {
                return Arc::clone(next);
            }
        }
        shape
    }
}

impl Cursor {
    fn knows(&self, shape: &Shape) -> bool {
        self.shape.is_some_and(|number| shape.number <= number)
    }

    fn give_sticky(&mut self, max: usize, out: &mut Batch) {
        let Sticky { frames: Some(frames), given, dts } = &mut self.sticky else { return };
        let (dts, pts) = (*dts, *dts);
        for frame in frames.iter().skip(*given).take(max) {
            out.frames.push(Frame { dts, pts, ..frame.clone() });
            *given += 1;
        }
        if *given == frames.len() {
            self.sticky.frames = None;
        }
    }
}

/// Whether every track of `old` is in `new` with the same decoder configuration.
fn extends(new: &Shape, old: &Shape) -> bool {
    let stays = |track: &Arc<plugin_api::frame::Track>| {
        new.track(track.id)
            .is_some_and(|now| now.config_number == track.config_number && now.codec == track.codec)
    };
    old.tracks.iter().all(stays)
}
