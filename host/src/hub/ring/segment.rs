//! A piece of a ring: entries that are only ever added at its end, and what a reader has to know to begin at its front.
//!
//! A GOP is one or more of them: the first begins at a start point, the others continue it.

use std::sync::Arc;

use plugin_api::frame::{Frame, Ns, Shape};

/// Where in a stream: how many entries and how many frames come before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::hub) struct Position {
    pub(in crate::hub) entry: u64,
    pub(in crate::hub) frame: u64,
}

/// What is written, in order.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Frame(Frame),
    Shape(Arc<Shape>),
}

/// Whether a reader may begin in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Opening {
    /// At any of its frames.
    Anywhere,
    /// Nowhere: it continues the one before.
    Continued,
    /// At its first frame.
    StartPoint,
}

/// A run of entries.
#[derive(Debug)]
pub(in crate::hub) struct Segment {
    pub(super) first: Position,
    pub(super) opening: Opening,
    /// In force at the first entry.
    pub(super) shape: Option<Arc<Shape>>,
    /// Sticky frames in force at the first entry.
    pub(super) sticky: Arc<Vec<Frame>>,
    pub(super) entries: Vec<Entry>,
    pub(super) frames: u64,
    pub(super) bytes: usize,
    /// When its first and its newest entry came.
    pub(super) opened: Ns,
    pub(super) newest: Ns,
}

impl Segment {
    /// The position behind its last entry.
    pub(super) fn end(&self) -> Position {
        Position {
            entry: self.first.entry + self.entries.len() as u64,
            frame: self.first.frame + self.frames,
        }
    }

    pub(super) fn is_start(&self) -> bool {
        self.opening != Opening::Continued
    }

    /// The entries from a position on.
    pub(super) fn from(&self, position: Position) -> &[Entry] {
        let index =
            usize::try_from(position.entry.saturating_sub(self.first.entry)).unwrap_or(usize::MAX);
        self.entries.get(index..).unwrap_or(&[])
    }

    /// The dts of its first frame.
    pub(super) fn first_dts(&self) -> Option<Ns> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Frame(frame) => Some(frame.dts),
            Entry::Shape(_) => None,
        })
    }

    /// Where a reader is that begins at this entry, and the shape in force there.
    pub(super) fn seek(&self, entry: u64) -> (Position, Option<Arc<Shape>>) {
        let mut position = self.first;
        let mut shape = self.shape.clone();
        for passed in &self.entries {
            if position.entry >= entry {
                break;
            }
            position.entry += 1;
            match passed {
                Entry::Frame(_) => position.frame += 1,
                Entry::Shape(next) => shape = Some(Arc::clone(next)),
            }
        }
        (position, shape)
    }
}
