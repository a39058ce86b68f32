//! Steps through a chunk stream and tells where messages end.

use super::{EXTENDED, SIZE_DEFAULT, type_id};

/// The longest chunk header: basic 3, message 11, extended timestamp 4 (section 5.3.1).
const HEADER_MAX: usize = 18;
/// What is kept of audio and video: FLV's bytes and a stamp.
const MEDIA_HEAD: usize = 64;
/// What is kept of other messages: all of any answer to a command.
const OTHER_HEAD: usize = 4096;
/// More chunk streams than any server uses.
const LANES_MAX: usize = 64;

/// Bytes that are not RTMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("chunk size {size}")]
    ChunkSize { size: u32 },

    #[error("chunk stream {id} continues but was never started")]
    NoPreviousHeader { id: u32 },

    #[error("a new message on chunk stream {id} in the middle of another")]
    Overlap { id: u32 },

    #[error("more than {LANES_MAX} chunk streams")]
    TooManyChunkStreams,
}

/// A message that has arrived completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub type_id: u8,
    pub timestamp: u32,
    /// The first bytes.
    pub head: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Walker {
    chunk_size: usize,
    lanes: Vec<Lane>,
    /// A header that has arrived in part.
    partial: Vec<u8>,
    /// The chunk whose header has been read: its lane and the bytes still to come.
    chunk: Option<(usize, usize)>,
}

/// One chunk stream.
#[derive(Debug, Default)]
struct Lane {
    id: u32,
    timestamp: u32,
    delta: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    received: usize,
    head: Vec<u8>,
}

/// A chunk header as it stands in the bytes.
struct ChunkHeader {
    id: u32,
    format: u8,
    /// The fields that the format has, zero otherwise.
    time: u32,
    length: usize,
    type_id: u8,
    extended: bool,
    len: usize,
}

impl Walker {
    pub(crate) fn new() -> Self {
        Self { chunk_size: SIZE_DEFAULT, lanes: Vec::new(), partial: Vec::new(), chunk: None }
    }

    /// Takes bytes as they come; calls `sink` at the end of each message.
    ///
    /// # Errors
    ///
    /// Bytes that are not RTMP; then nothing more can be read.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        sink: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Broken> {
        loop {
            if let Some((lane, left)) = self.chunk {
                let taken = left.min(input.len());
                let (data, rest) = input.split_at(taken);
                input = rest;
                self.lanes[lane].take(data);
                if taken < left {
                    self.chunk = Some((lane, left - taken));
                    return Ok(());
                }
                self.chunk = None;
                self.finish(lane, sink)?;
            }
            let Some(header) = self.next_header(&mut input) else { return Ok(()) };
            self.chunk = Some(self.begin(&header)?);
        }
    }

    fn next_header(&mut self, input: &mut &[u8]) -> Option<ChunkHeader> {
        if self.partial.is_empty() {
            if let Some(header) = self.parse_header(input) {
                *input = &input[header.len..];
                return Some(header);
            }
            self.partial.extend_from_slice(input);
            *input = &[];
            return None;
        }
        while let Some((&byte, rest)) = input.split_first() {
            self.partial.push(byte);
            *input = rest;
            if let Some(header) = self.parse_header(&self.partial) {
                self.partial.clear();
                return Some(header);
            }
        }
        debug_assert!(self.partial.len() < HEADER_MAX, "a header of this length is whole");
        None
    }

    /// `None`: not all of it has arrived. Sections 5.3.1.1 to 5.3.1.3.
    fn parse_header(&self, input: &[u8]) -> Option<ChunkHeader> {
        let first = *input.first()?;
        let format = first >> 6;
        let (id, basic) = match first & 0x3f {
            0 => (64 + u32::from(*input.get(1)?), 2),
            1 => (64 + u32::from(u16::from_le_bytes([*input.get(1)?, *input.get(2)?])), 3),
            id => (u32::from(id), 1),
        };
        let fields = [11, 7, 3, 0][usize::from(format)];
        let message = input.get(basic..basic + fields)?;
        let number = |at: usize| {
            let bytes = message.get(at..at + 3)?;
            Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
        };
        let mut time = number(0).unwrap_or(0);
        let extended = match format {
            3 => self.lanes.iter().any(|lane| lane.id == id && lane.extended),
            _ => time == EXTENDED,
        };
        let mut len = basic + fields;
        if extended {
            time = u32::from_be_bytes(*input.get(len..)?.first_chunk()?);
            len += 4;
        }
        let length = usize::try_from(number(3).unwrap_or(0)).unwrap_or(usize::MAX);
        let type_id = message.get(6).copied().unwrap_or(0);
        Some(ChunkHeader { id, format, time, length, type_id, extended, len })
    }

    /// Finds the lane and how much of it this chunk brings.
    fn begin(&mut self, header: &ChunkHeader) -> Result<(usize, usize), Broken> {
        let id = header.id;
        let found = self.lanes.iter().position(|lane| lane.id == id);
        let index = match found {
            Some(index) => index,
            None if header.format != 0 => return Err(Broken::NoPreviousHeader { id }),
            None if self.lanes.len() == LANES_MAX => return Err(Broken::TooManyChunkStreams),
            None => {
                self.lanes.push(Lane { id, ..Lane::default() });
                self.lanes.len() - 1
            }
        };
        let lane = &mut self.lanes[index];
        if lane.received > 0 {
            if header.format != 3 {
                return Err(Broken::Overlap { id });
            }
        } else {
            lane.start(header);
        }
        Ok((index, self.chunk_size.min(lane.length - lane.received)))
    }

    /// Called at the end of a chunk: gives the message if it is whole.
    fn finish(&mut self, index: usize, sink: &mut impl FnMut(Message<'_>)) -> Result<(), Broken> {
        let lane = &mut self.lanes[index];
        if lane.received < lane.length {
            return Ok(());
        }
        if lane.type_id == type_id::SET_CHUNK_SIZE {
            let size = lane.head.first_chunk().copied().map_or(0, u32::from_be_bytes);
            self.chunk_size = match usize::try_from(size) {
                Ok(valid) if valid > 0 && size <= 0x7fff_ffff => valid,
                _ => return Err(Broken::ChunkSize { size }),
            };
        }
        sink(Message { type_id: lane.type_id, timestamp: lane.timestamp, head: &lane.head });
        lane.received = 0;
        lane.head.clear();
        Ok(())
    }
}

impl Lane {
    /// Begins a message; what the header leaves out is as before (section 5.3.1.2).
    fn start(&mut self, header: &ChunkHeader) {
        if header.format < 3 {
            self.extended = header.extended;
            self.delta = header.time;
        }
        if header.format < 2 {
            self.length = header.length;
            self.type_id = header.type_id;
        }
        self.timestamp = match header.format {
            0 => header.time,
            _ => self.timestamp.wrapping_add(self.delta),
        };
    }

    fn take(&mut self, data: &[u8]) {
        self.received += data.len();
        let kept = if matches!(self.type_id, 8 | 9) { MEDIA_HEAD } else { OTHER_HEAD };
        let missing = kept.saturating_sub(self.head.len()).min(data.len());
        self.head.extend_from_slice(&data[..missing]);
    }
}
