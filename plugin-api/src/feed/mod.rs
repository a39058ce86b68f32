//! Feeds: package a stream once, let the host fan it out.
//!
//! ring ▸ [`Packager`] ▸ **feed** (host) ▸ fan-out (host) ▸ [`Viewer`]'s connection. A plugin registers a packager for a
//! format; its sessions do the handshake, [`Host::prepare`] fixes where the viewer begins, and [`Prepared::attach`] lends
//! the connection's write half to the host until [`Viewer::detached`].

mod packager;
mod viewer;

pub use packager::{Packager, Packet, PacketFlags, Registration};
pub use viewer::{Detached, PrepareOptions, Prepared, Viewer};

pub use crate::ffi::packager::FeedOut;

#[cfg(doc)]
use crate::host::Host;
