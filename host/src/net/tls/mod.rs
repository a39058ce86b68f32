//! TLS by certificate profile, for every listener.
//!
//! ```text
//! config: tls.<name> ─▶ Profile (files, key in memory) ─▶ Tls (one connection's state) ─▶ Conn, or a fan-out thread
//! ```
//!
//! The state of a connection does no I/O: whoever has the socket has the state too, and passes bytes between the two.

mod expiry;
mod profile;
mod session;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

pub use self::profile::{MinVersion, Profile, ProfileSettings, Profiles};
pub use self::session::Tls;

/// Why a profile can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },

    #[error("{}: no certificate in it (expected PEM)", path.display())]
    NoCertificate { path: PathBuf },

    #[error("{}: {source}", path.display())]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },

    #[error("{} and {}: {source}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },

    #[error("{}: the certificate can't be read: {reason}", path.display())]
    Certificate { path: PathBuf, reason: &'static str },

    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}
