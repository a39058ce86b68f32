//! Cuts messages into chunks.
//!
//! session, packager → **chunk_writer** → socket
//!
//! Every message begins with a type 0 header: absolute time, nothing compressed against earlier
//! messages. That costs 4 to 8 bytes more than the shortest form, and makes each message
//! self-contained: a viewer may begin at any of them, and whole messages may be put in between. All
//! clients read it.
//!
//! Two ways out: [`ChunkWriter::write`] copies into a buffer, for small messages of a session;
//! [`ChunkWriter::lay_out`] leaves the payload where it is and says what goes between its pieces.

use std::ops::Range;

use super::chunk_header::{
    self, CHUNK_SIZE_DEFAULT, ChunkFormat, MESSAGE_LENGTH_MAX, TIMESTAMP_EXTENDED,
};
use super::error::Error;

/// What a header says of a message (section 5.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// 2 to 65599; one of [`chunk_stream`](super::message::chunk_stream).
    pub chunk_stream: u32,
    /// Milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// One of [`type_id`](super::message::type_id).
    pub type_id: u8,
    pub stream_id: u32,
}

/// One piece of a message as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes of the arena.
    Header(Range<usize>),
    /// Bytes of the payload piece with that index.
    Payload { piece: usize, range: Range<usize> },
}

/// Writes one direction of a connection, or the packets of a feed.
#[derive(Clone, Copy, Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self::new(CHUNK_SIZE_DEFAULT)
    }
}

impl ChunkWriter {
    /// The peer must know of a `chunk_size` other than 128: send Set Chunk Size before. Zero is
    /// taken as one.
    pub fn new(chunk_size: u32) -> Self {
        Self { chunk_size: usize::try_from(chunk_size.max(1)).unwrap_or(usize::MAX) }
    }

    /// Appends a message to `output`.
    ///
    /// # Errors
    ///
    /// [`Error::OutgoingTooLong`] for more than 16 MiB less one byte; nothing is written then.
    pub fn write(
        &self,
        header: &MessageHeader,
        payload: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let length = check_length(payload.len())?;
        output.reserve(payload.len() + payload.len() / self.chunk_size * 8 + 18);
        write_start(header, length, output);
        for (index, data) in payload.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                write_continuation(header, output);
            }
            output.extend_from_slice(data);
        }
        Ok(())
    }

    /// Says how a message goes out whose payload lies in several pieces, without touching them.
    ///
    /// Header bytes are appended to `arena`, the parts to `parts`, in order. All continuation
    /// headers of a message are the same bytes, so a message needs at most 26 bytes of the arena.
    /// Both buffers may be kept and cleared by the caller, to allocate nothing in the long run.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn lay_out(
        &self,
        header: &MessageHeader,
        piece_lengths: &[usize],
        arena: &mut Vec<u8>,
        parts: &mut Vec<Part>,
    ) -> Result<(), Error> {
        let total = piece_lengths.iter().fold(0_usize, |sum, &length| sum.saturating_add(length));
        let length = check_length(total)?;
        let start = arena.len();
        write_start(header, length, arena);
        parts.push(Part::Header(start..arena.len()));
        let start = arena.len();
        write_continuation(header, arena);
        let continuation = start..arena.len();

        let mut room = self.chunk_size;
        for (piece, &length) in piece_lengths.iter().enumerate() {
            let mut at = 0;
            while at < length {
                if room == 0 {
                    parts.push(Part::Header(continuation.clone()));
                    room = self.chunk_size;
                }
                let end = length.min(at.saturating_add(room));
                parts.push(Part::Payload { piece, range: at..end });
                room -= end - at;
                at = end;
            }
        }
        Ok(())
    }
}

fn check_length(length: usize) -> Result<u32, Error> {
    u32::try_from(length)
        .ok()
        .filter(|&length| length <= MESSAGE_LENGTH_MAX)
        .ok_or(Error::OutgoingTooLong { length })
}

/// A type 0 header (section 5.3.1.2.1).
fn write_start(header: &MessageHeader, length: u32, output: &mut Vec<u8>) {
    chunk_header::write_basic(ChunkFormat::Full, header.chunk_stream, output);
    let [_, field @ ..] = header.timestamp.min(TIMESTAMP_EXTENDED).to_be_bytes();
    let [_, length @ ..] = length.to_be_bytes();
    output.extend_from_slice(&field);
    output.extend_from_slice(&length);
    output.push(header.type_id);
    output.extend_from_slice(&header.stream_id.to_le_bytes());
    write_extended(header, output);
}

/// A type 3 header. The extended timestamp is repeated, as section 5.3.1.3 asks and as ffmpeg and
/// librtmp expect.
fn write_continuation(header: &MessageHeader, output: &mut Vec<u8>) {
    chunk_header::write_basic(ChunkFormat::Same, header.chunk_stream, output);
    write_extended(header, output);
}

fn write_extended(header: &MessageHeader, output: &mut Vec<u8>) {
    if header.timestamp >= TIMESTAMP_EXTENDED {
        output.extend_from_slice(&header.timestamp.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
