//! When which frame of which stream is due.
//!
//! clip → **schedule** → publisher, bare loop
//!
//! Streams start at different moments of a GOP, as streams of different encoders do, so that not all
//! keyframes come at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clip::{FRAME_MS, Frame, Frames, GOP_FRAMES};

const MS: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Schedule {
    /// The time and the number of the stream whose next frame is due then.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    start_ns: u64,
    frames: Frames,
    next: Frame,
}

impl Schedule {
    pub(crate) fn new(streams: usize, start_ns: u64) -> Self {
        let gop_ns = u64::from(GOP_FRAMES * FRAME_MS) * MS;
        let mut schedule = Self { due: BinaryHeap::new(), streams: Vec::new() };
        for index in 0..streams {
            let share = u64::try_from(index * 1000 / streams).unwrap_or(0);
            let start_ns = start_ns + gop_ns * share / 1000;
            let mut frames = Frames::default();
            let Some(next) = frames.next() else { continue };
            schedule.streams.push(Stream { start_ns, frames, next });
            schedule.due.push(Reverse((start_ns, index)));
        }
        schedule
    }

    /// When the next frame is due.
    pub(crate) fn next_ns(&self) -> u64 {
        self.due.peek().map_or(u64::MAX, |Reverse((due, _))| *due)
    }

    /// Takes the next frame: its stream and itself.
    pub(crate) fn take(&mut self) -> Option<(usize, Frame)> {
        let Reverse((_, index)) = self.due.pop()?;
        let stream = self.streams.get_mut(index)?;
        let frame = stream.next;
        // A clip ends after seven weeks.
        stream.next = stream.frames.next()?;
        let due = stream.start_ns + u64::from(stream.next.time_ms) * MS;
        self.due.push(Reverse((due, index)));
        Some((index, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_runs_at_its_own_pace() {
        let mut schedule = Schedule::new(4, 1000 * MS);
        let mut first = [None; 4];
        let mut counts = [0; 4];
        let mut last = 0;
        while schedule.next_ns() < 5000 * MS {
            let due = schedule.next_ns();
            let (stream, frame) = schedule.take().unwrap();
            assert!(due >= last);
            last = due;
            counts[stream] += 1;
            let start = *first[stream].get_or_insert(due);
            assert_eq!(due - start, u64::from(frame.time_ms) * MS);
        }

        assert_eq!(first.map(|first| first.unwrap() / MS), [1000, 1500, 2000, 2500]);
        assert_eq!(counts[0], 100 + 188);
    }
}
