//! A stream from its first publisher to its end.

use std::sync::Arc;

use super::key::StreamKey;
use super::outcome::{Refusal, Status};
use super::subscriber::{ReadOptions, ReaderKind, Subscriber};

/// One named live thing. It ends once: whoever publishes under the key later makes another.
#[derive(Debug)]
pub struct Stream {
    key: StreamKey,
}

impl Stream {
    /// Its name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// A reader of this stream, whose right to read was checked before.
    ///
    /// # Errors
    /// `Limit`: too many players. `NotFound`: the stream has ended.
    pub fn subscribe(self: &Arc<Self>, _options: ReadOptions) -> Result<Subscriber, Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
    }

    /// Counts a viewer that reads by way of a feed.
    ///
    /// # Errors
    /// `Limit`: too many players. `NotFound`: the stream has ended.
    pub fn add_viewer(self: &Arc<Self>, _kind: ReaderKind) -> Result<ViewerGuard, Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
    }

    /// Tells the publisher that somebody waits for a keyframe.
    pub fn want_keyframe(&self) {}
}

/// One viewer, counted as long as this lives.
#[derive(Debug)]
pub struct ViewerGuard {
    _stream: Arc<Stream>,
}
