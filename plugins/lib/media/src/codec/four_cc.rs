//! The name of a codec: four characters, registered at mp4ra.org.

use std::fmt;

/// Four bytes that name a codec. Any value may come from a peer, printable or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// No codec named: a command frame, for example.
    pub const NONE: Self = Self([0; 4]);
    /// H.264, parameter sets in the decoder configuration record (ISO/IEC 14496-15).
    pub const AVC1: Self = Self(*b"avc1");
    /// H.265, parameter sets in the decoder configuration record (ISO/IEC 14496-15).
    pub const HVC1: Self = Self(*b"hvc1");
    /// AV1 (AV1 in ISO BMFF).
    pub const AV01: Self = Self(*b"av01");
    /// VP8 (VP codec ISO BMFF binding).
    pub const VP08: Self = Self(*b"vp08");
    /// VP9 (VP codec ISO BMFF binding).
    pub const VP09: Self = Self(*b"vp09");
    /// AAC (ISO/IEC 14496-14).
    pub const MP4A: Self = Self(*b"mp4a");
    /// Opus, in the spelling of Enhanced RTMP v2 and of ISO BMFF.
    pub const OPUS: Self = Self(*b"Opus");
    /// FLAC, in the spelling of Enhanced RTMP v2 and of ISO BMFF.
    pub const FLAC: Self = Self(*b"fLaC");
    /// AC-3 (ETSI TS 102 366).
    pub const AC3: Self = Self(*b"ac-3");
    /// Enhanced AC-3 (ETSI TS 102 366).
    pub const EC3: Self = Self(*b"ec-3");
    /// MP3, in the spelling of Enhanced RTMP v2.
    pub const MP3: Self = Self(*b".mp3");
    /// G.711 µ-law (QuickTime file format).
    pub const ULAW: Self = Self(*b"ulaw");
    /// G.711 A-law (QuickTime file format).
    pub const ALAW: Self = Self(*b"alaw");
}

impl fmt::Display for FourCc {
    /// As text, with anything that could upset a log line or a terminal escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl From<[u8; 4]> for FourCc {
    fn from(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_is_not_printable() {
        assert_eq!(FourCc::AC3.to_string(), "ac-3");
        assert_eq!(FourCc([b'a', 0, b'\n', 0x9f]).to_string(), "a\\x00\\n\\x9f");
    }
}
