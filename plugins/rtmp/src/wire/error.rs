//! What a peer can do wrong in bytes. Every variant but the last two blames the peer.
//!
//! `offset` counts from the first byte of the connection, handshake included, in the direction from
//! the peer to us, so the place can be found in a capture.

use media::container::flv::amf0;

/// The peer sent bytes that are not RTMP, or more of them than we take.
///
/// The connection cannot go on after one of these: the byte stream has lost its framing. The
/// exceptions are [`Error::Command`] and [`Error::Data`]: the message was framed well, only its
/// content was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("encrypted RTMP (RTMPE, version {version}) is not supported; use rtmps:// instead")]
    EncryptedHandshake { version: u8 },

    #[error("not RTMP: the first byte is {version:#04x} instead of 3 (section 5.2.2)")]
    Version { version: u8 },

    #[error("not RTMP: a TLS handshake on the plain port; use the port of rtmps://")]
    TlsOnPlainPort,

    #[error(
        "chunk stream {chunk_stream} continues at byte {offset} but was never started \
         (section 5.3.1.2)"
    )]
    NoPreviousHeader { chunk_stream: u32, offset: u64 },

    #[error(
        "a new message begins at byte {offset} on chunk stream {chunk_stream}, of whose current \
         message {missing} bytes are missing (section 5.3.1.2.4)"
    )]
    MessageInterrupted { chunk_stream: u32, missing: u32, offset: u64 },

    #[error("chunk size {size} at byte {offset} is outside 1..={limit} (section 5.4.1)")]
    ChunkSize { size: u32, limit: u32, offset: u64 },

    #[error("message of {length} bytes at byte {offset} exceeds the limit of {limit}")]
    MessageTooLong { length: u32, limit: u32, offset: u64 },

    #[error("chunk stream {chunk_stream} at byte {offset} is one more than the limit of {limit}")]
    TooManyChunkStreams { chunk_stream: u32, limit: usize, offset: u64 },

    #[error(
        "unfinished messages announce {announced} bytes at byte {offset}, over the limit of {limit}"
    )]
    TooMuchBuffered { announced: u64, limit: u64, offset: u64 },

    #[error("{name} at byte {offset} has {length} bytes, too few (section {section})")]
    MessageTooShort { name: &'static str, length: usize, section: &'static str, offset: u64 },

    #[error("aggregate message at byte {offset} holds a cut sub-message (section 7.1.6)")]
    Aggregate { offset: u64 },

    #[error("command at byte {offset}: {problem}")]
    Command { problem: AmfProblem, offset: u64 },

    #[error("data message at byte {offset}: {problem}")]
    Data { problem: AmfProblem, offset: u64 },

    /// Ours: the host gave no memory for a payload.
    #[error("no memory for the message of {length} bytes at byte {offset}")]
    NoMemory { length: u32, offset: u64 },

    /// Ours: a caller wants to send what the 24 bits of a header cannot say.
    #[error("cannot send a message of {length} bytes: the limit is 0xffffff (section 5.3.1.2.1)")]
    OutgoingTooLong { length: usize },
}

/// What is wrong inside an AMF0 message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmfProblem {
    #[error(transparent)]
    Amf0(#[from] amf0::Error),

    #[error("{expected} expected")]
    Missing { expected: &'static str },
}
