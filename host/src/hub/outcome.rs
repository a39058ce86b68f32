//! How publishing and reading are refused, and how they end.

use std::fmt;

/// What kind of refusal it is: a protocol answers each with its own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The server or the instance is stopping.
    Cancelled,
    /// Somebody else publishes under the key.
    Conflict,
    /// An auth rule, or the operator's block.
    Denied,
    /// The key or an argument is wrong.
    Invalid,
    /// A named limit was reached.
    Limit,
    /// There is no such stream.
    NotFound,
    /// It did not happen in time.
    Timeout,
    /// The stream can't be carried.
    Unsupported,
}

/// A refusal with its reason in words for the peer and the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub status: Status,
    pub reason: String,
}

impl Refusal {
    /// A refusal with this reason.
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

/// Why a publisher, a subscription or a viewer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// By its own side.
    Asked,
    /// The stream ended.
    Ended,
    Error,
    /// Nobody watched.
    Idle,
    /// Too slow, and the format can't skip.
    Lagged,
    /// The publisher was lost and did not come back within `publish.republish_window`.
    Lost,
    PeerClosed,
    /// Another publisher took the stream over.
    Replaced,
    /// The kernel took nothing for a time.
    Stalled,
    /// By the operator, or the server stops.
    Stopped,
    /// No data for `publish.timeout`.
    Timeout,
}

impl Reason {
    /// As in log, API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Ended => "ended",
            Self::Error => "error",
            Self::Idle => "idle",
            Self::Lagged => "lagged",
            Self::Lost => "lost",
            Self::PeerClosed => "peer_closed",
            Self::Replaced => "replaced",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
