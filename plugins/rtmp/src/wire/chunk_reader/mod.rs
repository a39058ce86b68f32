//! Splits the RTMP byte stream into messages.
//!
//! socket → **chunk_reader** → message → session → ingest → host
//!
//! RTMP cuts every message into chunks and interleaves the chunks of different chunk streams, so a
//! large video message cannot block a small audio one (Adobe RTMP 1.0, section 5.3). Headers are
//! compressed against the previous chunk *of the same chunk stream*; that memory is `Lane`. Each
//! lane has a payload of its own.
//!
//! Set Chunk Size and Abort Message change how the bytes after them are read, so the reader obeys
//! them itself. They are given to the caller like the others, to look at.
//!
//! Where peers and specification part, see `lane.rs`: extended timestamps on type 3 chunks, and
//! what a message that begins with type 3 adds to the time.

mod lane;

use super::chunk_header::{self, CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX, HEADER_LEN_MAX};
use super::error::Error;
use super::message::type_id;
use lane::{Finished, Header, Lane, Type3Extended};

/// What is announced up to here is asked for at once, when the first byte of the payload is there;
/// of longer messages this much, and the rest grows. Video frames of a live stream stay below it,
/// so their payload is copied once, into one block.
pub const ALLOCATE_AT_ONCE_MAX: usize = 1024 * 1024;

/// What one connection may make us hold. At each of these bounds the connection is refused with
/// the error that names it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message. Default 16 MiB, which the 24 bits of the length field cannot exceed: a
    /// keyframe of 8K video stays well below it.
    pub message_length_max: u32,
    /// Chunk streams that ever carried a message. Default 64; real peers use five.
    pub chunk_streams_max: usize,
    /// The announced lengths of all messages that have begun and not ended, added up. So it bounds
    /// what the payload factory is asked for too, however little has arrived. Default 32 MiB.
    pub announced_bytes_max: u64,
    /// The largest chunk size that the peer may set. Default 0x7fffffff, as specified: ffmpeg and
    /// others set sizes beyond any message, and nothing is reserved for a chunk.
    pub chunk_size_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_length_max: 16 * 1024 * 1024,
            chunk_streams_max: 64,
            announced_bytes_max: 32 * 1024 * 1024,
            chunk_size_max: CHUNK_SIZE_MAX,
        }
    }
}

/// There is no memory for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// What a payload is gathered in: plain memory in tests, host memory in the plugin.
pub trait PayloadBuf {
    /// Adds bytes at the end. Grows if the message is longer than what was reserved at first.
    ///
    /// # Errors
    ///
    /// When it cannot grow; the connection then ends with [`Error::NoMemory`].
    fn append(&mut self, bytes: &[u8]) -> Result<(), NoMemory>;
}

impl PayloadBuf for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// What the factory of payload buffers is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Lets the factory keep host memory for audio and video.
    pub type_id: u8,
    /// How long the message says it will be. Not to be reserved as it is: it has not arrived.
    pub length: usize,
    /// How much to reserve: `length`, but at most [`ALLOCATE_AT_ONCE_MAX`].
    pub reserve: usize,
}

/// A whole message, its content not yet looked at (section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<B> {
    /// One of [`type_id`].
    pub type_id: u8,
    pub chunk_stream: u32,
    pub stream_id: u32,
    /// Milliseconds on the sender's clock, wrapping at 2^32. Undone in ingest, nowhere else.
    pub timestamp: u32,
    pub payload: B,
    /// Where its first chunk began, from the start of the connection.
    pub offset: u64,
}

/// Reads one direction of one connection.
pub struct ChunkReader<B> {
    limits: Limits,
    chunk_size: u32,
    lanes: Vec<Lane<B>>,
    /// The chunk whose data comes next, if its header has been read.
    chunk: Option<Chunk>,
    /// Bytes of `input` of an earlier call that were too few for a header; fewer than one header.
    pending: Vec<u8>,
    type3_extended: Type3Extended,
    announced: u64,
    received: u64,
}

struct Chunk {
    lane: usize,
    left: u32,
}

impl<B: PayloadBuf> ChunkReader<B> {
    /// `offset` is how many bytes came before, in the handshake: positions in errors and
    /// [`bytes_received`](Self::bytes_received) count from the start of the connection.
    pub fn new(limits: Limits, offset: u64) -> Self {
        Self {
            limits,
            chunk_size: CHUNK_SIZE_DEFAULT,
            lanes: Vec::new(),
            chunk: None,
            pending: Vec::with_capacity(HEADER_LEN_MAX),
            type3_extended: Type3Extended::Unknown,
            announced: 0,
            received: offset,
        }
    }

    /// Bytes taken so far, handshake included: what Acknowledgement reports.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// Takes bytes from the front of `input` up to the end of the next message.
    ///
    /// `None` means that all of `input` is taken. `allocate` is called once a message, when its
    /// first data is there.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. The position in the byte stream is lost: drop the reader.
    pub fn push(
        &mut self,
        input: &mut &[u8],
        allocate: &mut impl FnMut(Announced) -> Result<B, NoMemory>,
    ) -> Result<Option<Message<B>>, Error> {
        loop {
            if let Some(message) = self.read_data(input, allocate)? {
                return Ok(Some(message));
            }
            if self.chunk.is_some() {
                return Ok(None);
            }
            let offset = self.received.saturating_sub(as_u64(self.pending.len()));
            let Some(header) = self.read_header(input) else { return Ok(None) };
            self.begin_chunk(&header, offset)?;
        }
    }

    /// Reads a chunk header, across calls if need be. `None` means that `input` is used up.
    fn read_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.pending.is_empty() {
            if let Some((header, rest)) = self.parse_header(input) {
                self.received += as_u64(input.len() - rest.len());
                *input = rest;
                return Some(header);
            }
            self.pending.extend_from_slice(input);
            self.received += as_u64(input.len());
            *input = &[];
            return None;
        }
        // Byte by byte: at most a header's worth, at most once a call.
        loop {
            if let Some((header, rest)) = self.parse_header(&self.pending) {
                // What is left began like an extended timestamp, and is data.
                let used = self.pending.len() - rest.len();
                self.pending.drain(..used);
                return Some(header);
            }
            let (&byte, rest) = input.split_first()?;
            self.pending.push(byte);
            self.received += 1;
            *input = rest;
        }
    }

    fn parse_header<'a>(&self, input: &'a [u8]) -> Option<(Header, &'a [u8])> {
        let (basic, rest) = chunk_header::parse_basic(input)?;
        let (mut fields, mut rest) = chunk_header::parse_fields(basic.format, rest)?;
        let lane = self.lanes.iter().position(|lane| lane.chunk_stream == basic.chunk_stream);
        if basic.format == chunk_header::ChunkFormat::Same
            && let Some(lane) = lane.and_then(|lane| self.lanes.get(lane))
        {
            (fields.extended, rest) = lane.parse_type3_extended(self.type3_extended, rest)?;
        }
        Some((Header { basic, fields, lane }, rest))
    }

    /// Works out which message the chunk belongs to and how much data it has.
    fn begin_chunk(&mut self, header: &Header, offset: u64) -> Result<(), Error> {
        let index = match header.lane {
            Some(index) => index,
            None => self.open_lane(header, offset)?,
        };
        let Some(lane) = self.lanes.get_mut(index) else { return Ok(()) };
        if lane.partial.is_some() {
            if let Some(seen) = lane.continue_message(header, offset)? {
                self.type3_extended = seen;
            }
        } else {
            lane.begin_message(header, offset);
            let (length, limit) = (lane.length, self.limits.message_length_max);
            if length > limit {
                return Err(Error::MessageTooLong { length, limit, offset });
            }
            self.announced += u64::from(length);
            let (announced, limit) = (self.announced, self.limits.announced_bytes_max);
            if announced > limit {
                return Err(Error::TooMuchBuffered { announced, limit, offset });
            }
        }
        self.chunk = Some(Chunk { lane: index, left: lane.missing().min(self.chunk_size) });
        Ok(())
    }

    fn open_lane(&mut self, header: &Header, offset: u64) -> Result<usize, Error> {
        let lane = Lane::open(header, offset)?;
        let limit = self.limits.chunk_streams_max;
        if self.lanes.len() >= limit {
            let chunk_stream = lane.chunk_stream;
            return Err(Error::TooManyChunkStreams { chunk_stream, limit, offset });
        }
        self.lanes.push(lane);
        Ok(self.lanes.len() - 1)
    }

    /// Copies the data of the chunk that has begun; gives the message if that was the end of it.
    fn read_data(
        &mut self,
        input: &mut &[u8],
        allocate: &mut impl FnMut(Announced) -> Result<B, NoMemory>,
    ) -> Result<Option<Message<B>>, Error> {
        let Some(chunk) = &mut self.chunk else { return Ok(None) };
        let Some(lane) = self.lanes.get_mut(chunk.lane) else { return Ok(None) };
        let left = usize::try_from(chunk.left).unwrap_or(usize::MAX);
        if !self.pending.is_empty() {
            let used = left.min(self.pending.len());
            lane.append(self.pending.get(..used).unwrap_or_default(), allocate)?;
            self.pending.drain(..used);
            chunk.left = chunk.left.saturating_sub(as_u32(used));
        }
        let left = usize::try_from(chunk.left).unwrap_or(usize::MAX);
        let (data, rest) = input.split_at_checked(left).unwrap_or((input, &[]));
        lane.append(data, allocate)?;
        *input = rest;
        self.received += as_u64(data.len());
        chunk.left = chunk.left.saturating_sub(as_u32(data.len()));
        if chunk.left > 0 {
            return Ok(None);
        }
        self.chunk = None;
        if lane.missing() > 0 {
            return Ok(None);
        }
        let Some(finished) = lane.finish(allocate)? else { return Ok(None) };
        self.announced = self.announced.saturating_sub(u64::from(lane.length));
        self.obey(&finished)?;
        Ok(Some(finished.message))
    }

    /// Carries out the two messages that are about the chunks themselves.
    fn obey(&mut self, finished: &Finished<B>) -> Result<(), Error> {
        let Finished { message, head, length } = finished;
        let (name, section) = match message.type_id {
            type_id::SET_CHUNK_SIZE => ("Set Chunk Size", "5.4.1"),
            type_id::ABORT => ("Abort Message", "5.4.2"),
            _ => return Ok(()),
        };
        let offset = message.offset;
        let Some(value) = head.map(u32::from_be_bytes) else {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            return Err(Error::MessageTooShort { name, length, section, offset });
        };
        if message.type_id == type_id::ABORT {
            // An id that no message uses is no error: the peer may abort what it has not begun.
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.chunk_stream == value)
                && lane.partial.take().is_some()
            {
                self.announced = self.announced.saturating_sub(u64::from(lane.length));
            }
            return Ok(());
        }
        // In force from the next chunk on, also of messages that have begun (section 5.4.1).
        let limit = self.limits.chunk_size_max;
        if !(1..=limit).contains(&value) {
            return Err(Error::ChunkSize { size: value, limit, offset });
        }
        self.chunk_size = value;
        Ok(())
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn as_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
