//! A reader of a stream's frames: a position, no queue.
//!
//! publisher ▸ ring ▸ **subscriber** ▸ packager or egress

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::batch::{Batch, StartAt};
use super::outcome::Reason;
use super::readers;
use super::ring::Cursor;
use super::stream::{Stream, ViewerGuard};

/// Who wants to read what.
#[derive(Clone, Default)]
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

impl fmt::Debug for SubscribeRequest {
    /// Without the arguments, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, peer, conn, protocol, options, .. } = self;
        let path = url.split('?').next();
        write!(
            f,
            "SubscribeRequest({path:?} from {peer:?}, conn {conn}, {protocol:?}, {options:?})"
        )
    }
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

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The batch has something.
    Batch,
    /// Nothing follows.
    End(Reason),
}

/// A place in a stream. It holds nothing of the ring between calls.
pub struct Subscriber {
    guard: ViewerGuard,
    /// Its number among the stream's readers.
    slot: usize,
    cursor: Cursor,
    settled_only: bool,
}

impl Subscriber {
    pub(super) fn new(guard: ViewerGuard, slot: usize, cursor: Cursor, settled_only: bool) -> Self {
        Self { guard, slot, cursor, settled_only }
    }

    /// Up to `max` frames, none of which is on the other side of a change of shape.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        out: &mut Batch,
    ) -> Poll<ReadOutcome> {
        let Self { guard, slot, cursor, settled_only } = self;
        // What the last batch held may be the last of its kind: it is freed before anything is locked.
        out.frames.clear();
        readers::poll_read(cx, |waker| {
            guard.stream().with(|state, now, effects| {
                let read = state.read(*slot, cursor, *settled_only, max, out);
                if let (None, Some(waker)) = (read, waker) {
                    state.readers.wait(*slot, waker);
                    if cursor.is_waiting_for_start() && state.has_frames() {
                        state.want_keyframe(now, effects);
                    }
                }
                read
            })
        })
    }

    /// [`Subscriber::poll_read`] as a future.
    pub async fn read(&mut self, max: usize, out: &mut Batch) -> ReadOutcome {
        std::future::poll_fn(|cx| self.poll_read(cx, max, out)).await
    }

    /// What it reads.
    pub fn stream(&self) -> &Arc<Stream> {
        self.guard.stream()
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("stream", self.stream())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let reader = self.guard.stream().with(|state, _, _| state.readers.remove(self.slot));
        drop(reader);
    }
}
