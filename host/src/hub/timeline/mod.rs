//! Maps the clock of each publisher onto the one timeline of its stream, and mends what encoders get wrong.
//!
//! A fresh stream's time is its first publisher's: stamps are kept as they are, so that what a viewer sees equals what the
//! encoder wrote. After that, one offset per publisher maps all its tracks, so that audio and video stay together:
//!
//! - The first frame of a publisher that takes over or comes back follows the last one by the wall time between them.
//! - A step of more than [`STEP_MAX`], or backwards, becomes one frame interval. The offset that does it is the publisher's from
//!   there on; other tracks adopt it when their own stamps make the same jump, which interleaving lets them do some frames
//!   later.
//! - A stamp that is equal to the one before, or behind it by less than [`WOBBLE`], is put just after it; the offset stays.
//! - A track that was silent and comes back where the others are is right, however long the step.
//!
//! pts keeps its distance from dts. Data tracks follow and never set the pace: RTMP sends its metadata with stamp 0.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use plugin_api::frame::{Frame, NS_PER_MS, Ns};

/// A longer step of time is a jump of the clock, not a pause.
pub(super) const STEP_MAX: Ns = 3_000 * NS_PER_MS;

/// What comes back by less is out of order, not a jump.
pub(super) const WOBBLE: Ns = 200 * NS_PER_MS;

/// How far a repaired stamp is put behind the one before: the tick of RTMP and FLV, so that it rises there as well.
pub(super) const NUDGE: Ns = NS_PER_MS;

/// A new track that begins this far from the others has a clock of its own.
const NEW_TRACK_MAX: Ns = 10_000 * NS_PER_MS;

/// The interval of a track of which nothing is known.
const INTERVAL: Ns = 20 * NS_PER_MS;

/// Longer intervals are pauses.
const INTERVAL_MAX: Ns = 1_000 * NS_PER_MS;

/// Stamps beyond are no time but an error: 73 years in nanoseconds, far from where sums overflow.
const STAMP_MAX: Ns = 1 << 61;

/// Tracks remembered; ids that are no longer in the shape are forgotten above.
const TRACKS_REMEMBERED: usize = 256;

/// The time of one stream.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// From the publisher's clock to the stream's; `None` until the publisher's first frame.
    offset: Option<Ns>,
    /// The newest dts of a track that sets the pace, and when it came.
    front: Option<Front>,
    tracks: BTreeMap<u32, TrackTime>,
    repaired: u64,
}

#[derive(Clone, Copy, Debug)]
struct Front {
    dts: Ns,
    at: Ns,
}

#[derive(Debug)]
struct TrackTime {
    /// The newest dts on the stream's timeline, over all publishers.
    last: Ns,
    /// Of the present publisher; `None` before its first frame of this track.
    offset: Option<Ns>,
    interval: Ns,
}

/// Whether a track sets the pace or follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Follows,
    Sets,
}

/// What was done to a frame's stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Mapped, and nothing else.
    Kept,
    /// Put just after the frame before.
    Nudged,
    /// The publisher's clock jumped from where it should have been by this much.
    Rebased(Ns),
    /// No time at all: the frame can't be used.
    Unusable,
}

impl Timeline {
    /// Another publisher begins, or the same one again.
    pub(super) fn on_publisher(&mut self) {
        self.offset = None;
        for track in self.tracks.values_mut() {
            track.offset = None;
        }
    }

    /// The same time for the next stream of the name, which counts its own repairs. `None`: it has not begun.
    pub(super) fn hand_on(&mut self) -> Option<Self> {
        self.front?;
        Some(Self { repaired: 0, ..std::mem::take(self) })
    }

    /// These tracks are in the shape from here on.
    pub(super) fn on_tracks(&mut self, ids: &[u32]) {
        if self.tracks.len() > TRACKS_REMEMBERED {
            self.tracks.retain(|id, _| ids.contains(id));
        }
    }

    /// Stamps that were not taken as they came.
    pub(super) fn repaired(&self) -> u64 {
        self.repaired
    }

    /// Maps a frame's stamps in place. `now` is when it came.
    pub(super) fn stamp(&mut self, frame: &mut Frame, pace: Pace, now: Ns) -> Stamp {
        if !(-STAMP_MAX..=STAMP_MAX).contains(&frame.dts) {
            self.repaired += 1;
            return Stamp::Unusable;
        }
        let (dts, stamp) = match pace {
            Pace::Follows => self.follow(frame, now),
            Pace::Sets => self.lead(frame, now),
        };
        let composition_offset = frame.pts.saturating_sub(frame.dts);
        frame.dts = dts;
        frame.pts = dts.saturating_add(composition_offset);
        if stamp != Stamp::Kept {
            self.repaired += 1;
        }
        stamp
    }

    fn lead(&mut self, frame: &Frame, now: Ns) -> (Ns, Stamp) {
        // Only a publisher's later tracks are compared with where it is; its first frame says where that is.
        let front = self.offset.and(self.front).map(|front| front.dts);
        let offset = match self.offset {
            Some(offset) => offset,
            None => *self.offset.insert(self.first_dts(frame.dts, now) - frame.dts),
        };
        let (dts, track_offset, stamp) = match self.tracks.get(&frame.track) {
            None => place_first(frame, offset, None, front),
            Some(TrackTime { offset: None, last, .. }) => {
                place_first(frame, offset, Some(*last), front)
            }
            Some(TrackTime { offset: Some(own), last, interval }) => {
                let (own, last, interval) = (*own, *last, interval_of(frame).unwrap_or(*interval));
                self.place_next(frame, own, last, interval)
            }
        };
        if matches!(stamp, Stamp::Rebased(_)) && self.has_begun(frame.track) {
            self.offset = Some(track_offset);
        }
        let track = self.tracks.entry(frame.track).or_insert(TrackTime {
            last: dts,
            offset: None,
            interval: INTERVAL,
        });
        let step = dts - track.last;
        if stamp == Stamp::Kept && track.offset.is_some() && step > 0 && step <= INTERVAL_MAX {
            track.interval = step;
        }
        track.offset = Some(track_offset);
        track.last = dts;
        if self.front.is_none_or(|front| dts >= front.dts) {
            self.front = Some(Front { dts, at: now });
        }
        (dts, stamp)
    }

    fn has_begun(&self, track: u32) -> bool {
        self.tracks.get(&track).is_some_and(|track| track.offset.is_some())
    }

    /// Where a publisher's first frame goes.
    fn first_dts(&self, dts: Ns, now: Ns) -> Ns {
        self.front.map_or(dts, |front| front.dts + (now - front.at).max(NUDGE))
    }

    /// A frame of a track that is running: dts, the track's offset, what was done.
    fn place_next(&self, frame: &Frame, own: Ns, last: Ns, interval: Ns) -> (Ns, Ns, Stamp) {
        let mapped = frame.dts.saturating_add(own);
        let step = mapped.saturating_sub(last);
        if step > 0 && step <= STEP_MAX {
            return (mapped, own, Stamp::Kept);
        }
        if (-WOBBLE..=0).contains(&step) {
            return (last + NUDGE, own, Stamp::Nudged);
        }
        let front = self.front.map_or(last, |front| front.dts);
        let is_near = |dts: Ns| dts > last - WOBBLE && dts <= front.max(last) + STEP_MAX;
        if step > 0 && is_near(mapped) {
            // It was silent, and is where the others are.
            return (mapped, own, Stamp::Kept);
        }
        if let Some(offset) = self.offset.filter(|&offset| offset != own)
            && is_near(frame.dts.saturating_add(offset))
        {
            let adopted = frame.dts.saturating_add(offset);
            return (adopted.max(last + NUDGE), offset, Stamp::Kept);
        }
        let was_silent = front - last > STEP_MAX;
        let dts = if was_silent { front } else { last + interval };
        (dts, dts - frame.dts, Stamp::Rebased(mapped.saturating_sub(dts)))
    }

    fn follow(&mut self, frame: &Frame, now: Ns) -> (Ns, Stamp) {
        let front = self.front.map(|front| front.dts);
        let mut dts = match self.offset {
            Some(offset) => frame.dts.saturating_add(offset),
            None => self.first_dts(frame.dts, now),
        };
        if let (Some(front), Some(_)) = (front, self.offset)
            && dts.saturating_sub(front).saturating_abs() > STEP_MAX
        {
            dts = front;
        }
        let track = self.tracks.entry(frame.track).or_insert(TrackTime {
            last: dts - NUDGE,
            offset: None,
            interval: INTERVAL,
        });
        if dts <= track.last {
            dts = track.last + NUDGE;
        }
        track.last = dts;
        (dts, Stamp::Kept)
    }
}

/// The first frame of a track from its publisher: dts, the track's offset, what was done.
fn place_first(frame: &Frame, offset: Ns, last: Option<Ns>, front: Option<Ns>) -> (Ns, Ns, Stamp) {
    let mapped = frame.dts.saturating_add(offset);
    if let Some(front) = front
        && mapped.saturating_sub(front).saturating_abs() > NEW_TRACK_MAX
    {
        let dts = last.map_or(front, |last| front.max(last + NUDGE));
        return (dts, dts - frame.dts, Stamp::Rebased(mapped.saturating_sub(dts)));
    }
    match last {
        Some(last) if mapped <= last => (last + NUDGE, offset, Stamp::Nudged),
        _ => (mapped, offset, Stamp::Kept),
    }
}

fn interval_of(frame: &Frame) -> Option<Ns> {
    (1..=INTERVAL_MAX).contains(&frame.duration).then_some(frame.duration)
}
