//! Streams: publish frames, read frames.
//!
//! ingest ▸ [`Publisher`] ▸ the host's ring ▸ [`Subscriber`] ▸ egress. Formats whose viewers all get the same bytes
//! don't subscribe: they register a packager ([`crate::feed`]).

mod publisher;
mod subscriber;

use std::fmt;
use std::time::Duration;

pub use publisher::{Notice, PublishOptions, Publisher, Pushed};
pub use subscriber::{Batch, End, Reader, Start, SubscribeOptions, Subscriber};

use crate::abi::streams as abi;
use crate::frame::Ns;
use crate::time::ns;

/// How long to wait for a publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// As the config says (`subscribe.wait_timeout`).
    #[default]
    Configured,
    /// This long; zero is [`Wait::Never`].
    For(Duration),
    /// There is a publisher, or it fails.
    Never,
}

impl Wait {
    pub(crate) fn to_abi(self) -> Ns {
        match self {
            Self::Configured => 0,
            Self::For(Duration::ZERO) | Self::Never => -1,
            Self::For(duration) => ns(duration),
        }
    }
}

/// Why a publisher, a subscription or a viewer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// By its own side: finish, detach, close.
    Asked,
    /// The stream ended.
    Ended,
    /// Something failed; the text is in the error beside it or in the log.
    Error,
    /// Nobody watched for `publish.idle_timeout`.
    Idle,
    /// Too slow, and the format can't skip.
    Lagged,
    /// The publisher was lost and did not come back within `publish.republish_window`.
    Lost,
    PeerClosed,
    /// Another publisher took the stream over.
    Replaced,
    /// The kernel took nothing for `stall_timeout`.
    Stalled,
    /// By the operator, or the server stops.
    Stopped,
    /// No data for `publish.timeout`.
    Timeout,
    /// One that this revision does not know.
    Other(u32),
}

impl Reason {
    pub(crate) fn from_abi(value: u32) -> Self {
        match value {
            abi::REASON_ASKED => Self::Asked,
            abi::REASON_ENDED => Self::Ended,
            abi::REASON_REPLACED => Self::Replaced,
            abi::REASON_STOPPED => Self::Stopped,
            abi::REASON_TIMEOUT => Self::Timeout,
            abi::REASON_LAGGED => Self::Lagged,
            abi::REASON_STALLED => Self::Stalled,
            abi::REASON_PEER_CLOSED => Self::PeerClosed,
            abi::REASON_ERROR => Self::Error,
            abi::REASON_IDLE => Self::Idle,
            abi::REASON_LOST => Self::Lost,
            other => Self::Other(other),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Asked => abi::REASON_ASKED,
            Self::Ended => abi::REASON_ENDED,
            Self::Replaced => abi::REASON_REPLACED,
            Self::Stopped => abi::REASON_STOPPED,
            Self::Timeout => abi::REASON_TIMEOUT,
            Self::Lagged => abi::REASON_LAGGED,
            Self::Stalled => abi::REASON_STALLED,
            Self::PeerClosed => abi::REASON_PEER_CLOSED,
            Self::Error => abi::REASON_ERROR,
            Self::Idle => abi::REASON_IDLE,
            Self::Lost => abi::REASON_LOST,
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked to",
            Self::Ended => "stream ended",
            Self::Error => "error",
            Self::Idle => "nobody watched",
            Self::Lagged => "too slow",
            Self::Lost => "the publisher was lost",
            Self::PeerClosed => "peer closed",
            Self::Replaced => "replaced by another publisher",
            Self::Stalled => "connection stalled",
            Self::Stopped => "stopped",
            Self::Timeout => "no data",
            Self::Other(number) => return write!(f, "reason {number}"),
        })
    }
}
