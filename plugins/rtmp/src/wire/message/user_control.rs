//! User Control messages: events of a stream, and pings (RTMP 1.0, sections 6.2 and 7.1.7).
//!
//! message → **user_control** → session

/// Event types (section 7.1.7).
mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const STREAM_EOF: u16 = 1;
    pub(super) const STREAM_DRY: u16 = 2;
    pub(super) const SET_BUFFER_LENGTH: u16 = 3;
    pub(super) const STREAM_IS_RECORDED: u16 = 4;
    pub(super) const PING_REQUEST: u16 = 6;
    pub(super) const PING_RESPONSE: u16 = 7;
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// The server: from here on the stream can be used.
    StreamBegin(u32),
    /// The server: playback is over.
    StreamEof(u32),
    /// The server: nothing to send for a while.
    StreamDry(u32),
    /// The client: how many milliseconds it buffers. Sent before play and while playing.
    SetBufferLength {
        stream_id: u32,
        buffer_ms: u32,
    },
    /// The server.
    StreamIsRecorded(u32),
    /// The server, with its clock; the client repeats the value in a response.
    PingRequest(u32),
    PingResponse(u32),
    /// Anything else, such as 26 and 27 (SWF verification), 31 and 32 (buffer empty, buffer ready).
    Other(u16),
}

impl UserControl {
    /// `None` if the payload is too short.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let (&event, rest) = payload.split_first_chunk()?;
        let event = u16::from_be_bytes(event);
        let first =
            rest.split_first_chunk().map(|(&value, rest)| (u32::from_be_bytes(value), rest));
        Some(match event {
            event::STREAM_BEGIN => Self::StreamBegin(first?.0),
            event::STREAM_EOF => Self::StreamEof(first?.0),
            event::STREAM_DRY => Self::StreamDry(first?.0),
            event::SET_BUFFER_LENGTH => {
                let (stream_id, rest) = first?;
                let buffer_ms = u32::from_be_bytes(*rest.first_chunk()?);
                Self::SetBufferLength { stream_id, buffer_ms }
            }
            event::STREAM_IS_RECORDED => Self::StreamIsRecorded(first?.0),
            event::PING_REQUEST => Self::PingRequest(first?.0),
            event::PING_RESPONSE => Self::PingResponse(first?.0),
            other => Self::Other(other),
        })
    }

    pub(super) fn write(self, output: &mut Vec<u8>) {
        let (event, value) = match self {
            Self::StreamBegin(id) => (event::STREAM_BEGIN, Some(id)),
            Self::StreamEof(id) => (event::STREAM_EOF, Some(id)),
            Self::StreamDry(id) => (event::STREAM_DRY, Some(id)),
            Self::SetBufferLength { stream_id, .. } => (event::SET_BUFFER_LENGTH, Some(stream_id)),
            Self::StreamIsRecorded(id) => (event::STREAM_IS_RECORDED, Some(id)),
            Self::PingRequest(time) => (event::PING_REQUEST, Some(time)),
            Self::PingResponse(time) => (event::PING_RESPONSE, Some(time)),
            Self::Other(event) => (event, None),
        };
        output.extend_from_slice(&event.to_be_bytes());
        if let Some(value) = value {
            output.extend_from_slice(&value.to_be_bytes());
        }
        if let Self::SetBufferLength { buffer_ms, .. } = self {
            output.extend_from_slice(&buffer_ms.to_be_bytes());
        }
    }
}
