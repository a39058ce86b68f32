//! RTMP: lets OBS, ffmpeg and hardware encoders publish, and players watch.
//!
//! Specifications: Adobe RTMP 1.0; Enhanced RTMP v2; AMF0. Start reading at [`wire`].

// Public for the fuzz target and the tests of this folder only; a plugin has no Rust API.
#[doc(hidden)]
pub mod wire;
