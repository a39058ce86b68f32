//! Bodies of FLV audio and video tags: a header of a few bytes, then the codec's payload.
//!
//! The body of a tag is the payload of the RTMP message of the same type. Two generations of the
//! header exist, and peers mix them within one stream:
//!
//! - *legacy* (FLV 10.1, annex E): 4-bit codec ids. H.264 is 7. H.265 as 12 with the layout of
//!   H.264 is no standard, but what Chinese encoders and CDNs have agreed on;
//! - *enhanced* (Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio"): a FourCC, more packet
//!   types, several tracks in one message, and time stamps finer than a millisecond.
//!
//! ```text
//! legacy H.264    frame type|7 . packet type . composition time (3) . payload
//! legacy AAC      10|rate|size|type . packet type . payload
//! enhanced        1|frame type|packet type . [ModEx]* . [multitrack] . FourCC . [track] . payload
//! ```
//!
//! Nothing is copied: a parsed tag names the range of the body that is payload, so the caller
//! slices the buffer that it counts references of. Writing gives the header alone, for the same
//! reason.
//!
//! Three things to know: a message with an empty body is common and is [`Error::Truncated`] at
//! byte 0 here; the composition time is signed; and what a codec id or packet type does not say is
//! passed on as unknown, because forwarding needs no understanding.

pub(super) mod audio;
mod enhanced;
mod header_bytes;
pub(super) mod video;

pub use audio::{AudioHeader, AudioKind, AudioTag, Sound};
pub use enhanced::Tracks;
pub use header_bytes::{HEADER_MAX, HeaderBytes};
pub use video::{FrameType, VideoHeader, VideoKind, VideoTag};

use crate::bits::ByteReader;

/// What a tag holds (FLV 10.1, section E.4.1). The numbers are those of RTMP's message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagType {
    /// 8.
    Audio = 8,
    /// 9.
    Video = 9,
    /// 18: data in AMF0.
    Script = 18,
}

/// Which generation of header a tag has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// FLV 10.1, annex E.
    Legacy,
    /// Enhanced RTMP v1 or v2.
    Enhanced,
}

/// The body of a tag is malformed. `offset` counts from its first byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body ends inside the header.
    #[error("tag body ends at byte {offset} inside {expected}")]
    Truncated {
        /// Where the missing field begins.
        offset: usize,
        /// The field that is not whole.
        expected: &'static str,
    },

    /// A multitrack packet inside a multitrack packet.
    #[error(
        "multitrack packet at byte {offset} holds another (Enhanced RTMP v2, ExVideoTagHeader)"
    )]
    NestedMultitrack {
        /// Where the inner packet type is.
        offset: usize,
    },

    /// A multitrack type that the specification does not define.
    #[error(
        "multitrack type {kind} at byte {offset} is unknown (Enhanced RTMP v2, AvMultitrackType)"
    )]
    UnknownMultitrackType {
        /// The value found.
        kind: u8,
        /// Where it is.
        offset: usize,
    },

    /// Several tracks where the caller takes one: see `parse_tracks`.
    #[error("tag body has a second track at byte {offset}")]
    ManyTracks {
        /// Where the second track begins.
        offset: usize,
    },
}

/// Reads a field or says which one is not whole.
fn need<'a, T>(
    bytes: &mut ByteReader<'a>,
    expected: &'static str,
    read: impl FnOnce(&mut ByteReader<'a>) -> Option<T>,
) -> Result<T, Error> {
    let offset = bytes.offset();
    read(bytes).ok_or(Error::Truncated { offset, expected })
}

#[cfg(test)]
mod tests;
