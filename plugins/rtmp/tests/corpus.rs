//! Replays the corpus of the fuzz target `chunk_stream`, and runs it over the captures of real
//! clients. The target itself is part of this test, so that both say the same.
#![expect(unexpected_cfgs, reason = "cargo-fuzz builds the target with cfg(fuzzing)")]
#![expect(unreachable_pub, reason = "the target is a crate of its own elsewhere")]

#[path = "../../../tests/fuzz/fuzz_targets/chunk_stream.rs"]
mod chunk_stream;

use std::path::Path;

use plugcast_rtmp::wire::handshake::PACKET_LEN;

/// Every file of a folder; `visit` gets its name for the message of a failure.
fn each_file(folder: &str, mut visit: impl FnMut(&str, &[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    for path in &paths {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        visit(&path.to_string_lossy(), &bytes);
    }
    paths.len()
}

#[test]
fn holds_for_the_fuzz_corpus() {
    let count = each_file("../../tests/fuzz/corpus/chunk_stream", |name, bytes| {
        println!("{name}");
        chunk_stream::run(bytes);
    });

    assert!(count > 0, "the corpus is checked in");
}

#[test]
fn holds_for_captures_cut_short_and_with_bits_flipped() {
    let mut count = 0;
    each_file("testdata", |name, bytes| {
        if !name.ends_with(".bin") {
            return;
        }
        println!("{name}");
        let chunks = bytes.get(1 + 2 * PACKET_LEN..).expect("a whole handshake");
        for step in 0..24 {
            let end = chunks.len() * (step + 1) / 24;
            let mut input = [&[u8::try_from(step).unwrap()], &chunks[..end]].concat();
            chunk_stream::run(&input);
            let flipped = end * 7 / 11;
            input[flipped] ^= 1 << (step % 8);
            chunk_stream::run(&input);
        }
        count += 1;
    });

    assert!(count >= 10, "the captures are checked in");
}
