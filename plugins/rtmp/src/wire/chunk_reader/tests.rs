//! Chunk reader: interleaving, time, limits, and every way to cut the input.

use super::super::testing::{allocate, bytes, read_all, read_pieces};
use super::*;

/// Type, timestamp and payload of each message.
fn seen(input: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let messages = read_all(input).expect("valid chunks");
    messages.into_iter().map(|m| (m.type_id, m.timestamp, m.payload)).collect()
}

/// The timestamps alone.
fn times(hex: &str) -> Vec<u32> {
    seen(&bytes(hex)).into_iter().map(|(_, timestamp, _)| timestamp).collect()
}

#[test]
fn reads_one_message() {
    //                   id ts     length ty stream
    let input = bytes("  04 000010 000003 08 01000000  af01ff ");

    let messages = read_all(&input).expect("valid");

    let payload = bytes("af01ff");
    assert_eq!(
        messages,
        [Message { type_id: 8, chunk_stream: 4, stream_id: 1, timestamp: 16, payload, offset: 0 }]
    );
}

#[test]
fn reads_all_forms_of_the_chunk_stream_id() {
    for (basic, id) in [
        ("02", 2),
        ("3f", 63),
        ("00 00", 64),
        ("00 ff", 319),
        ("01 0000", 64),
        ("01 0001", 320),
        ("01 ffff", 65_599),
    ] {
        let messages = read_all(&bytes(&format!("{basic} 000000 000000 08 00000000")));
        assert_eq!(messages.expect(basic)[0].chunk_stream, id, "{basic}");
    }
}

#[test]
fn keeps_interleaved_messages_apart() {
    let (video, audio) = ([0x17; 300], [0xaf; 200]);
    let input = [
        &bytes("06 000000 00012c 09 01000000"),
        &video[..128],
        &bytes("04 000000 0000c8 08 01000000"),
        &audio[..128],
        &bytes("c6"),
        &video[128..256],
        &bytes("c4"),
        &audio[128..],
        &bytes("c6"),
        &video[256..],
    ]
    .concat();

    assert_eq!(seen(&input), [(8, 0, audio.to_vec()), (9, 0, video.to_vec())]);
}

#[test]
fn adds_deltas_and_repeats_them_on_type_3() {
    let cases = [
        ("type 1", "04 00000a 000000 08 01000000  44 000005 000000 08", vec![10, 15]),
        ("type 2", "04 00000a 000000 08 01000000  84 000005  84 000006", vec![10, 15, 21]),
        ("type 3 after 2", "04 00000a 000000 08 01000000  84 000005  c4 c4", vec![10, 15, 20, 25]),
        ("type 3 after 0 adds its time", "04 000028 000000 08 01000000  c4 c4", vec![40, 80, 120]),
        ("type 0 again", "04 00000a 000000 08 01000000  04 000003 000000 08 01000000", vec![10, 3]),
        ("type 1 first, as librtmp", "42 000007 000000 04", vec![7]),
        (
            "wraps at 2^32",
            "04 ffffff 000000 08 01000000 fffffff6  84 000014",
            vec![0xffff_fff6, 10],
        ),
        (
            "lanes have clocks of their own",
            "04 00000a 000000 08 01000000  06 000064 000000 09 01000000  84 000001  86 000002",
            vec![10, 100, 11, 102],
        ),
    ];
    for (name, hex, expected) in cases {
        assert_eq!(times(hex), expected, "{name}");
    }
}

#[test]
fn continuing_with_type_3_adds_no_time() {
    let hex = format!(
        "04 00000a 000082 08 01000000 {a} c4 {b}  84 000005 {a} c4 {b}  c4 {a} c4 {b}",
        a = "11".repeat(128),
        b = "2222"
    );

    assert_eq!(times(&hex), [10, 15, 20]);
}

#[test]
fn reads_extended_timestamps_repeated_or_left_out() {
    let (a, b) = ("11".repeat(128), "22222222");
    let cases = [
        ("time, repeated", format!("04 ffffff 000084 08 01000000 01000000 {a} c4 01000000 {b}")),
        ("time, left out", format!("04 ffffff 000084 08 01000000 01000000 {a} c4 {b}")),
        (
            "delta, repeated",
            format!(
                "04 000000 000000 08 01000000  44 ffffff 000084 08 01000000 {a} c4 01000000 {b}"
            ),
        ),
        (
            "delta, left out",
            format!("04 000000 000000 08 01000000  44 ffffff 000084 08 01000000 {a} c4 {b}"),
        ),
    ];
    for (name, hex) in cases {
        let messages = seen(&bytes(&hex));
        let payload = bytes(&format!("{a}{b}"));
        assert_eq!(messages.last(), Some(&(8, 0x0100_0000, payload)), "{name}");
    }
}

#[test]
fn data_that_begins_like_the_extended_timestamp_is_data() {
    // Left out, and the rest of the message is 0100 00: shorter than a timestamp, then another
    // chunk.
    let a = "11".repeat(128);
    let hex = format!(
        "04 ffffff 000083 08 01000000 01000000 {a} c4 010000  06 000005 000001 09 01000000 77"
    );
    let input = bytes(&hex);

    let expected = vec![(8, 0x0100_0000, bytes(&format!("{a}010000"))), (9, 5, bytes("77"))];
    assert_eq!(seen(&input), expected);
    for piece in 1..8 {
        let mut reader = ChunkReader::new(Limits::default(), 0);
        let messages = read_pieces(&mut reader, &input, piece).expect("valid");
        let messages: Vec<_> =
            messages.into_iter().map(|m| (m.type_id, m.timestamp, m.payload)).collect();
        assert_eq!(messages, expected, "pieces of {piece}");
        assert_eq!(reader.bytes_received(), as_u64(input.len()));
    }
}

#[test]
fn a_message_that_begins_with_type_3_may_bring_its_own_time() {
    let a = "11".repeat(128);
    let long = format!("04 ffffff 000082 08 01000000 01000000 {a}");
    let cases = [
        (
            "same time again",
            format!("{long} c4 01000000 2222  c4 01000000 {a} c4 01000000 2222"),
            vec![0x0100_0000, 0x0100_0000],
        ),
        (
            "new time, known to repeat",
            format!("{long} c4 01000000 2222  c4 01000017 {a} c4 01000017 2222"),
            vec![0x0100_0000, 0x0100_0017],
        ),
        ("left out", format!("{long} c4 2222  c4 {a} c4 2222"), vec![0x0100_0000, 0x0100_0000]),
        (
            "then a delta",
            format!("{long} c4 01000000 2222  84 000017 {a} c4 2222"),
            vec![0x0100_0000, 0x0100_0017],
        ),
    ];
    for (name, hex, expected) in cases {
        assert_eq!(times(&hex), expected, "{name}");
    }
}

#[test]
fn an_extended_delta_is_added_again_by_type_3() {
    let hex = "04 000001 000000 08 01000000  44 ffffff 000000 08 01000000  c4 01000000";

    assert_eq!(times(hex), [1, 0x0100_0001, 0x0200_0001]);
}

#[test]
fn obeys_set_chunk_size_at_the_next_chunk_also_in_mid_message() {
    let video = [0x17; 130 + 128];
    let input = [
        &bytes("06 000000 000102 09 01000000"),
        &video[..128],
        &bytes("02 000000 000004 01 00000000  00000082"),
        &bytes("c6"),
        &video[128..],
    ]
    .concat();

    assert_eq!(seen(&input), [(1, 0, bytes("00000082")), (9, 0, video.to_vec())]);
}

#[test]
fn drops_an_aborted_message_and_keeps_its_header() {
    let input = [
        &bytes("06 000028 000102 09 01000000"),
        &[0x17; 128][..],
        &bytes("02 000000 000004 02 00000000  00000006"),
        &bytes("86 000005"),
        &[0x27; 128],
        &bytes("c6"),
        &[0x27; 128],
        &bytes("c6 2727"),
    ]
    .concat();
    let mut reader = ChunkReader::new(Limits::default(), 0);

    let messages = read_pieces(&mut reader, &input, usize::MAX).expect("valid");

    assert_eq!(messages[1].payload, [0x27; 0x102]);
    assert_eq!((messages[1].timestamp, messages.len()), (45, 2));
    assert_eq!(reader.announced, 0);
}

#[test]
fn aborting_nothing_is_no_error() {
    assert_eq!(seen(&bytes("02 000000 000004 02 00000000  00000009")).len(), 1);
}

#[test]
fn gives_the_same_messages_cut_at_every_byte() {
    let input = mixed();
    let whole = read_all(&input).expect("valid");
    assert_eq!(whole.len(), 8);
    for cut in 0..=input.len() {
        let mut reader = ChunkReader::new(Limits::default(), 0);
        let (first, second) = input.split_at(cut);
        let mut messages = read_pieces(&mut reader, first, usize::MAX).expect("first");
        messages.extend(read_pieces(&mut reader, second, usize::MAX).expect("second"));
        assert_eq!(messages, whole, "cut at {cut}");
    }
    for piece in 1..=20 {
        let mut reader = ChunkReader::new(Limits::default(), 0);
        let messages = read_pieces(&mut reader, &input, piece).expect("valid");
        assert_eq!(messages, whole, "pieces of {piece}");
        assert_eq!(reader.bytes_received(), as_u64(input.len()));
    }
}

/// All header forms, interleaved, with extended timestamps and a change of the chunk size.
fn mixed() -> Vec<u8> {
    let (a, b) = ("11".repeat(128), "22".repeat(128));
    bytes(&format!(
        "03 000000 000003 14 00000000 020000  06 ffffff 000102 09 01000000 01000000 {a}
         00 10 000005 000082 08 01000000 {b}  c6 01000000 {a}  c0 10 2222  c6 01000000 1111
         02 000000 000004 01 00000000 00000100  86 000020 {a} {a} c6 3333
         01 ff00 000009 000001 08 01000000 77  c1 ff00 78  c3 020000"
    ))
}

#[test]
fn rejects_malformed_chunk_streams() {
    type Check = fn(&Error) -> bool;
    let chunk_size: Check = |error| matches!(error, Error::ChunkSize { offset: 0, .. });
    let no_header: Check = |error| matches!(error, Error::NoPreviousHeader { .. });
    let cases: [(&str, &str, Check); 12] = [
        ("size zero", "02 000000 000004 01 00000000 00000000", chunk_size),
        ("size with the top bit", "02 000000 000004 01 00000000 80000000", chunk_size),
        ("size cut", "02 000000 000003 01 00000000 000000", |error| {
            matches!(error, Error::MessageTooShort { length: 3, .. })
        }),
        ("size empty", "02 000000 000000 01 00000000", |error| {
            matches!(error, Error::MessageTooShort { length: 0, .. })
        }),
        ("abort empty", "02 000000 000000 02 00000000", |error| {
            matches!(error, Error::MessageTooShort { section: "5.4.2", .. })
        }),
        ("type 3 first", "c3", no_header),
        ("type 2 first", "83 000000", no_header),
        ("type 3 on another lane", "03 000000 000000 14 00000000 c4", |error| {
            matches!(error, Error::NoPreviousHeader { chunk_stream: 4, offset: 12 })
        }),
        ("type 0 in mid message", &interrupted("03 000000 000000 14 00000000"), is_interrupted),
        ("type 1 in mid message", &interrupted("43 000000 000000 14"), is_interrupted),
        ("type 2 in mid message", &interrupted("83 000000"), is_interrupted),
        ("too long", "04 000000 ffffff 08 00000000", |error| {
            matches!(error, Error::MessageTooLong { length: 0xff_ffff, limit: 1000, offset: 0 })
        }),
    ];
    for (name, hex, expected) in cases {
        let limits = Limits { message_length_max: 1000, ..Limits::default() };
        for piece in [usize::MAX, 1] {
            let error = read_pieces(&mut ChunkReader::new(limits, 0), &bytes(hex), piece);
            let error = error.expect_err(name);
            assert!(expected(&error), "{name}: {error}");
        }
    }
}

fn interrupted(hex: &str) -> String {
    format!("03 000000 000081 14 00000000 {} {hex}", "11".repeat(128))
}

fn is_interrupted(error: &Error) -> bool {
    matches!(error, Error::MessageInterrupted { chunk_stream: 3, missing: 1, offset: 140 })
}

#[test]
fn counts_offsets_from_the_start_of_the_connection() {
    let mut reader: ChunkReader<Vec<u8>> = ChunkReader::new(Limits::default(), 3073);

    let error = read_pieces(&mut reader, &bytes("03 000000 000000 14 00000000 c4"), 5);

    assert_eq!(error, Err(Error::NoPreviousHeader { chunk_stream: 4, offset: 3085 }));
}

#[test]
fn bounds_the_number_of_chunk_streams() {
    let limits = Limits { chunk_streams_max: 2, ..Limits::default() };
    let lanes = bytes(
        "03 000000 000000 14 00000000  04 000000 000000 08 00000000  05 000000 000000 08 00000000",
    );

    let error = read_pieces(&mut ChunkReader::new(limits, 0), &lanes, usize::MAX);

    assert_eq!(error, Err(Error::TooManyChunkStreams { chunk_stream: 5, limit: 2, offset: 24 }));
}

#[test]
fn bounds_what_unfinished_messages_announce() {
    let limits = Limits { announced_bytes_max: 600, ..Limits::default() };
    let begin = |id: u8| [&[id], &bytes("000000 00012c 09 01000000")[..], &[0; 128]].concat();
    let finish = |id: u8| [&[0xc0 | id], &[0; 128][..], &[0xc0 | id], &[0; 44]].concat();
    let read = |input: &[u8]| read_pieces(&mut ChunkReader::new(limits, 0), input, usize::MAX);

    // Two of 300 bytes fit; a third does unless one has ended.
    assert!(read(&[begin(4), begin(5), finish(4), begin(6)].concat()).is_ok());
    let error = read(&[begin(4), begin(5), begin(6)].concat());

    assert_eq!(error, Err(Error::TooMuchBuffered { announced: 900, limit: 600, offset: 280 }));
}

#[test]
fn asks_for_memory_with_the_first_data_and_for_no_more_than_the_bound() {
    let mut asked = Vec::new();
    let mut allocate = |announced: Announced| {
        asked.push(announced);
        Ok::<Vec<u8>, NoMemory>(Vec::new())
    };
    let mut reader = ChunkReader::new(Limits::default(), 0);

    let header = bytes("04 000000 ffffff 09 00000000");
    assert_eq!(reader.push(&mut &header[..], &mut allocate), Ok(None));
    assert_eq!(reader.push(&mut &[0x17][..], &mut allocate), Ok(None));

    let length = 0xff_ffff;
    assert_eq!(asked, [Announced { type_id: 9, length, reserve: ALLOCATE_AT_ONCE_MAX }]);
}

#[test]
fn ends_when_there_is_no_memory() {
    let mut refuse = |_| Err::<Vec<u8>, _>(NoMemory);
    let mut reader = ChunkReader::new(Limits::default(), 0);

    let result = reader.push(&mut &bytes("04 000000 000001 09 00000000 17")[..], &mut refuse);

    assert_eq!(result, Err(Error::NoMemory { length: 1, offset: 0 }));
}

#[test]
fn leaves_bytes_after_a_message_in_the_input() {
    let input = bytes("04 000000 000001 08 01000000 aa  84 000001 bb");
    let mut rest = &input[..];
    let mut reader = ChunkReader::new(Limits::default(), 0);

    let first = reader.push(&mut rest, &mut allocate).expect("valid");

    assert_eq!((first.expect("whole").payload, rest.len()), (vec![0xaa], 5));
    assert_eq!(reader.bytes_received(), 13);
}
