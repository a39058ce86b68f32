//! What is counted of a stream, and the rates that follow.

use std::collections::BTreeMap;

use plugin_api::frame::{Frame, Ns, Shape, TrackKind};

use crate::hub::clock::ms;
use crate::hub::info::TrackInfo;

/// Rates are measured over this time.
const WINDOW: Ns = 2_000_000_000;

/// Counters of a stream over all its publishers.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
    /// What lapped readers missed.
    pub(super) lost: u64,
    pub(super) sent_to_former_viewers: u64,
    tracks: BTreeMap<u32, TrackStats>,
    measured: Ns,
}

#[derive(Debug, Default)]
struct TrackStats {
    frames: u64,
    bytes: u64,
    newest: Option<Ns>,
    /// At the last measurement.
    frames_then: u64,
    bytes_then: u64,
    fps: f64,
    bits_per_second: u64,
}

impl Stats {
    /// Counts a frame that was kept.
    pub(super) fn count(&mut self, frame: &Frame, bytes: u64, now: Ns) {
        self.frames += 1;
        self.bytes += bytes;
        let track = self.tracks.entry(frame.track).or_default();
        track.frames += 1;
        track.bytes += bytes;
        track.newest = Some(now);
    }

    /// Forgets tracks that are no more.
    pub(super) fn on_shape(&mut self, shape: &Shape) {
        self.tracks.retain(|id, _| shape.track(*id).is_some());
    }

    /// Makes rates of the counts, when it is time.
    pub(super) fn measure(&mut self, now: Ns) {
        let elapsed = now - self.measured;
        if elapsed < WINDOW {
            return;
        }
        self.measured = now;
        for track in self.tracks.values_mut() {
            let frames = track.frames - track.frames_then;
            let bits = u128::from(track.bytes - track.bytes_then) * 8;
            track.fps = frames as f64 / (elapsed as f64 / 1e9);
            let per_second = bits * 1_000_000_000 / u128::from(elapsed.unsigned_abs());
            track.bits_per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
            (track.frames_then, track.bytes_then) = (track.frames, track.bytes);
        }
    }

    /// Measured frames a second of a track.
    pub(super) fn fps(&self, track: u32) -> f64 {
        self.tracks.get(&track).map_or(0.0, |track| track.fps)
    }

    /// Over all tracks.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.tracks.values().map(|track| track.bits_per_second).sum()
    }

    /// The tracks of a shape with their figures.
    pub(super) fn tracks(&self, shape: &Shape, now: Ns) -> Vec<TrackInfo> {
        let unknown = TrackStats::default();
        let info = |track: &std::sync::Arc<plugin_api::frame::Track>| {
            let stats = self.tracks.get(&track.id).unwrap_or(&unknown);
            TrackInfo {
                id: track.id,
                kind: kind_name(track.kind),
                codec: track.codec.to_string(),
                codec_string: track.codec_string.clone(),
                width: track.width,
                height: track.height,
                sample_rate: track.sample_rate,
                channels: track.channels,
                frames: stats.frames,
                bytes: stats.bytes,
                bits_per_second: stats.bits_per_second,
                fps: stats.fps,
                silent_ms: stats.newest.map(|newest| ms(now - newest)),
            }
        };
        shape.tracks.iter().map(info).collect()
    }
}

fn kind_name(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Audio => "audio",
        TrackKind::Data => "data",
        TrackKind::Video => "video",
    }
}
