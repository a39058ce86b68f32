//! What a viewer sends over its WebSocket after the handshake.
//!
//! Proven: no panic; the answer does not depend on how the bytes were split; nothing follows a close; a frame of ours is a
//! control frame of the length that it says, so that what a client sends can't make us send more than that.
#![cfg_attr(fuzzing, no_main)]

use plugcast::http::websocket::{CONTROL_MAX, Reader, Reply};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    // The first byte says how the others are split.
    let Some((&size, bytes)) = data.split_first() else { return };
    let whole = Reader::default().push(bytes);
    let mut reader = Reader::default();
    let pieces = bytes.chunks(usize::from(size).max(1));
    let split: Vec<Reply> = pieces.flat_map(|piece| reader.push(piece)).collect();
    assert_eq!(split, whole);

    for (n, reply) in whole.iter().enumerate() {
        let is_last = n + 1 == whole.len();
        let frame = match reply {
            Reply::Send(frame) => frame,
            Reply::Close(frame) => {
                assert!(is_last);
                frame
            }
        };
        let [first, len, payload @ ..] = &frame[..] else { panic!("a frame without a head") };
        assert!(matches!(first, 0x88 | 0x8a));
        assert!(usize::from(*len) == payload.len() && payload.len() <= CONTROL_MAX);
    }
}
