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
pub mod codec_string;
mod error;
mod four_cc;
mod frame_rate;
pub mod h264;
pub mod h265;
pub mod nal;

pub use error::Error;
pub use four_cc::FourCc;
pub use frame_rate::FrameRate;

/// The largest width or height that a parameter set may tell: what MP4 can say, and beyond every
/// level of H.264 and H.265. More is refused.
const DIMENSION_MAX: u32 = 65_535;
