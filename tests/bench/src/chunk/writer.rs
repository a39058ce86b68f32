//! Cuts messages into chunks.

use super::EXTENDED;

/// What a type 0 header says (section 5.3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// 2 to 63.
    pub chunk_stream: u8,
    pub type_id: u8,
    pub stream_id: u32,
    pub timestamp: u32,
}

/// Appends a message to `out`: a type 0 chunk, and type 3 chunks for what does not fit.
pub(crate) fn write(header: &Header, body: &[u8], chunk_size: usize, out: &mut Vec<u8>) {
    let extended = header.timestamp >= EXTENDED;
    let [_, time @ ..] = header.timestamp.min(EXTENDED).to_be_bytes();
    let [_, len @ ..] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.push(header.chunk_stream);
    out.extend_from_slice(&time);
    out.extend_from_slice(&len);
    out.push(header.type_id);
    out.extend_from_slice(&header.stream_id.to_le_bytes());
    for (index, piece) in body.chunks(chunk_size).enumerate() {
        if index > 0 {
            out.push(0b1100_0000 | header.chunk_stream);
        }
        if extended {
            out.extend_from_slice(&header.timestamp.to_be_bytes());
        }
        out.extend_from_slice(piece);
    }
}
