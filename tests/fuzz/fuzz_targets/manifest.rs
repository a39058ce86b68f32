//! A library file from the plugins folder: any bytes. Nothing in it is trusted before its manifest is read.
//!
//! Proven: no panic, no endless loop, no allocation beyond the file's own size. Not proven: that what is read is right.
#![cfg_attr(fuzzing, no_main)]

use plugcast::plugin::manifest;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if let Ok(Some(manifest)) = manifest::parse(data) {
        assert!(!manifest.id.is_empty() && manifest.id.len() <= 64);
    }
}
