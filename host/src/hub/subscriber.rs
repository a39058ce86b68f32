//! A reader of a stream's frames: a position, no queue.
//!
//! publisher ▸ ring ▸ **subscriber** ▸ packager or egress

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use plugin_api::frame::{Frame, Shape};

use super::outcome::Reason;
use super::stream::Stream;

/// Who wants to read what.
#[derive(Clone, Debug, Default)]
pub struct SubscribeRequest {
    /// As on the wire: `app/name?arguments`, percent-encoded.
    pub url: String,
    /// `None` when a plugin reads for itself.
    pub peer: Option<SocketAddr>,
    /// The connection's id in log, API and metrics; 0 without one.
    pub conn: u64,
    pub protocol: String,
    pub options: ReadOptions,
    /// How long to wait for a publisher. `None`: as configured; zero: not at all.
    pub wait: Option<Duration>,
    /// For readers inside the host, whose right to read was checked elsewhere.
    pub skip_auth: bool,
}

/// How a reader reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    pub kind: ReaderKind,
    pub start: StartAt,
    /// Whether the first batch is held until the stream has settled for the first time. That takes no longer than
    /// `settle_timeout` from the first track, so it can't hold for ever. Feeds want it: their heads name all tracks.
    pub settled_only: bool,
}

/// What a reader is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReaderKind {
    /// Turns frames into a feed; its viewers are counted, not itself.
    Packager,
    /// Somebody watching: the only kind that keeps a stream open.
    #[default]
    Player,
    Pusher,
    Recorder,
    Snapshot,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// The next start point.
    Live,
    /// The newest start point: at once.
    #[default]
    Newest,
    /// The oldest start point that is still held.
    Oldest,
}

/// What one read gives. Keep it between reads: the list is reused.
#[derive(Debug, Default)]
pub struct Batch {
    /// Set when it changed: in force from the first of these frames on. Always set in the first batch.
    pub shape: Option<Arc<Shape>>,
    /// May be empty when only the shape changed.
    pub frames: Vec<Frame>,
    /// Frames skipped before this batch because the reader was lapped.
    pub lost: u64,
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The batch has something.
    Batch,
    /// Nothing follows.
    End(Reason),
}

/// A place in a stream. It holds nothing of the ring between calls.
#[derive(Debug)]
pub struct Subscriber {
    stream: Arc<Stream>,
}

impl Subscriber {
    /// Up to `max` frames, none of which is on the other side of a change of shape.
    pub fn poll_read(
        &mut self,
        _cx: &mut Context<'_>,
        _max: usize,
        _out: &mut Batch,
    ) -> Poll<ReadOutcome> {
        Poll::Ready(ReadOutcome::End(Reason::Ended))
    }

    /// What it reads.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}
