//! Codecs: what a frame's bytes mean, as far as a server must know it.
//!
//! The form of a frame in memory, which everything here assumes:
//!
//! | codec | a frame's bytes | decoder configuration record |
//! |---|---|---|
//! | H.264, H.265 | one access unit, NAL units each with a 4-byte length | avcC, hvcC |
//! | AAC | one raw access unit, no ADTS | AudioSpecificConfig |
//! | all others | as received | as received |

pub mod aac;
mod error;
mod four_cc;
pub mod nal;

pub use error::Error;
pub use four_cc::FourCc;

