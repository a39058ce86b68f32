//! What of a stream goes out as RTMP messages.
//!
//! frame, shape → **message** → chunk_writer → feed
//!
//! Which tracks, and in which words, is [`media`]'s affair: a message carries the body of an FLV tag.

use media::container::flv::carried::{self, Carried, Kind};
use media::container::flv::tag::{Form, HeaderBytes, TagType};
use plugin_api::Error;
use plugin_api::frame::{Frame, Ns, Shape, Track, TrackKind, ns_to_ticks};

use super::STREAM_ID;
use crate::wire::chunk_writer::{ChunkWriter, MessageHeader};
use crate::wire::message::{chunk_stream, type_id};

/// Milliseconds in a second, the clock of RTMP.
const RATE: u32 = 1000;

/// How H.265 goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hevc {
    Enhanced,
    Legacy,
}

/// A frame as a message, its payload left out.
pub(super) struct Message {
    pub(super) header: MessageHeader,
    /// Comes before the payload.
    pub(super) tag: HeaderBytes,
}

/// The tracks of a shape that players get.
pub(super) fn carried(shape: &Shape, hevc: Hevc) -> Result<Carried, Error> {
    let form = if hevc == Hevc::Legacy { Form::Legacy } else { Form::Enhanced };
    let tracks: Vec<_> = shape.tracks.iter().map(|track| describe(track)).collect();
    Carried::of(&tracks, form).ok_or_else(|| {
        let codecs = shape.tracks.iter().map(|track| track.codec.to_string());
        let codecs = codecs.collect::<Vec<_>>().join(", ");
        Error::unsupported(format!("RTMP can't carry any of: {codecs}"))
    })
}

fn describe(track: &Track) -> carried::Track {
    carried::Track {
        id: track.id,
        kind: match track.kind {
            TrackKind::Audio => Kind::Audio,
            TrackKind::Video => Kind::Video,
            _ => Kind::Data,
        },
        codec: media::codec::FourCc(track.codec.0),
        config: track.config.to_vec(),
        width: track.width,
        height: track.height,
        frame_rate: track.frame_rate,
        sample_rate: track.sample_rate,
        channels: track.channels,
    }
}

/// The messages of the head, each whole and in chunks.
pub(super) fn head(
    carried: &Carried,
    writer: &ChunkWriter,
    timestamp: u32,
) -> Result<Vec<Vec<u8>>, Error> {
    let messages = carried.head().into_iter().map(|(tag_type, body)| {
        let mut message = Vec::new();
        let written = writer.write(&header(tag_type, timestamp), &body, &mut message);
        written.map_err(|error| Error::unsupported(error.to_string()))?;
        Ok(message)
    });
    messages.collect()
}

/// `None` if players don't get it.
pub(super) fn message(carried: &Carried, frame: &Frame) -> Option<Message> {
    if frame.payload.is_empty() {
        return None;
    }
    let (dts, pts) = (ns_to_ticks(frame.dts, RATE), ns_to_ticks(frame.pts, RATE));
    let (tag_type, tag) = carried.frame(frame.track, frame.flags.key, dts, pts)?;
    Some(Message { header: header(tag_type, carried::wire_ms(dts)), tag })
}

fn header(tag_type: TagType, timestamp: u32) -> MessageHeader {
    let (chunk_stream, type_id) = match tag_type {
        TagType::Audio => (chunk_stream::AUDIO, type_id::AUDIO),
        TagType::Video => (chunk_stream::VIDEO, type_id::VIDEO),
        TagType::Script => (chunk_stream::DATA, type_id::DATA_AMF0),
    };
    MessageHeader { chunk_stream, timestamp, type_id, stream_id: STREAM_ID }
}

/// A time as the wire has it: milliseconds, wrapping at 2^32.
pub(super) fn wire_ms(time: Ns) -> u32 {
    carried::wire_ms(ns_to_ticks(time, RATE))
}
