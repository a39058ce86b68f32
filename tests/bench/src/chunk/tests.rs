//! Chunk streams as they are written, as other servers write them, and as nobody should.

use super::*;

/// Type, timestamp and head of every message, fed in pieces of `piece` bytes.
fn walk(bytes: &[u8], piece: usize) -> Result<Vec<(u8, u32, Vec<u8>)>, Broken> {
    let mut walker = Walker::new();
    let mut messages = Vec::new();
    for input in bytes.chunks(piece) {
        walker.push(input, &mut |message| {
            messages.push((message.type_id, message.timestamp, message.head.to_vec()));
        })?;
    }
    Ok(messages)
}

fn header(chunk_stream: u8, type_id: u8, timestamp: u32) -> Header {
    Header { chunk_stream, type_id, stream_id: 1, timestamp }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn walks_what_is_written_cut_anywhere() {
    let video: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let mut bytes = Vec::new();
    write(&header(2, 1, 0), &1000_u32.to_be_bytes(), SIZE_DEFAULT, &mut bytes);
    write(&header(6, 9, 40), &video, 1000, &mut bytes);
    write(&header(4, 8, 0x0123_4567), &video[..300], 1000, &mut bytes);
    write(&header(6, 9, 0xffff_ffff), &video[..2500], 1000, &mut bytes);
    write(&header(4, 8, 5), &[], 1000, &mut bytes);
    let expected = [
        (1, 0, 1000_u32.to_be_bytes().to_vec()),
        (9, 40, video[..64].to_vec()),
        (8, 0x0123_4567, video[..64].to_vec()),
        (9, 0xffff_ffff, video[..64].to_vec()),
    ];

    for piece in [1, 2, 3, 7, 64, 129, 1001, bytes.len()] {
        let messages = walk(&bytes, piece).unwrap();

        assert_eq!(messages[..4], expected, "pieces of {piece}");
    }
}

#[test]
fn understands_compressed_headers_and_interleaving() {
    let cases = [
        (
            "type 1, 2 and 3",
            "04 000064 000001 08 01000000 aa  44 000014 000002 08 bbbb  84 00000a cccc  c4 dddd",
            vec![(8, 100), (8, 120), (8, 130), (8, 140)],
        ),
        (
            "audio between two chunks of video",
            &format!(
                "06 000028 000082 09 01000000 {} 04 000029 000001 08 01000000 aa c6 eeff",
                "11".repeat(128)
            ),
            vec![(8, 41), (9, 40)],
        ),
        (
            "chunk streams 64 and 320",
            "00 00 000001 000001 08 01000000 aa  01 0001 000002 000001 08 01000000 bb",
            vec![(8, 1), (8, 2)],
        ),
    ];
    for (name, text, expected) in cases {
        for piece in [1, 4, 1000] {
            let messages = walk(&hex(text), piece).unwrap();
            let times: Vec<_> = messages.iter().map(|message| (message.0, message.1)).collect();

            assert_eq!(times, expected, "{name}, pieces of {piece}");
        }
    }
}

#[test]
fn refuses_bytes_that_are_not_rtmp() {
    let long = "11".repeat(128);
    let cases = [
        (
            "chunk size zero",
            "02 000000 000004 01 00000000 00000000".to_owned(),
            Broken::ChunkSize { size: 0 },
        ),
        ("continues nothing", "c3 00".to_owned(), Broken::NoPreviousHeader { id: 3 }),
        (
            "a message inside another",
            format!("06 000000 000100 09 01000000 {long} 06 000000 000100 09 01000000"),
            Broken::Overlap { id: 6 },
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(walk(&hex(&text), 1).unwrap_err(), expected, "{name}");
    }
}
