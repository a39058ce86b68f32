//! Tag bodies: no panic, payloads within the body, and headers that read back the same.
#![cfg_attr(fuzzing, no_main)]

use media::container::flv::tag::{AudioHeader, AudioTag, VideoHeader, VideoTag};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if let Ok(tracks) = VideoTag::parse_tracks(data) {
        for VideoTag { header, payload } in tracks.flatten() {
            assert!(data.get(payload).is_some());
            let written = header.write().expect("what can be read can be written");
            let again = VideoTag::parse(&written).expect("what was written can be read");
            // Nanoseconds are not written.
            let expected = VideoHeader { timestamp_offset_nanos: 0, ..header };
            assert_eq!(again.header, expected);
        }
    }
    if let Ok(tracks) = AudioTag::parse_tracks(data) {
        for AudioTag { header, payload } in tracks.flatten() {
            assert!(data.get(payload).is_some());
            let written = header.write().expect("what can be read can be written");
            let again = AudioTag::parse(&written).expect("what was written can be read");
            let expected = AudioHeader { timestamp_offset_nanos: 0, ..header };
            assert_eq!(again.header, expected);
        }
    }
    let _ = (VideoTag::parse(data), AudioTag::parse(data));
}
