//! Why a request got no stream.

/// The end of a request that became no viewer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The host said no, and the peer was told.
    #[error("refused: {0}")]
    Refused(plugin_api::Error),

    /// The peer went away while it waited for the stream.
    #[error("the peer left before there was a stream")]
    Gone,

    /// The host did not take the answer.
    #[error("host: {0}")]
    Host(plugin_api::Error),
}
