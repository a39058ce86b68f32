//! The one writer of a stream, as sessions and pullers hold it.
//!
//! ingest ▸ **publisher** ▸ ring ▸ subscriber

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use plugin_api::frame::{Frame, Track};

use super::outcome::{Reason, Refusal, Status};
use super::stream::Stream;

/// Who wants to publish what.
#[derive(Clone, Debug, Default)]
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
}

impl Publisher {
    /// The whole set of tracks from here on; nothing happens when it equals the set in force.
    ///
    /// # Errors
    /// `Invalid`: an id twice, or too many tracks. `Cancelled`: the publisher has ended.
    pub fn set_tracks(&self, _tracks: Vec<Track>) -> Result<(), Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
    }

    /// Appends frames, in decoding order over all tracks. One call at a time; a second one waits.
    pub fn push(&self, _frames: &[Frame]) -> Pushed {
        Pushed::Ended
    }

    /// All tracks are there.
    pub fn ready(&self) {}

    /// Orderly end: the stream ends now.
    pub fn finish(&self) {}

    /// The next notice. `FirstReader` and `LastReader` alternate; what was not asked for in between is left out.
    pub fn poll_notice(&self, _cx: &mut Context<'_>) -> Poll<Notice> {
        Poll::Ready(Notice::Ended(Reason::Ended))
    }

    /// What it writes.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}
