//! Chunk writer: what it writes is read back, for all lengths and times where something changes.

use super::super::chunk_reader::{ChunkReader, Limits};
use super::super::message::type_id;
use super::super::testing::{bytes, read_pieces};
use super::*;

const HEADER: MessageHeader =
    MessageHeader { chunk_stream: 6, timestamp: 40, type_id: type_id::VIDEO, stream_id: 1 };

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// The bytes that a layout stands for.
fn gather(parts: &[Part], arena: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut output = Vec::new();
    for part in parts {
        output.extend_from_slice(match part {
            Part::Header(range) => &arena[range.clone()],
            Part::Payload { piece, range } => &pieces[*piece][range.clone()],
        });
    }
    output
}

#[test]
fn writes_a_type_0_header_and_type_3_between_chunks() {
    let mut output = Vec::new();

    ChunkWriter::new(2).write(&HEADER, &bytes("aabbcc"), &mut output).expect("short");

    assert_eq!(output, bytes("06 000028 000003 09 01000000 aabb  c6 cc"));
}

#[test]
fn repeats_the_extended_timestamp() {
    let header = MessageHeader { timestamp: 0x0100_0000, ..HEADER };
    let mut output = Vec::new();

    ChunkWriter::new(2).write(&header, &bytes("aabbcc"), &mut output).expect("short");

    let expected = "06 ffffff 000003 09 01000000 01000000 aabb  c6 01000000 cc";
    assert_eq!(output, bytes(expected));
}

#[test]
fn writes_chunk_stream_ids_in_the_shortest_form() {
    for (chunk_stream, start) in [
        (2, "02 00"),
        (63, "3f 00"),
        (64, "00 00 00"),
        (319, "00 ff 00"),
        (320, "01 0001 00"),
        (65_599, "01 ffff 00"),
    ] {
        let header = MessageHeader { chunk_stream, ..HEADER };
        let mut output = Vec::new();

        ChunkWriter::default().write(&header, &[], &mut output).expect("short");

        assert!(output.starts_with(&bytes(start)), "{chunk_stream}: {output:02x?}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let lengths = [0, 1, 127, 128, 129, 255, 256, 257, 1000];
    let times = [0, 1, 0xff_fffe, 0xff_ffff, 0x0100_0000, u32::MAX];
    let ids = [2, 63, 64, 319, 320, 65_599];
    for (length, timestamp, chunk_stream) in lengths
        .into_iter()
        .flat_map(|length| times.map(|time| (length, time)))
        .flat_map(|(length, time)| ids.map(|id| (length, time, id)))
    {
        let header = MessageHeader { timestamp, chunk_stream, ..HEADER };
        let mut output = Vec::new();
        // Twice: the second begins with knowledge of the first.
        for _ in 0..2 {
            ChunkWriter::default().write(&header, &payload(length), &mut output).expect("short");
        }

        let mut reader = ChunkReader::new(Limits::default(), 0);
        let messages = read_pieces(&mut reader, &output, 100).expect("our own");

        assert_eq!(messages.len(), 2, "{header:?} {length}");
        for message in messages {
            let read = MessageHeader {
                chunk_stream: message.chunk_stream,
                timestamp: message.timestamp,
                type_id: message.type_id,
                stream_id: message.stream_id,
            };
            assert_eq!((read, message.payload), (header, payload(length)), "{length}");
        }
    }
}

#[test]
fn a_layout_is_the_same_bytes_however_the_payload_is_cut() {
    let whole = payload(300);
    for timestamp in [40, 0x0100_0000] {
        let header = MessageHeader { timestamp, ..HEADER };
        for size in [1, 5, 99, 100, 101, 128, 299, 300, 301, 60_000] {
            let writer = ChunkWriter::new(size);
            let mut expected = Vec::new();
            writer.write(&header, &whole, &mut expected).expect("short");
            for cuts in [[0, 0], [0, 300], [5, 5], [5, 100], [100, 200], [128, 256], [299, 300]] {
                let pieces = [&whole[..cuts[0]], &whole[cuts[0]..cuts[1]], &whole[cuts[1]..]];
                let (mut arena, mut parts) = (vec![0xee], Vec::new());

                let lengths = pieces.map(<[u8]>::len);
                writer.lay_out(&header, &lengths, &mut arena, &mut parts).expect("short");

                assert_eq!(gather(&parts, &arena, &pieces), expected, "size {size}, {cuts:?}");
                assert!(arena.len() <= 1 + 26, "one continuation header");
            }
        }
    }
}

#[test]
fn lays_out_empty_messages() {
    let (mut arena, mut parts) = (Vec::new(), Vec::new());

    ChunkWriter::default().lay_out(&HEADER, &[], &mut arena, &mut parts).expect("short");

    assert_eq!(gather(&parts, &arena, &[]), bytes("06 000028 000000 09 01000000"));
}

#[test]
fn refuses_messages_beyond_24_bits() {
    let length = 0x0100_0000;
    let (mut arena, mut parts) = (Vec::new(), Vec::new());
    let writer = ChunkWriter::default();

    let too_long = writer.lay_out(&HEADER, &[length], &mut arena, &mut parts);
    assert_eq!(too_long, Err(Error::OutgoingTooLong { length }));
    let overflow = writer.lay_out(&HEADER, &[usize::MAX, 1], &mut arena, &mut parts);
    assert_eq!(overflow, Err(Error::OutgoingTooLong { length: usize::MAX }));

    assert_eq!((arena.len(), parts.len()), (0, 0));
}

#[test]
fn a_chunk_size_of_zero_is_one() {
    let mut output = Vec::new();

    ChunkWriter::new(0).write(&HEADER, &bytes("aabb"), &mut output).expect("short");

    assert_eq!(output, bytes("06 000028 000002 09 01000000 aa  c6 bb"));
}
