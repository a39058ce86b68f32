//! What follows from a change and must wait until nothing is locked: waking, logging, freeing.

use std::task::Waker;

use super::key::StreamKey;
use super::ring::Segment;

/// Collected under a lock, carried out without one: a waker may belong to a plugin, and freeing a segment takes time.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Effects {
    pub(super) wakers: Vec<Waker>,
    pub(super) lines: Vec<Line>,
    pub(super) garbage: Vec<Segment>,
}

/// A log line with a stable event name.
#[derive(Debug)]
pub(super) enum Line {
    /// A publisher was refused for lack of memory, or rings were cut.
    Jump {
        track: u32,
        by_ms: i64,
    },
    Start(Box<Start>),
    Stop {
        reason: &'static str,
        duration_ms: u64,
        bytes: u64,
        frames: u64,
        conn: u64,
    },
}

/// The fields of `stream.start`.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) peer: String,
    pub(super) agent: String,
    pub(super) protocol: String,
    pub(super) conn: u64,
    pub(super) codecs: String,
    pub(super) size: String,
    pub(super) fps: f64,
}

impl Effects {
    /// Carries everything out, for the stream of this name.
    pub(super) fn run(self, key: &StreamKey) {
        for line in self.lines {
            line.write(key);
        }
        for waker in self.wakers {
            waker.wake();
        }
    }
}

impl Line {
    fn write(self, key: &StreamKey) {
        match self {
            Self::Jump { track, by_ms } => {
                tracing::warn!(event = "stream.time_jump", %key, track, by_ms, "time stamps jumped; later jumps are only counted");
            }
            Self::Start(start) => {
                let Start { peer, agent, protocol, conn, codecs, size, fps } = *start;
                tracing::info!(
                    event = "stream.start", %key, peer, agent, protocol, conn, codecs, size, fps, "publishing"
                );
            }
            Self::Stop { reason, duration_ms, bytes, frames, conn } => {
                tracing::info!(
                    event = "stream.stop", %key, reason, duration_ms, bytes, frames, conn, "publisher ended"
                );
            }
        }
    }
}
