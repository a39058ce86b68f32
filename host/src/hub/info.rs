//! What the API, the console and metrics show of a stream: a snapshot, taken without holding up the writer.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::key::StreamKey;

/// One stream at one moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamInfo {
    #[schema(value_type = String)]
    pub key: StreamKey,
    pub state: StreamState,
    /// `None` while the publisher is gone.
    pub publisher: Option<PublisherInfo>,
    /// Number of the shape in force.
    pub shape: Option<u32>,
    pub tracks: Vec<TrackInfo>,
    /// Since the stream began, over all its publishers.
    pub uptime_ms: u64,
    pub frames: u64,
    pub bytes: u64,
    pub bits_per_second: u64,
    /// Frames a second of the lead track, measured; 0 until there is a figure.
    pub fps: f64,
    /// From start point to start point on the timeline, the last one that is whole.
    pub gop_ms: Option<u64>,
    pub joinable: Joinable,
    /// The newest GOP did not fit into the ring, so that joins wait for the next start point.
    pub gop_exceeds_ring: bool,
    pub ring_bytes: usize,
    pub ring_ms: u64,
    pub readers: ReaderCounts,
    /// Time stamps that were not taken as they came.
    pub repaired_stamps: u64,
    /// Frames thrown away: no start point yet, unknown track, memory limit.
    pub dropped_frames: u64,
    /// Frames that readers missed because they were lapped, all together.
    pub lost_frames: u64,
    /// Bytes that viewers who are gone were sent; those who are there have figures of their own.
    pub sent_to_former_viewers: u64,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// A publisher is there and may still add tracks.
    Settling,
    Publishing,
    /// The publisher is gone and may come back within `republish_window`.
    WaitingForPublisher,
}

/// Where a new reader can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Joinable {
    /// Any frame: audio or data only, or a stream without keyframes.
    Anywhere,
    /// At the start point that is held.
    AtStartPoint,
    /// Only at the next start point: none is held.
    NextStartPoint,
}

/// Who publishes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublisherInfo {
    /// The connection's id in log, API and metrics; `0` without one.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub conn: u64,
    pub peer: Option<String>,
    pub protocol: String,
    pub agent: String,
    pub instance: String,
    pub uptime_ms: u64,
    pub frames: u64,
    pub bytes: u64,
    /// How long ago the last data came.
    pub silent_ms: u64,
}

/// One track.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TrackInfo {
    pub id: u32,
    /// `audio`, `video` or `data`.
    pub kind: &'static str,
    /// The four letters.
    pub codec: String,
    /// RFC 6381; may be empty.
    pub codec_string: String,
    pub width: u32,
    pub height: u32,
    pub sample_rate: u32,
    pub channels: u32,
    pub frames: u64,
    pub bytes: u64,
    pub bits_per_second: u64,
    pub fps: f64,
    /// How long ago its last frame came; `None`: none yet.
    pub silent_ms: Option<u64>,
}

/// Readers by kind. Viewers attached to feeds are players.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReaderCounts {
    pub packager: usize,
    pub player: usize,
    pub pusher: usize,
    pub recorder: usize,
    pub snapshot: usize,
}

/// Ids are opaque strings outside of the server.
pub(crate) fn as_text<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
