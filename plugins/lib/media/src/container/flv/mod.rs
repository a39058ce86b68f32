//! FLV, which is also what RTMP messages carry.
//!
//! The payload of an RTMP audio, video or data message is the body of an FLV tag of the same type,
//! byte for byte. So RTMP, HTTP-FLV and FLV files share all that is here.

pub mod amf0;
pub mod carried;
pub mod file;
pub mod metadata;
pub mod tag;
