//! Replays the corpora of the fuzz targets of the host, whole and cut short. The targets themselves are part of this test.
#![expect(unexpected_cfgs, reason = "cargo-fuzz builds the target with cfg(fuzzing)")]
#![expect(unreachable_pub, reason = "the targets are crates of their own elsewhere")]

#[path = "../../tests/fuzz/fuzz_targets/manifest.rs"]
mod manifest;
#[path = "../../tests/fuzz/fuzz_targets/proxy_header.rs"]
mod proxy_header;
#[path = "../../tests/fuzz/fuzz_targets/text.rs"]
mod text;
#[path = "../../tests/fuzz/fuzz_targets/websocket.rs"]
mod websocket;

use std::path::{Path, PathBuf};

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("a readable seed"))
    };
    let files = std::fs::read_dir(folder).expect("the corpus is checked in");
    files.map(|entry| read(entry.expect("a readable folder").path())).collect()
}

fn replay(target: &str, run: fn(&[u8]), step: usize) {
    let corpus = corpus(target);

    for (_, bytes) in &corpus {
        for len in (0..=bytes.len()).step_by(step) {
            run(&bytes[..len]);
        }
        run(bytes);
    }

    assert!(!corpus.is_empty(), "the corpus is checked in");
}

#[test]
fn holds_for_the_fuzz_corpus_whole_and_cut() {
    replay("manifest", manifest::run, 7);
    replay("proxy_header", proxy_header::run, 1);
    replay("text", text::run, 1);
    replay("websocket", websocket::run, 1);
}

#[test]
fn reads_real_libraries_and_says_what_is_wrong_with_damaged_ones() {
    for (name, bytes) in corpus("manifest") {
        let outcome =
            plugcast::plugin::manifest::parse(&bytes[..]).map_err(|error| error.to_string());
        match name.as_str() {
            "plain" => {
                let manifest = outcome.unwrap().unwrap();
                assert_eq!((manifest.id.as_str(), manifest.libc), ("seed", None));
            }
            "needs_libc" => assert_eq!(outcome.unwrap().unwrap().libc, Some((2, 2))),
            "crc" => assert!(outcome.unwrap_err().contains("CRC")),
            "json" => assert!(outcome.unwrap_err().contains("not what it should be")),
            "long" => assert!(outcome.unwrap_err().contains("longer than")),
            "magic" => assert!(outcome.unwrap_err().contains("PLUGCAST")),
            _ => assert!(!matches!(outcome, Ok(Some(_))), "{name}"),
        }
    }
}
