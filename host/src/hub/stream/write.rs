//! What a publisher does to its stream: begin, name tracks, push, be ready.

use std::sync::Arc;

use plugin_api::frame::{Frame, Ns, Shape, Track, TrackKind};

use super::start_points::Verdict;
use super::state::{Phase, State};
use super::writer::Writer;
use crate::hub::clock::ns;
use crate::hub::effects::{Effects, Line, Start};
use crate::hub::outcome::{Reason, Refusal, Status};
use crate::hub::publisher::Pushed;
use crate::hub::settings::{OnConflict, Settings};
use crate::hub::shared::Pressure;
use crate::hub::timeline::{Pace, Stamp};

/// As in streams.h.
const TRACKS_MAX: usize = plugin_api::abi::streams::TRACKS_MAX;

/// Why a publisher can't begin on a stream.
pub(in crate::hub) enum NotBegun {
    /// The stream has ended meanwhile: there is room for another one. The publisher comes back.
    Ended(Box<Writer>),
    Refused(Refusal),
}

impl State {
    /// Makes `writer` the publisher, in place of another one if the settings say so.
    pub(super) fn begin(
        &mut self,
        mut writer: Box<Writer>,
        settings: &Settings,
        pressure: Pressure,
        now: Ns,
        effects: &mut Effects,
    ) -> Result<(), NotBegun> {
        match &mut self.phase {
            Phase::Ended(_) => return Err(NotBegun::Ended(writer)),
            Phase::Absent if pressure >= Pressure::History => {
                return Err(NotBegun::Refused(Refusal::new(
                    Status::Limit,
                    "the server is short of memory",
                )));
            }
            Phase::Absent | Phase::Window(_) => {}
            Phase::Publishing(old) => {
                check_conflict(old, &writer, settings, now).map_err(NotBegun::Refused)?;
                // Its own place among the publishers is free as soon as the old one's is its.
                writer.slot = old.slot.take().or(writer.slot);
                self.end_writer(Reason::Replaced, now, effects);
            }
        }
        if writer.slot.is_none() {
            return Err(NotBegun::Refused(too_many_publishers(settings)));
        }
        self.started.get_or_insert(now);
        self.timeline.on_publisher();
        self.phase = Phase::Publishing(writer);
        self.on_players(now, effects);
        Ok(())
    }

    /// The whole set of tracks from here on.
    pub(super) fn set_tracks(
        &mut self,
        id: u64,
        tracks: Vec<Track>,
        now: Ns,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        check_tracks(&tracks)?;
        let old = self.ring.shape().cloned();
        let Some(writer) = self.writer(id) else {
            return Err(Refusal::new(Status::Cancelled, "the publisher has ended"));
        };
        let is_first = writer.tracks_since.is_none();
        let settled = writer.is_settled;
        writer.tracks_since.get_or_insert(now);
        let has_same = |old: &Arc<Shape>| old.tracks.iter().map(|track| &**track).eq(tracks.iter());
        if !is_first && old.as_ref().is_some_and(has_same) {
            return Ok(());
        }
        let known = |track: Track| match old.as_ref().and_then(|old| old.track(track.id)) {
            Some(known) if **known == track => Arc::clone(known),
            _ => Arc::new(track),
        };
        let tracks = tracks.into_iter().map(known).collect();
        self.append_shape(tracks, settled, is_first && old.is_some(), now, effects);
        if is_first {
            self.wake_waiters(effects);
        }
        Ok(())
    }

    /// All tracks of this publisher are there.
    pub(super) fn ready(&mut self, id: u64, now: Ns, effects: &mut Effects) {
        let Some(writer) = self.writer(id) else { return };
        if std::mem::replace(&mut writer.is_settled, true) || writer.tracks_since.is_none() {
            return;
        }
        let Some(shape) = self.ring.shape().cloned() else { return };
        self.append_shape(shape.tracks.clone(), true, false, now, effects);
    }

    fn append_shape(
        &mut self,
        tracks: Vec<Arc<Track>>,
        settled: bool,
        discontinuity: bool,
        now: Ns,
        effects: &mut Effects,
    ) {
        let number = self.ring.shape().map_or(1, |shape| shape.number.wrapping_add(1));
        let ids: Vec<u32> = tracks.iter().map(|track| track.id).collect();
        let shape = Arc::new(Shape { number, settled, discontinuity, tracks });
        self.timeline.on_tracks(&ids);
        self.start_points.on_shape(&shape);
        self.stats.on_shape(&shape);
        self.ring.append_shape(Arc::clone(&shape), now, &mut effects.garbage);
        self.has_settled |= settled;
        if let (true, Phase::Publishing(writer)) = (settled, &mut self.phase)
            && !std::mem::replace(&mut writer.has_logged_start, true)
        {
            effects.lines.push(Line::Start(Box::new(start_line(writer, &shape))));
        }
        self.wake_readers(effects);
    }

    /// Appends frames whose stamps are the publisher's.
    pub(super) fn push(
        &mut self,
        id: u64,
        frames: &[Frame],
        pressure: Pressure,
        now: Ns,
        effects: &mut Effects,
    ) -> Pushed {
        let Some(writer) = self.writer(id) else { return Pushed::Ended };
        if frames.is_empty() {
            return Pushed::Ok;
        }
        writer.last_data = now;
        let has_tracks = writer.tracks_since.is_some();
        let Some(shape) = self.ring.shape().filter(|_| has_tracks).cloned() else {
            self.stats.dropped += frames.len() as u64;
            return Pushed::Dropped;
        };
        self.update_needed();
        let mut kept: u64 = 0;
        let mut bytes: u64 = 0;
        for frame in frames {
            if let Some(length) = self.append(&shape, frame.clone(), now, effects) {
                kept += 1;
                bytes += length;
            }
        }
        self.shed(pressure, effects);
        self.stats.dropped += frames.len() as u64 - kept;
        if kept == 0 {
            return Pushed::Dropped;
        }
        if let Some(writer) = self.writer(id) {
            writer.frames += kept;
            writer.bytes += bytes;
        }
        self.wake_readers(effects);
        Pushed::Ok
    }

    /// How many bytes were kept.
    fn append(
        &mut self,
        shape: &Shape,
        mut frame: Frame,
        now: Ns,
        effects: &mut Effects,
    ) -> Option<u64> {
        let track = shape.track(frame.track)?;
        let follows = track.kind == TrackKind::Data && shape.lead().is_some();
        let pace = if follows { Pace::Follows } else { Pace::Sets };
        match self.timeline.stamp(&mut frame, pace, now) {
            Stamp::Kept | Stamp::Nudged => {}
            Stamp::Rebased(by) => self.log_jump(frame.track, by, effects),
            Stamp::Unusable => return None,
        }
        let Verdict::Keep(opening) = self.start_points.judge(&frame, now) else { return None };
        let bytes = frame.payload.len() as u64;
        self.stats.count(&frame, bytes, now);
        self.ring.append(frame, opening, now, &mut effects.garbage);
        Some(bytes)
    }

    /// Gives up what memory pressure asks for.
    pub(super) fn shed(&mut self, pressure: Pressure, effects: &mut Effects) {
        match pressure {
            Pressure::None => {}
            Pressure::History => self.ring.shed_history(&mut effects.garbage),
            Pressure::All => self.ring.shed_all(&mut effects.garbage),
        }
    }

    fn log_jump(&mut self, track: u32, by: Ns, effects: &mut Effects) {
        if let Phase::Publishing(writer) = &mut self.phase
            && !std::mem::replace(&mut writer.has_logged_jump, true)
        {
            effects.lines.push(Line::Jump { track, by_ms: by / 1_000_000 });
        }
    }
}

/// The refusal at `max_publishers`.
pub(in crate::hub) fn too_many_publishers(settings: &Settings) -> Refusal {
    Refusal::new(
        Status::Limit,
        format!("the server has its {} publishers", settings.max_publishers),
    )
}

fn check_conflict(old: &Writer, new: &Writer, settings: &Settings, now: Ns) -> Result<(), Refusal> {
    let silent = now - old.last_data;
    let may_replace = match settings.on_conflict {
        OnConflict::Refuse => false,
        OnConflict::Replace => true,
        OnConflict::ReplaceIfStale => {
            silent >= ns(settings.stale_after) || old.is_same_encoder(new)
        }
    };
    if may_replace {
        return Ok(());
    }
    Err(Refusal::new(Status::Conflict, "somebody else is publishing this stream"))
}

fn check_tracks(tracks: &[Track]) -> Result<(), Refusal> {
    if tracks.len() > TRACKS_MAX {
        return Err(Refusal::new(Status::Invalid, format!("more than {TRACKS_MAX} tracks")));
    }
    for (index, track) in tracks.iter().enumerate() {
        if tracks.iter().take(index).any(|other| other.id == track.id) {
            return Err(Refusal::new(
                Status::Invalid,
                format!("two tracks have the id {}", track.id),
            ));
        }
    }
    Ok(())
}

fn start_line(writer: &Writer, shape: &Shape) -> Start {
    let video = shape.first(TrackKind::Video);
    let codecs: Vec<String> = shape.tracks.iter().map(|track| track.codec.to_string()).collect();
    Start {
        peer: writer.peer().unwrap_or_default(),
        agent: writer.request.agent.clone(),
        protocol: writer.request.protocol.clone(),
        conn: writer.request.conn,
        codecs: codecs.join(","),
        size: video.map(|video| format!("{}x{}", video.width, video.height)).unwrap_or_default(),
        fps: match video.map(|video| video.frame_rate) {
            Some((num, den)) if den > 0 => f64::from(num) / f64::from(den),
            _ => 0.0,
        },
    }
}
