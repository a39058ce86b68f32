//! The RTMP byte stream after the handshake: any bytes, cut anywhere.
//!
//! The first byte seeds how the rest is cut into reads. Proven: no panic; the same messages and the
//! same error however the input is cut; no more memory asked for than the limit; every message is
//! the same after being written and read again. Not proven: that the messages are the right ones.
#![cfg_attr(fuzzing, no_main)]

use plugcast_rtmp::wire::Error;
use plugcast_rtmp::wire::chunk_reader::{
    ALLOCATE_AT_ONCE_MAX, Announced, ChunkReader, Limits, Message, NoMemory,
};
use plugcast_rtmp::wire::chunk_writer::{ChunkWriter, MessageHeader};
use plugcast_rtmp::wire::command::Command;
use plugcast_rtmp::wire::command::client::Reply;
use plugcast_rtmp::wire::data::Data;
use plugcast_rtmp::wire::message::{self, Body};
use plugcast_rtmp::wire::url::Target;

type Outcome = (Vec<Message<Vec<u8>>>, Option<Error>, u64);

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let Some((&seed, input)) = data.split_first() else { return };
    let whole = read([input]);
    let pieces = read(cut(input, seed));
    assert_eq!(whole.0, pieces.0, "messages depend on how the input is cut");
    assert_eq!(whole.1, pieces.1, "the error depends on how the input is cut");
    if whole.1.is_none() {
        assert_eq!((whole.2, pieces.2), (input.len() as u64, input.len() as u64));
    }
    for message in &whole.0 {
        look_into(message);
        write_and_read(message, u32::from(seed) + 1);
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let limits = Limits::default();
    let mut reader = ChunkReader::new(limits, 0);
    let mut messages = Vec::new();
    let mut allocate = |announced: Announced| {
        assert!(announced.reserve <= announced.length.min(ALLOCATE_AT_ONCE_MAX));
        // Nothing is reserved: the fuzzer is to find inputs, not to wait for memory.
        Ok::<Vec<u8>, NoMemory>(Vec::new())
    };
    for mut piece in pieces {
        loop {
            match reader.push(&mut piece, &mut allocate) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break assert!(piece.is_empty()),
                Err(error) => return (messages, Some(error), reader.bytes_received()),
            }
        }
    }
    (messages, None, reader.bytes_received())
}

/// Pieces of 1 to 64 bytes, in an order that the seed gives.
fn cut(input: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut rest, mut state) = (input, u32::from(seed) | 0x100);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // A linear congruential step (Numerical Recipes).
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (state >> 24) as usize % 64 + 1;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn look_into(message: &Message<Vec<u8>>) {
    match message::parse(message, &message.payload) {
        Ok(Body::Control(control)) => {
            let mut output = Vec::new();
            control.write(&ChunkWriter::default(), &mut output);
            let (again, ..) = read([&output[..]]);
            if let Some(again) = again.first() {
                assert_eq!(message::parse(again, &again.payload), Ok(Body::Control(control)));
            }
        }
        Ok(Body::Command(payload)) => {
            let _ = Command::parse(payload, message.offset);
            let _ = Reply::parse(payload, message.offset);
        }
        Ok(Body::Data(payload)) => {
            let _ = Data::parse(payload, message.offset);
        }
        Ok(Body::Aggregate(aggregate)) => {
            let total: usize = aggregate.flatten().map(|sub| sub.payload.len()).sum();
            assert!(total <= message.payload.len());
        }
        Ok(Body::Audio(payload) | Body::Video(payload)) => {
            let text = String::from_utf8_lossy(payload);
            let target = Target::new(&text, &text, &text);
            assert!(!target.path.contains("//") && !target.path.contains('?'));
        }
        Ok(Body::Other) | Err(_) => {}
    }
}

fn write_and_read(message: &Message<Vec<u8>>, chunk_size: u32) {
    // These two would change how the reader reads.
    if matches!(message.type_id, 1 | 2) {
        return;
    }
    let header = MessageHeader {
        chunk_stream: message.chunk_stream,
        timestamp: message.timestamp,
        type_id: message.type_id,
        stream_id: message.stream_id,
    };
    let writer = ChunkWriter::new(chunk_size);
    let set_chunk_size = message::Control::SetChunkSize(chunk_size);
    let mut output = Vec::new();
    set_chunk_size.write(&ChunkWriter::default(), &mut output);
    let before = output.len() as u64;
    writer.write(&header, &message.payload, &mut output).expect("it was announced in 24 bits");

    let (again, error, _) = read([&output[..]]);

    assert_eq!(error, None);
    assert_eq!(again.last(), Some(&Message { offset: before, ..message.clone() }));
}
