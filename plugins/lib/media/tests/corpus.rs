//! Replays the checked-in corpora of the fuzz targets on the stable toolchain: the targets
//! themselves are part of this test, so that both say the same.
#![expect(unexpected_cfgs, reason = "cargo-fuzz builds the targets with cfg(fuzzing)")]
#![expect(unreachable_pub, reason = "the targets are crates of their own elsewhere")]

use std::fs;
use std::path::PathBuf;

#[path = "../../../../tests/fuzz/fuzz_targets/aac.rs"]
mod aac;
#[path = "../../../../tests/fuzz/fuzz_targets/amf0.rs"]
mod amf0;
#[path = "../../../../tests/fuzz/fuzz_targets/flv_tag.rs"]
mod flv_tag;
#[path = "../../../../tests/fuzz/fuzz_targets/h264.rs"]
mod h264;
#[path = "../../../../tests/fuzz/fuzz_targets/h265.rs"]
mod h265;

/// Runs a target on every file of its corpus. A panic names the file through the test's output.
fn replay(target: &str, run: fn(&[u8])) {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../../tests/fuzz/corpus", target].iter().collect();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus exists") {
        let path = entry.expect("a readable entry").path();
        eprintln!("{}", path.display());
        run(&fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn replays_aac() {
    replay("aac", aac::run);
}

#[test]
fn replays_amf0() {
    replay("amf0", amf0::run);
}

#[test]
fn replays_flv_tags() {
    replay("flv_tag", flv_tag::run);
}

#[test]
fn replays_h264() {
    replay("h264", h264::run);
}

#[test]
fn replays_h265() {
    replay("h265", h265::run);
}
