//! Chunks: how messages are cut up on the wire (Adobe RTMP 1.0, section 5.3).

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use super::Message;
use super::client::SET_CHUNK_SIZE;

/// In force until `SetChunkSize` (section 5.4.1).
const FIRST_CHUNK_SIZE: usize = 128;

/// A time stamp field with this value says that the whole stamp follows the header (section 5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;

/// A server that announces more than this is broken.
const MESSAGE_LEN_MAX: usize = 32 << 20;

/// Writes messages, each with a full header.
#[derive(Debug)]
pub(super) struct Writer {
    socket: TcpStream,
    chunk_size: usize,
    /// Bytes written, without the handshake.
    written: u64,
}

impl Writer {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, chunk_size: FIRST_CHUNK_SIZE, written: 0 }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size;
    }

    pub(super) fn write(
        &mut self,
        lane: u8,
        kind: u8,
        stream: u32,
        time_ms: u32,
        body: &[u8],
    ) -> std::io::Result<()> {
        let bytes = cut(self.chunk_size, lane, kind, stream, time_ms, body);
        self.written += bytes.len() as u64;
        self.socket.write_all(&bytes)
    }
}

fn cut(chunk_size: usize, lane: u8, kind: u8, stream: u32, time_ms: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a message of the tests is short");
    let extended = (time_ms >= EXTENDED).then(|| time_ms.to_be_bytes());
    let mut out = vec![lane];
    out.extend(&time_ms.min(EXTENDED).to_be_bytes()[1..]);
    out.extend(&len.to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream.to_le_bytes());
    for (number, part) in body.chunks(chunk_size).enumerate() {
        if number > 0 {
            out.push(0b1100_0000 | lane);
        }
        out.extend(extended.iter().flatten());
        out.extend(part);
    }
    out
}

/// What chunks of one chunk stream inherit from those before.
#[derive(Debug, Default, Clone)]
struct Lane {
    time_ms: u32,
    delta_ms: u32,
    extended: bool,
    len: usize,
    kind: u8,
    stream: u32,
    partial: Vec<u8>,
}

/// Puts messages together again.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    chunk_size: usize,
    lanes: HashMap<u32, Lane>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { bytes: Vec::new(), chunk_size: FIRST_CHUNK_SIZE, lanes: HashMap::new() }
    }
}

impl Reader {
    /// Takes bytes as they come; returns the messages that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], at: Instant) -> Result<Vec<Message>, String> {
        self.bytes.extend(bytes);
        let mut messages = Vec::new();
        let mut taken = 0;
        while let Some((len, message)) = self.chunk(taken)? {
            taken += len;
            let Some((lane, body)) = message else { continue };
            if lane.kind == SET_CHUNK_SIZE {
                let size = body.first_chunk().map_or(0, |size| u32::from_be_bytes(*size));
                self.chunk_size = usize::try_from(size).unwrap_or(0).max(1);
            }
            messages.push(Message {
                kind: lane.kind,
                stream: lane.stream,
                time_ms: lane.time_ms,
                body,
                at,
            });
        }
        self.bytes.drain(..taken);
        Ok(messages)
    }

    /// Reads one chunk at `from`: its length, and the message if it was the last of one. `None`: not all of it is there.
    #[expect(clippy::type_complexity, reason = "used once, just above")]
    fn chunk(&mut self, from: usize) -> Result<Option<(usize, Option<(Lane, Vec<u8>)>)>, String> {
        let mut rest = self.bytes.get(from..).unwrap_or_default();
        let whole = rest.len();
        let Some((format, id)) = basic_header(&mut rest) else { return Ok(None) };
        let known = self.lanes.get(&id);
        if known.is_none() && format != 0 {
            return Err(format!("chunk stream {id} begins with a header of type {format}"));
        }
        let mut lane = known.cloned().unwrap_or_default();
        let Some(starts) = message_header(&mut rest, format, &mut lane) else { return Ok(None) };
        if lane.len > MESSAGE_LEN_MAX {
            return Err(format!("a message of {} bytes", lane.len));
        }
        if starts && !lane.partial.is_empty() {
            return Err(format!("chunk stream {id} begins a message inside another"));
        }
        let due = (lane.len - lane.partial.len()).min(self.chunk_size);
        let Some((part, rest)) = rest.split_at_checked(due) else { return Ok(None) };
        lane.partial.extend(part);
        let len = whole - rest.len();
        let message = (lane.partial.len() == lane.len).then(|| {
            let body = std::mem::take(&mut lane.partial);
            (lane.clone(), body)
        });
        self.lanes.insert(id, lane);
        Ok(Some((len, message)))
    }
}

fn basic_header(rest: &mut &[u8]) -> Option<(u8, u32)> {
    let [first] = take(rest)?;
    let id = match first & 0b0011_1111 {
        0 => 64 + u32::from(take::<1>(rest)?[0]),
        1 => 64 + u32::from(u16::from_le_bytes(take(rest)?)),
        id => u32::from(id),
    };
    Some((first >> 6, id))
}

/// Returns whether the header begins a new message, or `None` when it is not all there.
fn message_header(rest: &mut &[u8], format: u8, lane: &mut Lane) -> Option<bool> {
    let continues = format == 3 && !lane.partial.is_empty();
    let mut field = None;
    if format <= 2 {
        let [a, b, c] = take(rest)?;
        field = Some(u32::from_be_bytes([0, a, b, c]));
    }
    if format <= 1 {
        let [a, b, c, kind] = take(rest)?;
        lane.len = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        lane.kind = kind;
    }
    if format == 0 {
        lane.stream = u32::from_le_bytes(take(rest)?);
    }
    if let Some(field) = field {
        lane.extended = field == EXTENDED;
    }
    let stamp = if lane.extended { Some(u32::from_be_bytes(take(rest)?)) } else { field };
    match (format, stamp) {
        _ if continues => {}
        (0, Some(stamp)) => (lane.time_ms, lane.delta_ms) = (stamp, stamp),
        (3, _) | (_, None) => lane.time_ms = lane.time_ms.wrapping_add(lane.delta_ms),
        (_, Some(delta)) => {
            lane.delta_ms = delta;
            lane.time_ms = lane.time_ms.wrapping_add(delta);
        }
    }
    Some(!continues)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> Vec<(u8, u32, u32, usize)> {
        let mut reader = Reader::default();
        let mut messages = Vec::new();
        for part in bytes.chunks(step) {
            messages.extend(reader.push(part, Instant::now()).unwrap());
        }
        messages.iter().map(|m| (m.kind, m.stream, m.time_ms, m.body.len())).collect()
    }

    #[test]
    fn reads_what_it_writes_however_it_is_cut() {
        let mut bytes = cut(FIRST_CHUNK_SIZE, 6, 9, 1, 40, &[7; 300]);
        bytes.extend(cut(FIRST_CHUNK_SIZE, 4, 8, 1, 0x0100_0000, &[8; 200]));
        bytes.extend(cut(FIRST_CHUNK_SIZE, 2, SET_CHUNK_SIZE, 0, 0, &[0, 0, 16, 0]));
        bytes.extend(cut(4096, 6, 9, 1, u32::MAX, &[9; 5000]));

        let expected =
            [(9, 1, 40, 300), (8, 1, 0x0100_0000, 200), (1, 0, 0, 4), (9, 1, u32::MAX, 5000)];
        for step in [1, 2, 7, 100, bytes.len()] {
            assert_eq!(read(&bytes, step), expected, "in steps of {step}");
        }
    }

    #[test]
    fn reads_short_headers() {
        let mut bytes = vec![0x04, 0, 0, 10, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa]; // full
        bytes.extend([0x44, 0, 0, 5, 0, 0, 2, 8, 0xbb, 0xbb]); // same stream
        bytes.extend([0x84, 0, 0, 7, 0xcc, 0xcc]); // same length
        bytes.extend([0xc4, 0xdd, 0xdd]); // the same step again

        assert_eq!(read(&bytes, 3), [(8, 1, 10, 1), (8, 1, 15, 2), (8, 1, 22, 2), (8, 1, 29, 2)]);
    }

    #[test]
    fn refuses_a_continuation_of_nothing() {
        assert!(Reader::default().push(&[0xc4, 1, 2, 3], Instant::now()).is_err());
    }
}
