//! The one `Frame` of the whole repository, and the tracks and shapes it belongs to.
//!
//! ingest ▸ publisher ▸ **frame** ▸ ring ▸ packager or egress. The form of a frame's bytes is fixed per codec; the table
//! stands in `ARCHITECTURE.md`, "Frames have one form".

use std::fmt;
use std::sync::Arc;

use crate::mem::Buf;

/// Nanoseconds on a stream's timeline: signed, never wrapping.
pub type Ns = i64;

/// Nanoseconds in a millisecond, the clock of RTMP and FLV.
pub const NS_PER_MS: Ns = 1_000_000;

/// Ticks of a clock to nanoseconds, rounded to nearest; [`ns_to_ticks`] gives back every tick of every rate below 500 MHz.
pub fn ticks_to_ns(ticks: i64, rate: u32) -> Ns {
    scale(ticks, 1_000_000_000, i128::from(rate.max(1)))
}

/// Nanoseconds to ticks of a clock, rounded to nearest.
pub fn ns_to_ticks(ns: Ns, rate: u32) -> i64 {
    scale(ns, i128::from(rate.max(1)), 1_000_000_000)
}

fn scale(value: i64, numerator: i128, denominator: i128) -> i64 {
    let twice = i128::from(value) * numerator * 2 + denominator;
    let rounded = twice.div_euclid(denominator * 2);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

/// A codec's four letters, as in ISO BMFF sample entries and Enhanced RTMP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    pub const AAC: Self = Self(*b"mp4a");
    pub const ALAW: Self = Self(*b"alaw");
    pub const AV1: Self = Self(*b"av01");
    pub const H264: Self = Self(*b"avc1");
    pub const H265: Self = Self(*b"hvc1");
    pub const MP3: Self = Self(*b".mp3");
    pub const OPUS: Self = Self(*b"Opus");
    pub const ULAW: Self = Self(*b"ulaw");
    pub const VP8: Self = Self(*b"vp08");
    pub const VP9: Self = Self(*b"vp09");

    /// As it crosses the boundary: first letter in the high byte.
    pub const fn to_abi(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// The reverse of [`FourCc::to_abi`].
    pub const fn from_abi(value: u32) -> Self {
        Self(value.to_be_bytes())
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackKind {
    Audio,
    Data,
    Video,
}

/// One elementary stream and how to decode it. Unknown numbers are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Chosen by the publisher, unique in the stream.
    pub id: u32,
    pub kind: TrackKind,
    pub codec: FourCc,
    /// Changes whenever `config` does; frames name the one that they need.
    pub config_number: u32,
    /// Decoder configuration: avcC, hvcC, av1C, AudioSpecificConfig …
    pub config: Buf,
    pub width: u32,
    pub height: u32,
    /// Frames a second as a fraction, (0, 0) when unknown.
    pub frame_rate: (u32, u32),
    pub sample_rate: u32,
    pub channels: u32,
    /// RFC 6381, for people and playlists; may be empty.
    pub codec_string: String,
}

impl Track {
    /// A track of which only the codec is known.
    pub fn new(id: u32, kind: TrackKind, codec: FourCc) -> Self {
        Self {
            id,
            kind,
            codec,
            config_number: 0,
            config: Buf::default(),
            width: 0,
            height: 0,
            frame_rate: (0, 0),
            sample_rate: 0,
            channels: 0,
            codec_string: String::new(),
        }
    }
}

/// The set of tracks in force: immutable, numbered per stream by the host; a change is a new shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub number: u32,
    /// The publisher said ready, or the settle time has passed.
    pub settled: bool,
    /// Another publisher, or the same one back: decoders start anew.
    pub discontinuity: bool,
    pub tracks: Vec<Arc<Track>>,
}

impl Shape {
    /// The track with this id.
    pub fn track(&self, id: u32) -> Option<&Arc<Track>> {
        self.tracks.iter().find(|track| track.id == id)
    }

    /// The first track of a kind.
    pub fn first(&self, kind: TrackKind) -> Option<&Arc<Track>> {
        self.tracks.iter().find(|track| track.kind == kind)
    }

    /// The track whose keyframes are start points: the first video track, or the first audio track without one.
    pub fn lead(&self) -> Option<&Arc<Track>> {
        self.first(TrackKind::Video).or_else(|| self.first(TrackKind::Audio))
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameFlags {
    /// Decodes alone: IDR, CRA, recovery point; every audio frame.
    pub key: bool,
    /// Time does not follow from the frame before.
    pub discontinuity: bool,
    /// No other frame refers to it.
    pub droppable: bool,
    /// Data: the newest of the track is kept for new readers.
    pub sticky: bool,
}

/// One decodable unit. Cloning shares the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// [`Track::id`].
    pub track: u32,
    /// [`Track::config_number`].
    pub config: u32,
    pub flags: FrameFlags,
    pub dts: Ns,
    pub pts: Ns,
    /// 0 when unknown.
    pub duration: Ns,
    /// Wall clock of capture, nanoseconds since 1970; 0 when unknown.
    pub captured: Ns,
    pub payload: Payload,
}

/// A frame's bytes: nearly always one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    One(Buf),
    Parts(Arc<[Buf]>),
}

impl Payload {
    /// The pieces in order.
    pub fn parts(&self) -> &[Buf] {
        match self {
            Self::One(buf) => std::slice::from_ref(buf),
            Self::Parts(parts) => parts,
        }
    }

    /// Bytes in all pieces.
    pub fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Buf> for Payload {
    fn from(buf: Buf) -> Self {
        Self::One(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_of_every_rate_comes_back() {
        for rate in [1000, 8000, 11025, 22050, 44100, 48000, 90000, 192_000] {
            for tick in (-5000..5000).chain((1_i64 << 33) - 50..(1 << 33) + 50) {
                assert_eq!(
                    ns_to_ticks(ticks_to_ns(tick, rate), rate),
                    tick,
                    "tick {tick} of {rate} Hz"
                );
            }
        }
    }

    #[test]
    fn the_lead_track_is_video_if_there_is_one() {
        let track = |id, kind| Arc::new(Track::new(id, kind, FourCc::AAC));
        let mut shape = Shape {
            number: 0,
            settled: true,
            discontinuity: false,
            tracks: vec![track(1, TrackKind::Audio)],
        };
        assert_eq!(shape.lead().map(|lead| lead.id), Some(1));

        shape.tracks.push(track(2, TrackKind::Video));

        assert_eq!(shape.lead().map(|lead| lead.id), Some(2));
    }
}
