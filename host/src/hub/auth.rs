//! The question that the hub asks before anybody publishes or plays; who answers it is not its business.

use std::fmt;
use std::net::IpAddr;

use super::key::{Args, StreamKey};

/// What somebody wants to do with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Play,
    Publish,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Play => "play",
            Self::Publish => "publish",
        })
    }
}

/// Decides who may publish and play. Called on workers, so it must not block.
pub trait Authorizer: Send + Sync {
    /// `peer` is `None` when a plugin acts for itself. IPv4 addresses come as such, never mapped into IPv6.
    ///
    /// # Errors
    /// The reason for the refusal, in words for the peer; it must not contain the peer's arguments.
    fn check(
        &self,
        action: Action,
        key: &StreamKey,
        args: &Args,
        peer: Option<IpAddr>,
    ) -> Result<(), String>;
}
