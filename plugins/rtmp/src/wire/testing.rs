//! Helpers of this folder's tests: readable bytes, a reader for whole inputs.

use super::chunk_reader::{Announced, ChunkReader, Limits, Message, NoMemory};
use super::error::Error;

/// Bytes from hex digits; white space separates fields.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of hex digits in {hex:?}");
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| u8::from_str_radix(&pair, 16).expect("hex digits")).collect()
}

pub(super) fn allocate(announced: Announced) -> Result<Vec<u8>, NoMemory> {
    Ok(Vec::with_capacity(announced.reserve))
}

/// Every message of `input`, which is given to `reader` in pieces of `piece` bytes.
pub(super) fn read_pieces(
    reader: &mut ChunkReader<Vec<u8>>,
    input: &[u8],
    piece: usize,
) -> Result<Vec<Message<Vec<u8>>>, Error> {
    let mut messages = Vec::new();
    for mut piece in input.chunks(piece.max(1)) {
        while let Some(message) = reader.push(&mut piece, &mut allocate)? {
            messages.push(message);
        }
        assert!(piece.is_empty(), "the reader must take all");
    }
    Ok(messages)
}

/// Every message of `input`, at once.
pub(super) fn read_all(input: &[u8]) -> Result<Vec<Message<Vec<u8>>>, Error> {
    read_pieces(&mut ChunkReader::new(Limits::default(), 0), input, usize::MAX)
}
