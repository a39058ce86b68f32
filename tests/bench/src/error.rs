//! Why a measurement could not be made. That a server lost frames is no error but a figure.

use std::io;

use crate::chunk::Broken;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the server sent bytes that are not RTMP: {0}")]
    Broken(#[from] Broken),

    #[error("the clip: {0}")]
    Clip(String),

    #[error("the server closed the connection {0}")]
    Closed(&'static str),

    #[error("stopped by a signal")]
    Interrupted,

    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },

    #[error("{0}")]
    Options(String),

    #[error("the server refused: {0}")]
    Refused(String),

    #[error("media stopped before the end of the window")]
    Silence,

    #[error("the server did not start: {0}")]
    Start(String),

    #[error("the server did not answer in time {0}")]
    Timeout(&'static str),
}

impl Error {
    /// For `map_err`: says what was being done.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source: source.into() }
    }
}
