//! The one writer of a stream, as sessions and pullers hold it.
//!
//! ingest ▸ **publisher** ▸ ring ▸ subscriber

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use plugin_api::frame::{Frame, Track};

use super::notices::Notices;
use super::outcome::{Reason, Refusal};
use super::stream::Stream;

/// Who wants to publish what.
#[derive(Clone, Default)]
pub struct PublishRequest {
    /// As on the wire: `app/name?arguments`, percent-encoded.
    pub url: String,
    /// `None` when a plugin publishes for itself.
    pub peer: Option<SocketAddr>,
    /// The connection's id in log, API and metrics; 0 without one.
    pub conn: u64,
    pub protocol: String,
    /// What the peer calls itself.
    pub agent: String,
    /// The plugin instance.
    pub instance: String,
    /// In place of the setting of this name; pulls on demand use it.
    pub delay_close: Option<Duration>,
}

impl fmt::Debug for PublishRequest {
    /// Without the arguments, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, peer, conn, protocol, agent, .. } = self;
        let path = url.split('?').next();
        write!(f, "PublishRequest({path:?} from {peer:?}, conn {conn}, {protocol:?}, {agent:?})")
    }
}

/// What became of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// None was kept: memory limit, unknown track, or no start point yet.
    Dropped,
    /// The publisher has ended; [`Publisher::poll_notice`] says why.
    Ended,
    Ok,
}

/// What a publisher may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Last notice, again and again.
    Ended(Reason),
    /// Somebody watches.
    FirstReader,
    /// A reader can't begin before the next keyframe.
    KeyframeWanted,
    /// Nobody watches any more.
    LastReader,
}

/// The right to write a stream. Dropping it without [`Publisher::finish`] is a lost link: readers stay for a while.
#[derive(Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
    id: u64,
    notices: Arc<Notices>,
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, id: u64, notices: Arc<Notices>) -> Self {
        Self { stream, id, notices }
    }

    /// The whole set of tracks from here on; nothing happens when it equals the set in force.
    ///
    /// # Errors
    /// `Invalid`: an id twice, or too many tracks. `Cancelled`: the publisher has ended.
    pub fn set_tracks(&self, tracks: Vec<Track>) -> Result<(), Refusal> {
        self.stream.set_tracks(self.id, tracks)
    }

    /// Appends frames, in decoding order over all tracks. Their stamps are the publisher's; the stream's are made here.
    pub fn push(&self, frames: &[Frame]) -> Pushed {
        self.stream.push(self.id, frames)
    }

    /// Frames were lost before they could be pushed: video goes on at its next keyframe.
    pub fn on_loss(&self) {
        self.stream.on_loss(self.id);
    }

    /// All tracks are there.
    pub fn ready(&self) {
        self.stream.ready(self.id);
    }

    /// Orderly end: the stream ends now.
    pub fn finish(&self) {
        self.stream.finish(self.id);
    }

    /// The next notice. `FirstReader` and `LastReader` alternate; what was not asked for in between is left out.
    pub fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        self.notices.poll(cx)
    }

    /// What it writes.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stream.lose(self.id);
    }
}
