//! The header in front of every chunk, as bytes (RTMP 1.0, section 5.3.1).
//!
//! socket → **chunk_header** → chunk_reader → message → session → ingest → host
//!
//! ```text
//! basic header 1..=3 │ message header 11, 7, 3 or 0 │ extended timestamp 0 or 4 │ data
//! ```
//!
//! Shared by [`chunk_reader`](super::chunk_reader) and [`chunk_writer`](super::chunk_writer), which
//! share nothing else. What a header means depends on those before it: that is the reader's part.

/// The chunk size at the start of a connection, in both directions (section 5.4.1).
pub const CHUNK_SIZE_DEFAULT: u32 = 128;
/// The largest chunk size: the top bit must be zero (section 5.4.1).
pub const CHUNK_SIZE_MAX: u32 = 0x7fff_ffff;
/// The longest message that a header can announce in its 24 bits (section 5.3.1.2.1).
pub const MESSAGE_LENGTH_MAX: u32 = 0xff_ffff;
/// In the timestamp field: the value follows the header, in four bytes (section 5.3.1.3).
pub(super) const TIMESTAMP_EXTENDED: u32 = 0xff_ffff;
/// The longest header: three bytes, eleven, four.
pub(super) const HEADER_LEN_MAX: usize = 3 + 11 + 4;

/// The first chunk stream id that no longer fits in the first byte; longer forms count from here.
/// Section 5.3.1.1.
const FIRST_LONG_ID: u32 = 64;
/// The last id of the two byte form, which has one byte for it.
const LAST_TWO_BYTE_ID: u32 = FIRST_LONG_ID + 255;

/// How much of the message header is there, and how much is as before (section 5.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkFormat {
    /// Type 0: everything; the timestamp is absolute.
    Full,
    /// Type 1: no stream id; the timestamp is a delta, as in type 2.
    SameStream,
    /// Type 2: the delta only.
    SameLength,
    /// Type 3: nothing.
    Same,
}

impl ChunkFormat {
    fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::Full,
            1 => Self::SameStream,
            2 => Self::SameLength,
            _ => Self::Same,
        }
    }
}

/// The first one to three bytes of a chunk (section 5.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasicHeader {
    pub(super) format: ChunkFormat,
    pub(super) chunk_stream: u32,
}

/// The fields after the basic header, as far as the format has them. Big-endian, but for
/// `stream_id`, which is little-endian (section 5.3.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Absolute or delta; already replaced by the extended one where there is one.
    pub(super) timestamp: Option<u32>,
    pub(super) length_and_type: Option<(u32, u8)>,
    pub(super) stream_id: Option<u32>,
    /// The four bytes after the header, if they are there.
    pub(super) extended: Option<u32>,
}

/// Parses the chunk basic header. `None` means: not all of it has arrived yet.
pub(super) fn parse_basic(input: &[u8]) -> Option<(BasicHeader, &[u8])> {
    let (&first, rest) = input.split_first()?;
    let format = ChunkFormat::from_bits(first >> 6);
    let (chunk_stream, rest) = match first & 0b0011_1111 {
        0 => {
            let (&id, rest) = rest.split_first()?;
            (FIRST_LONG_ID + u32::from(id), rest)
        }
        1 => {
            let (&id, rest) = rest.split_first_chunk::<2>()?;
            (FIRST_LONG_ID + u32::from(u16::from_le_bytes(id)), rest)
        }
        id => (u32::from(id), rest),
    };
    Some((BasicHeader { format, chunk_stream }, rest))
}

/// Parses the message header of types 0 to 2 with its extended timestamp; of type 3 there is
/// nothing to parse. `None` means: not all of it has arrived yet.
pub(super) fn parse_fields(format: ChunkFormat, input: &[u8]) -> Option<(Fields, &[u8])> {
    let mut fields = Fields::default();
    if format == ChunkFormat::Same {
        return Some((fields, input));
    }
    let (&[a, b, c], mut rest) = input.split_first_chunk()?;
    let timestamp = u32::from_be_bytes([0, a, b, c]);
    fields.timestamp = Some(timestamp);
    if format != ChunkFormat::SameLength {
        let (&[a, b, c, type_id], after) = rest.split_first_chunk()?;
        fields.length_and_type = Some((u32::from_be_bytes([0, a, b, c]), type_id));
        rest = after;
    }
    if format == ChunkFormat::Full {
        let (&stream_id, after) = rest.split_first_chunk()?;
        fields.stream_id = Some(u32::from_le_bytes(stream_id));
        rest = after;
    }
    if timestamp == TIMESTAMP_EXTENDED {
        let (&extended, after) = rest.split_first_chunk()?;
        fields.extended = Some(u32::from_be_bytes(extended));
        fields.timestamp = fields.extended;
        rest = after;
    }
    Some((fields, rest))
}

/// Writes the basic header in its shortest form, which is what peers expect. Ids are 2 to 65599; a
/// larger one is cut to its low bits.
pub(super) fn write_basic(format: ChunkFormat, chunk_stream: u32, output: &mut Vec<u8>) {
    let bits = match format {
        ChunkFormat::Full => 0b0000_0000,
        ChunkFormat::SameStream => 0b0100_0000,
        ChunkFormat::SameLength => 0b1000_0000,
        ChunkFormat::Same => 0b1100_0000,
    };
    let [low, high, ..] = chunk_stream.wrapping_sub(FIRST_LONG_ID).to_le_bytes();
    match chunk_stream {
        ..FIRST_LONG_ID => {
            let [id, ..] = chunk_stream.to_le_bytes();
            output.push(bits | id);
        }
        FIRST_LONG_ID..=LAST_TWO_BYTE_ID => output.extend_from_slice(&[bits, low]),
        _ => output.extend_from_slice(&[bits | 1, low, high]),
    }
}
