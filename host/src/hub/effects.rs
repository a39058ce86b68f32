//! What follows from a change and must wait until nothing is locked: waking, logging, freeing.

use std::task::Waker;

use super::ended::{Ended, EndedSession, Role};
use super::key::StreamKey;
use super::outcome::Reason;
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
    Stop(Box<Stop>),
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

/// The fields of `stream.stop`, and what is remembered of a publisher.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) reason: Reason,
    pub(super) duration_ms: u64,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    pub(super) conn: u64,
    pub(super) peer: Option<String>,
    pub(super) agent: String,
    pub(super) protocol: String,
}

impl Effects {
    /// Carries everything out, for the stream of this name.
    pub(super) fn run(self, key: &StreamKey, ended: &Ended) {
        for line in self.lines {
            line.write(key, ended);
        }
        for waker in self.wakers {
            waker.wake();
        }
    }
}

impl Line {
    fn write(self, key: &StreamKey, ended: &Ended) {
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
            Self::Stop(stop) => {
                let Stop { reason, duration_ms, bytes, frames, conn, peer, agent, protocol } =
                    *stop;
                // Whoever reads the line finds the session.
                ended.add(EndedSession {
                    id: 0,
                    role: Role::Publisher,
                    key: key.clone(),
                    conn,
                    peer,
                    protocol,
                    agent,
                    started_ms: 0,
                    duration_ms,
                    bytes,
                    reason,
                });
                tracing::info!(
                    event = "stream.stop", %key, %reason, duration_ms, bytes, frames, conn, "publisher ended"
                );
            }
        }
    }
}
