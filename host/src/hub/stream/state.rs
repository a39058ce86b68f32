//! All that changes about a stream, under one short lock; each file beside this one holds what one side does to it.

use std::task::Waker;

use plugin_api::frame::Ns;
use slab::Slab;

use super::start_points::StartPoints;
use super::stats::Stats;
use super::writer::{Watch, Writer};
use crate::hub::batch::Batch;
use crate::hub::clock::ms;
use crate::hub::effects::Effects;
use crate::hub::info::{Joinable, ReaderCounts, StreamInfo, StreamState};
use crate::hub::key::StreamKey;
use crate::hub::outcome::Reason;
use crate::hub::publisher::Notice;
use crate::hub::readers::Readers;
use crate::hub::ring::{Cursor, Opening, Ring};
use crate::hub::settings::Settings;
use crate::hub::subscriber::{ReadOutcome, ReaderKind};
use crate::hub::timeline::Timeline;

/// A publisher is asked for a keyframe this often at most, whoever wants one.
const KEYFRAME_REQUEST_INTERVAL: Ns = 1_000_000_000;

/// Where a stream is in its life.
pub(super) enum Phase {
    /// Only waited for.
    Absent,
    /// For ever; readers take what is left and end with this.
    Ended(Reason),
    Publishing(Box<Writer>),
    /// The publisher is gone and may come back until then.
    Window(Ns),
}

/// The state of a stream.
pub(in crate::hub) struct State {
    pub(super) phase: Phase,
    pub(super) ring: Ring,
    pub(super) timeline: Timeline,
    pub(super) start_points: StartPoints,
    pub(super) stats: Stats,
    /// When its first publisher came.
    pub(super) started: Option<Ns>,
    /// Whether it has settled once; from then on no reader is held back.
    pub(super) has_settled: bool,
    pub(in crate::hub) readers: Readers,
    /// Who waits for a publisher, and until when.
    pub(super) waiters: Slab<(Option<Waker>, Ns)>,
    counts: ReaderCounts,
    keyframe_asked: Option<Ns>,
}

impl State {
    /// Tells the ring what its readers have still to get.
    pub(super) fn update_needed(&mut self) {
        self.ring.set_needed(self.readers.needed());
    }

    pub(super) fn new(settings: &Settings, timeline: Timeline) -> Self {
        Self {
            phase: Phase::Absent,
            ring: Ring::new(settings.ring),
            timeline,
            start_points: StartPoints::default(),
            stats: Stats::default(),
            started: None,
            has_settled: false,
            readers: Readers::default(),
            waiters: Slab::new(),
            counts: ReaderCounts::default(),
            keyframe_asked: None,
        }
    }

    /// The publisher, if it is the one with this id.
    pub(super) fn writer(&mut self, id: u64) -> Option<&mut Writer> {
        match &mut self.phase {
            Phase::Publishing(writer) if writer.id == id => Some(writer),
            _ => None,
        }
    }

    /// Whether there is a publisher that has named its tracks.
    pub(super) fn is_readable(&self) -> bool {
        matches!(&self.phase, Phase::Publishing(writer) if writer.tracks_since.is_some())
    }

    /// Whether nothing but the registry knows it.
    pub(super) fn is_vacant(&self) -> bool {
        matches!(self.phase, Phase::Absent) && self.waiters.is_empty()
    }

    /// What a reader gets now. `None`: nothing yet.
    pub(in crate::hub) fn read(
        &mut self,
        slot: usize,
        cursor: &mut Cursor,
        settled_only: bool,
        max: usize,
        out: &mut Batch,
    ) -> Option<ReadOutcome> {
        let is_held = settled_only && !self.has_settled && cursor.is_waiting_for_start();
        if !is_held && self.ring.read(cursor, max, out) {
            self.stats.lost += out.lost;
            self.readers.set_next(slot, cursor.next_entry());
            return Some(ReadOutcome::Batch);
        }
        match self.phase {
            Phase::Ended(reason) => Some(ReadOutcome::End(reason)),
            _ => None,
        }
    }

    /// Whether anything was ever written.
    pub(in crate::hub) fn has_frames(&self) -> bool {
        self.stats.frames > 0
    }

    /// Tells the publisher that somebody waits for a keyframe, unless it was told a moment ago.
    pub(in crate::hub) fn want_keyframe(&mut self, now: Ns, effects: &mut Effects) {
        let Phase::Publishing(writer) = &self.phase else { return };
        if self.keyframe_asked.is_some_and(|asked| now - asked < KEYFRAME_REQUEST_INTERVAL) {
            return;
        }
        self.keyframe_asked = Some(now);
        effects.wakers.extend(writer.notices.put(Notice::KeyframeWanted));
    }

    pub(super) fn wake_readers(&mut self, effects: &mut Effects) {
        effects.wakers.extend(self.readers.take_wakers());
    }

    pub(super) fn wake_waiters(&mut self, effects: &mut Effects) {
        effects.wakers.extend(self.waiters.iter_mut().filter_map(|(_, (waker, _))| waker.take()));
    }

    pub(super) fn count(&mut self, kind: ReaderKind) -> &mut usize {
        match kind {
            ReaderKind::Packager => &mut self.counts.packager,
            ReaderKind::Player => &mut self.counts.player,
            ReaderKind::Pusher => &mut self.counts.pusher,
            ReaderKind::Recorder => &mut self.counts.recorder,
            ReaderKind::Snapshot => &mut self.counts.snapshot,
        }
    }

    /// The number of players has changed.
    pub(super) fn on_players(&mut self, now: Ns, effects: &mut Effects) {
        let is_watched = self.counts.player > 0;
        let Phase::Publishing(writer) = &mut self.phase else { return };
        let notice = match (writer.watch, is_watched) {
            (Watch::Watched, false) => Notice::LastReader,
            (Watch::NeverYet(_) | Watch::NotSince(_), true) => Notice::FirstReader,
            _ => return,
        };
        writer.watch = if is_watched { Watch::Watched } else { Watch::NotSince(now) };
        effects.wakers.extend(writer.notices.put(notice));
    }

    /// A snapshot; `None` unless it has begun and not ended.
    pub(super) fn info(&self, key: &StreamKey, now: Ns) -> Option<StreamInfo> {
        let (state, writer) = match &self.phase {
            Phase::Absent | Phase::Ended(_) => return None,
            Phase::Publishing(writer) if writer.is_settled => {
                (StreamState::Publishing, Some(writer))
            }
            Phase::Publishing(writer) => (StreamState::Settling, Some(writer)),
            Phase::Window(_) => (StreamState::WaitingForPublisher, None),
        };
        let shape = self.ring.shape();
        let lead = shape.and_then(|shape| shape.lead());
        Some(StreamInfo {
            key: key.clone(),
            state,
            publisher: writer.map(|writer| writer.info(now)),
            shape: shape.map(|shape| shape.number),
            tracks: shape.map(|shape| self.stats.tracks(shape, now)).unwrap_or_default(),
            uptime_ms: self.started.map_or(0, |started| ms(now - started)),
            frames: self.stats.frames,
            bytes: self.stats.bytes,
            bits_per_second: self.stats.bits_per_second(),
            fps: lead.map_or(0.0, |lead| self.stats.fps(lead.id)),
            gop_ms: self.start_points.gop().map(ms),
            joinable: match self.ring.newest_start() {
                Some(Opening::Anywhere) => Joinable::Anywhere,
                Some(Opening::StartPoint) => Joinable::AtStartPoint,
                Some(Opening::Continued) | None => Joinable::NextStartPoint,
            },
            gop_exceeds_ring: self.ring.gop_exceeds_ring(),
            ring_bytes: self.ring.bytes(),
            ring_ms: ms(self.ring.span()),
            readers: self.counts,
            repaired_stamps: self.timeline.repaired(),
            dropped_frames: self.stats.dropped,
            lost_frames: self.stats.lost,
            sent_to_former_viewers: self.stats.sent_to_former_viewers,
        })
    }
}
