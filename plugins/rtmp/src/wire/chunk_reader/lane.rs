//! One chunk stream as the reader sees it: the last header, and the message that is under way.
//!
//! chunk_header → **lane** → chunk_reader
//!
//! Three points where the specification and its implementations differ. All are about time.
//!
//! 1. *Extended timestamps on type 3 chunks.* Section 5.3.1.3 has them repeated on every type 3
//!    chunk of a chunk stream whose last other header had one. ffmpeg, librtmp and Flash do so,
//!    some hardware encoders and older libraries leave them out. In the middle of a message the
//!    four bytes can only be what they were: we look, and if they differ they are data. (One
//!    message in 2^32 of a peer that leaves them out is misread.) Before a message, ffmpeg may send
//!    another value: it is taken for a timestamp if the connection has repeated one before, see
//!    [`Type3Extended`].
//!
//! 2. *A message that begins with type 3 after type 0.* Section 5.3.1.2.4 has it add the timestamp
//!    of the type 0 chunk, as if that were a delta. It sounds like a mistake (nginx-rtmp adds
//!    nothing) but ffmpeg writes it: it leaves out the header whenever the 24 bits would be the
//!    same as before. SRS and librtmp read it so, and so do we.
//!
//! 3. *The same with an extended timestamp.* A delta of at least 4 hours 39 minutes is never meant.
//!    The value on the type 3 chunk, if there is one, is taken as absolute, as SRS does; else
//!    nothing is added.

use super::super::chunk_header::{BasicHeader, ChunkFormat, Fields};
use super::super::error::Error;
use super::{ALLOCATE_AT_ONCE_MAX, Announced, Message, NoMemory, PayloadBuf, as_u32};

/// A header as parsed, with the index of its lane if that exists.
pub(super) struct Header {
    pub(super) basic: BasicHeader,
    pub(super) fields: Fields,
    pub(super) lane: Option<usize>,
}

/// What this peer does with extended timestamps on type 3 chunks, as seen in the middle of
/// messages, where there is no doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type3Extended {
    Unknown,
    Repeated,
    LeftOut,
}

/// The memory of one chunk stream.
pub(super) struct Lane<B> {
    pub(super) chunk_stream: u32,
    /// Of the message under way, or of the last one: absolute.
    timestamp: u32,
    /// What a message that begins with type 3 adds.
    delta: u32,
    /// The extended timestamp of the last header that had fields.
    extended: Option<u32>,
    /// Whether `extended` is a time rather than a delta: that header was of type 0.
    is_absolute: bool,
    pub(super) length: u32,
    type_id: u8,
    stream_id: u32,
    pub(super) partial: Option<Partial<B>>,
}

/// A message of which at least one chunk header has been read.
pub(super) struct Partial<B> {
    /// `None` until the first data is there.
    payload: Option<B>,
    received: u32,
    /// The first four bytes: all that the reader itself looks at.
    head: [u8; 4],
    offset: u64,
}

/// A message that is whole.
pub(super) struct Finished<B> {
    pub(super) message: Message<B>,
    /// Its first four bytes, if it has so many.
    pub(super) head: Option<[u8; 4]>,
    pub(super) length: u32,
}

impl<B: PayloadBuf> Lane<B> {
    /// The first header of a chunk stream must be of type 0 (section 5.3.1.2.1). Type 1 is accepted
    /// too: librtmp opens chunk stream 2 with it, for its first Ping. Its delta counts from zero.
    pub(super) fn open(header: &Header, offset: u64) -> Result<Self, Error> {
        let chunk_stream = header.basic.chunk_stream;
        let Some((length, type_id)) = header.fields.length_and_type else {
            return Err(Error::NoPreviousHeader { chunk_stream, offset });
        };
        Ok(Self {
            chunk_stream,
            timestamp: 0,
            delta: 0,
            extended: None,
            is_absolute: false,
            length,
            type_id,
            stream_id: 0,
            partial: None,
        })
    }

    /// Whether the four bytes of an extended timestamp follow a type 3 header, and what they are.
    /// `None` means: too few bytes to tell.
    pub(super) fn parse_type3_extended<'a>(
        &self,
        seen: Type3Extended,
        input: &'a [u8],
    ) -> Option<(Option<u32>, &'a [u8])> {
        let Some(expected) = self.extended else { return Some((None, input)) };
        let any_value = self.partial.is_none() && seen == Type3Extended::Repeated;
        match input.split_first_chunk::<4>() {
            Some((&value, rest)) if any_value || value == expected.to_be_bytes() => {
                Some((Some(u32::from_be_bytes(value)), rest))
            }
            Some(_) => Some((None, input)),
            None if any_value || expected.to_be_bytes().starts_with(input) => None,
            None => Some((None, input)),
        }
    }

    /// Takes the header of a message's first chunk.
    pub(super) fn begin_message(&mut self, header: &Header, offset: u64) {
        let fields = &header.fields;
        if let Some((length, type_id)) = fields.length_and_type {
            (self.length, self.type_id) = (length, type_id);
        }
        if let Some(stream_id) = fields.stream_id {
            self.stream_id = stream_id;
        }
        match (header.basic.format, fields.timestamp) {
            (ChunkFormat::Full, Some(timestamp)) => {
                self.timestamp = timestamp;
                self.delta = if fields.extended.is_some() { 0 } else { timestamp };
                (self.extended, self.is_absolute) = (fields.extended, true);
            }
            (_, Some(delta)) => {
                self.delta = delta;
                self.timestamp = self.timestamp.wrapping_add(delta);
                (self.extended, self.is_absolute) = (fields.extended, false);
            }
            (_, None) => self.begin_with_type3(fields.extended),
        }
        self.partial = Some(Partial { payload: None, received: 0, head: [0; 4], offset });
    }

    fn begin_with_type3(&mut self, extended: Option<u32>) {
        match extended {
            Some(value) if self.is_absolute => {
                self.timestamp = value;
                self.extended = extended;
            }
            Some(value) => {
                self.delta = value;
                self.timestamp = self.timestamp.wrapping_add(value);
                self.extended = extended;
            }
            None => self.timestamp = self.timestamp.wrapping_add(self.delta),
        }
    }

    /// Takes the header of a later chunk: it has to be type 3. Says what it shows of the peer.
    pub(super) fn continue_message(
        &self,
        header: &Header,
        offset: u64,
    ) -> Result<Option<Type3Extended>, Error> {
        if header.basic.format != ChunkFormat::Same {
            let (chunk_stream, missing) = (self.chunk_stream, self.missing());
            return Err(Error::MessageInterrupted { chunk_stream, missing, offset });
        }
        Ok(self.extended.map(|_| match header.fields.extended {
            Some(_) => Type3Extended::Repeated,
            None => Type3Extended::LeftOut,
        }))
    }

    /// How many bytes of the message under way are still to come.
    pub(super) fn missing(&self) -> u32 {
        self.partial.as_ref().map_or(0, |partial| self.length.saturating_sub(partial.received))
    }

    /// Adds data to the message under way.
    pub(super) fn append(
        &mut self,
        data: &[u8],
        allocate: &mut impl FnMut(Announced) -> Result<B, NoMemory>,
    ) -> Result<(), Error> {
        let (length, announced) = (self.length, self.announced());
        let Some(partial) = &mut self.partial else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        let no_memory = |NoMemory| Error::NoMemory { length, offset: partial.offset };
        let payload = match &mut partial.payload {
            Some(payload) => payload,
            empty => empty.insert(allocate(announced).map_err(no_memory)?),
        };
        payload.append(data).map_err(no_memory)?;
        let at = usize::try_from(partial.received).unwrap_or(usize::MAX);
        for (to, &from) in partial.head.iter_mut().skip(at).zip(data) {
            *to = from;
        }
        partial.received = partial.received.saturating_add(as_u32(data.len()));
        Ok(())
    }

    /// Gives the message under way, which is whole. A message without data gets its buffer here.
    pub(super) fn finish(
        &mut self,
        allocate: &mut impl FnMut(Announced) -> Result<B, NoMemory>,
    ) -> Result<Option<Finished<B>>, Error> {
        let Some(partial) = self.partial.take() else { return Ok(None) };
        let payload = match partial.payload {
            Some(payload) => payload,
            None => allocate(self.announced()).map_err(|NoMemory| Error::NoMemory {
                length: self.length,
                offset: partial.offset,
            })?,
        };
        let message = Message {
            type_id: self.type_id,
            chunk_stream: self.chunk_stream,
            stream_id: self.stream_id,
            timestamp: self.timestamp,
            payload,
            offset: partial.offset,
        };
        let head = (partial.received >= 4).then_some(partial.head);
        Ok(Some(Finished { message, head, length: self.length }))
    }

    fn announced(&self) -> Announced {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        Announced { type_id: self.type_id, length, reserve: length.min(ALLOCATE_AT_ONCE_MAX) }
    }
}
