//! Why a connection ended, and who has to act.

use std::time::Duration;

use plugin_api::stream::Reason;

use crate::wire;

/// The end of a session. Each is logged once, by [`crate::session`], at [`End::level`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer closed, in whatever way.
    #[error("the peer closed the connection")]
    PeerClosed,

    /// The peer sent bytes that are not RTMP, or too many.
    #[error(transparent)]
    Peer(#[from] wire::Error),

    /// The peer did things in an order that makes no sense.
    #[error("the peer sent {0} before connect")]
    Order(&'static str),

    /// The host said no, and the peer was told.
    #[error("{action} refused: {error}")]
    Refused { action: &'static str, error: plugin_api::Error },

    /// The peer was too slow.
    #[error("nothing to publish or play within {0:?}")]
    Idle(Duration),

    /// The peer takes no bytes.
    #[error("the peer took nothing for {0:?}")]
    WriteTimeout(Duration),

    /// The peer asks more than it reads answers.
    #[error("too many answers wait for the peer")]
    Unread,

    /// The peer keeps everybody busy.
    #[error("the peer began to publish or play too often")]
    TooOften,

    /// What it published or played has ended.
    #[error("{0}")]
    Stream(Reason),

    /// The server, or this plugin, stops.
    #[error("the server stops")]
    Stopped,

    /// The host failed us, or we misused it.
    #[error("host: {0}")]
    Host(plugin_api::Error),
}

impl End {
    /// From a call to a socket or the host.
    pub(crate) fn from_host(error: plugin_api::Error) -> Self {
        match error.status {
            plugin_api::Status::CANCELLED => Self::Stopped,
            plugin_api::Status::IO => Self::PeerClosed,
            _ => Self::Host(error),
        }
    }

    /// Whether there is a peer that would read why.
    pub(crate) fn can_be_told(&self) -> bool {
        !matches!(
            self,
            Self::PeerClosed
                | Self::WriteTimeout(_)
                | Self::Unread
                | Self::Stream(Reason::Stalled | Reason::PeerClosed)
        )
    }

    /// Who is wrong decides: nobody is debug, the peer or an operator's rule is info, we are error.
    pub(crate) fn level(&self) -> tracing::Level {
        match self {
            // The peer was silent, or too slow.
            Self::Stream(Reason::Timeout | Reason::Stalled | Reason::Lagged) => {
                tracing::Level::INFO
            }
            Self::PeerClosed | Self::Stopped | Self::Stream(_) => tracing::Level::DEBUG,
            Self::Peer(wire::Error::NoMemory { .. } | wire::Error::OutgoingTooLong { .. })
            | Self::Host(_) => tracing::Level::ERROR,
            Self::Peer(_)
            | Self::Order(_)
            | Self::Refused { .. }
            | Self::Idle(_)
            | Self::WriteTimeout(_)
            | Self::TooOften
            | Self::Unread => tracing::Level::INFO,
        }
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::from_host(error.into())
    }
}
