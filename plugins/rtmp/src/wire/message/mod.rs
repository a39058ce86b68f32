//! What a message is, by its type: protocol control, user control, command, data, media.
//!
//! socket → chunk_reader → **message** → session → ingest → host
//!
//! Control messages are parsed here; commands go on to [`command`](super::command); audio and video
//! are handed on as they are, since their payload is the body of an FLV tag.

mod aggregate;
mod user_control;

pub use aggregate::{Aggregate, SubMessage};
pub use user_control::UserControl;

use super::chunk_reader::Message;
use super::chunk_writer::{ChunkWriter, MessageHeader};
use super::error::Error;

/// Message type ids (sections 5.4, 6.2 and 7.1).
pub mod type_id {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_ACK_SIZE: u8 = 5;
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const DATA_AMF3: u8 = 15;
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA_AMF0: u8 = 18;
    pub const SHARED_OBJECT_AMF0: u8 = 19;
    pub const COMMAND_AMF0: u8 = 20;
    pub const AGGREGATE: u8 = 22;
}

/// Chunk streams that we write to. Only 2 is given by the specification (section 5.4); the others
/// are those of Flash Media Server. Readers must not rely on them, and ours does not.
pub mod chunk_stream {
    pub const CONTROL: u32 = 2;
    pub const COMMAND: u32 = 3;
    pub const AUDIO: u32 = 4;
    pub const DATA: u32 = 5;
    pub const VIDEO: u32 = 6;
    /// Commands of one stream: publish, play, onStatus.
    pub const STREAM_COMMAND: u32 = 8;
}

/// How Set Peer Bandwidth is meant (section 5.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthLimit {
    Hard,
    Soft,
    Dynamic,
}

/// A message that is about the connection, not the stream. Stream id 0, chunk stream 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Section 5.4.1. The [chunk reader](super::chunk_reader) has obeyed it.
    SetChunkSize(u32),
    /// Section 5.4.2. The chunk reader has obeyed it.
    Abort { chunk_stream: u32 },
    /// Section 5.4.3: bytes received so far, modulo 2^32.
    Acknowledgement(u32),
    /// Section 5.4.4: the sender wants an acknowledgement at least every so many bytes.
    WindowAckSize(u32),
    /// Section 5.4.5. To be answered with Window Acknowledgement Size.
    SetPeerBandwidth { window: u32, limit: BandwidthLimit },
    /// Section 6.2. The specification calls the group "User Control".
    User(UserControl),
}

/// A message with its type understood. Borrows the payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    Control(Control),
    /// Types 20 and 17: AMF0 values, see [`command`](super::command).
    Command(&'a [u8]),
    /// Types 18 and 15: AMF0 values, see [`data`](super::data).
    Data(&'a [u8]),
    /// Type 8: the body of an FLV audio tag. May be empty.
    Audio(&'a [u8]),
    /// Type 9: the body of an FLV video tag. May be empty.
    Video(&'a [u8]),
    /// Type 22: several messages in one.
    Aggregate(Aggregate<'a>),
    /// Shared objects, and types that nobody defined. To be ignored.
    Other,
}

/// Looks at `payload`, that of `message`. They come apart because the buffer of a message is the
/// caller's own type.
///
/// # Errors
///
/// A control message that is too short. Longer ones are accepted.
pub fn parse<'a, B>(message: &Message<B>, payload: &'a [u8]) -> Result<Body<'a>, Error> {
    let offset = message.offset;
    Ok(match message.type_id {
        type_id::AUDIO => Body::Audio(payload),
        type_id::VIDEO => Body::Video(payload),
        type_id::COMMAND_AMF0 => Body::Command(payload),
        type_id::COMMAND_AMF3 => Body::Command(without_amf3_byte(payload)),
        type_id::DATA_AMF0 => Body::Data(payload),
        type_id::DATA_AMF3 => Body::Data(without_amf3_byte(payload)),
        type_id::AGGREGATE => {
            Body::Aggregate(Aggregate::new(payload, message.timestamp, message.offset))
        }
        type_id => match Control::parse(type_id, payload, offset)? {
            Some(control) => Body::Control(control),
            None => Body::Other,
        },
    })
}

/// Types 15 and 17 begin with a byte of zero and go on in AMF0, as long as the peer does not switch
/// to AMF3 by a marker (which `objectEncoding` 0, our answer, rules out). Some encoders forget the
/// zero. Both kinds of message begin with a string, whose marker is 2, so there is no doubt.
fn without_amf3_byte(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

impl Control {
    /// `None` for a type that is no control message.
    fn parse(type_id: u8, payload: &[u8], offset: u64) -> Result<Option<Self>, Error> {
        let short =
            |name, section| Error::MessageTooShort { name, section, length: payload.len(), offset };
        let value = payload.first_chunk().copied().map(u32::from_be_bytes);
        Ok(Some(match type_id {
            type_id::SET_CHUNK_SIZE => {
                Self::SetChunkSize(value.ok_or_else(|| short("Set Chunk Size", "5.4.1"))?)
            }
            type_id::ABORT => {
                Self::Abort { chunk_stream: value.ok_or_else(|| short("Abort Message", "5.4.2"))? }
            }
            type_id::ACKNOWLEDGEMENT => {
                Self::Acknowledgement(value.ok_or_else(|| short("Acknowledgement", "5.4.3"))?)
            }
            type_id::WINDOW_ACK_SIZE => Self::WindowAckSize(
                value.ok_or_else(|| short("Window Acknowledgement Size", "5.4.4"))?,
            ),
            type_id::SET_PEER_BANDWIDTH => Self::SetPeerBandwidth {
                window: value.ok_or_else(|| short("Set Peer Bandwidth", "5.4.5"))?,
                // Some servers leave the limit type out: the meaning is Dynamic then, harmless.
                limit: match payload.get(4) {
                    Some(0) => BandwidthLimit::Hard,
                    Some(1) => BandwidthLimit::Soft,
                    _ => BandwidthLimit::Dynamic,
                },
            },
            type_id::USER_CONTROL => Self::User(
                UserControl::parse(payload).ok_or_else(|| short("User Control Message", "6.2"))?,
            ),
            _ => return Ok(None),
        }))
    }

    /// Appends the message, in one chunk or more, to `output`.
    pub fn write(&self, writer: &ChunkWriter, output: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(10);
        let type_id = match *self {
            Self::SetChunkSize(size) => {
                payload.extend_from_slice(&size.to_be_bytes());
                type_id::SET_CHUNK_SIZE
            }
            Self::Abort { chunk_stream } => {
                payload.extend_from_slice(&chunk_stream.to_be_bytes());
                type_id::ABORT
            }
            Self::Acknowledgement(sequence) => {
                payload.extend_from_slice(&sequence.to_be_bytes());
                type_id::ACKNOWLEDGEMENT
            }
            Self::WindowAckSize(size) => {
                payload.extend_from_slice(&size.to_be_bytes());
                type_id::WINDOW_ACK_SIZE
            }
            Self::SetPeerBandwidth { window, limit } => {
                payload.extend_from_slice(&window.to_be_bytes());
                payload.push(match limit {
                    BandwidthLimit::Hard => 0,
                    BandwidthLimit::Soft => 1,
                    BandwidthLimit::Dynamic => 2,
                });
                type_id::SET_PEER_BANDWIDTH
            }
            Self::User(event) => {
                event.write(&mut payload);
                type_id::USER_CONTROL
            }
        };
        let chunk_stream = chunk_stream::CONTROL;
        let header = MessageHeader { chunk_stream, timestamp: 0, type_id, stream_id: 0 };
        // Fits: a control message has at most ten bytes.
        let _fits = writer.write(&header, &payload, output);
    }
}

#[cfg(test)]
mod tests;
