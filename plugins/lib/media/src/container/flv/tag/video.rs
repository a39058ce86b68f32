//! Video tags: FLV 10.1, section E.4.3; Enhanced RTMP v2, "Enhanced Video".

use std::ops::Range;

use super::enhanced::{Track, TrackParser, TrackReader, Tracks, parse_mod_ex};
use super::{Error, Form, HeaderBytes, need};
use crate::bits::ByteReader;
use crate::codec::FourCc;

/// The bit that makes a header enhanced (Enhanced RTMP v2, isExVideoHeader).
const EX_HEADER: u8 = 0x80;

/// Codec ids with a packet type and composition time (FLV 10.1, section E.4.3.1). H.265 is not in
/// the specification.
const CODEC_AVC: u8 = 7;
const CODEC_HEVC: u8 = 12;

/// AVCPacketType (FLV 10.1, section E.4.3.1).
mod avc_packet {
    pub(super) const SEQUENCE_HEADER: u8 = 0;
    pub(super) const NALU: u8 = 1;
    pub(super) const END_OF_SEQUENCE: u8 = 2;
}

/// VideoPacketType (Enhanced RTMP v2, ExVideoTagHeader).
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const METADATA: u8 = 4;
    pub(super) const MPEG2TS_SEQUENCE_START: u8 = 5;
    pub(super) const MULTITRACK: u8 = 6;
}

/// FrameType (FLV 10.1, section E.4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// 1: decodable alone.
    Key,
    /// 2.
    Inter,
    /// 3: no other frame refers to it. Defined for H.263 only.
    Disposable,
    /// 4: reserved for servers.
    GeneratedKey,
    /// 5: not a frame, but a command to the player.
    Command,
    /// 0, 6 or 7.
    Unknown(u8),
}

impl FrameType {
    fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Key,
            2 => Self::Inter,
            3 => Self::Disposable,
            4 => Self::GeneratedKey,
            5 => Self::Command,
            bits => Self::Unknown(bits),
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Inter => 2,
            Self::Disposable => 3,
            Self::GeneratedKey => 4,
            Self::Command => 5,
            Self::Unknown(bits) => bits & 7,
        }
    }
}

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoKind {
    /// The decoder configuration record: avcC, hvcC, av1C, vpcC.
    SequenceStart,
    /// One frame, or several that share a time stamp.
    CodedFrames,
    /// The same, in a message that cannot say a composition time. Enhanced only.
    CodedFramesX,
    /// The stream of this codec ends. No payload.
    SequenceEnd,
    /// AMF0 name and value pairs, `colorInfo` for instance. Enhanced only.
    Metadata,
    /// An AV1 video descriptor. Enhanced only.
    Mpeg2TsSequenceStart,
    /// One byte for the player: start or end of seeking.
    Command,
    /// A packet type that is not known: forward or ignore.
    Unknown(u8),
}

/// All that a video tag says before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoHeader {
    /// Which generation of header this is.
    pub form: Form,
    /// The codec. A legacy codec id without a FourCC of its own reads as `fv` and two digits,
    /// enhanced commands as [`FourCc::NONE`].
    pub codec: FourCc,
    /// What the payload is.
    pub kind: VideoKind,
    /// As on the wire; see [`Self::is_keyframe`].
    pub frame_type: FrameType,
    /// Presentation minus decoding time, in milliseconds.
    pub composition_offset_ms: i32,
    /// Added to the presentation time of the message (Enhanced RTMP v2, TimestampOffsetNano).
    /// Below 1 000 000 when the peer is sound. Not written.
    pub timestamp_offset_nanos: u32,
    /// The track, in a multitrack message.
    pub track_id: Option<u8>,
}

/// A parsed video tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoTag {
    /// What precedes the payload.
    pub header: VideoHeader,
    /// Where the payload lies in the body.
    pub payload: Range<usize>,
}

impl VideoTag {
    /// Parses the body of a video tag that holds one track, as all known encoders send.
    ///
    /// # Errors
    ///
    /// When the header is cut short or malformed, or there is a second track.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        Self::parse_tracks(body)?.single()
    }

    /// Parses the body of a video tag with any number of tracks.
    ///
    /// # Errors
    ///
    /// When what the tracks share is cut short or malformed; the rest comes from the iterator.
    pub fn parse_tracks(body: &[u8]) -> Result<Tracks<'_, Self>, Error> {
        let mut bytes = ByteReader::new(body);
        let first = need(&mut bytes, "video tag header", ByteReader::u8)?;
        if first & EX_HEADER == 0 {
            return parse_legacy(bytes, first).map(Tracks::one);
        }
        let modified = parse_mod_ex(&mut bytes, first & 0x0f)?;
        let parser = TrackParser {
            body,
            first,
            timestamp_offset_nanos: modified.timestamp_offset_nanos,
            parse: parse_track,
        };
        if frame_type(first) == FrameType::Command && modified.packet_type != packet::METADATA {
            let mut header = parser.header(FourCc::NONE, VideoKind::Command);
            header.timestamp_offset_nanos = modified.timestamp_offset_nanos;
            return Ok(Tracks::one(Self { header, payload: bytes.offset()..body.len() }));
        }
        let tracks = TrackReader::new(bytes, modified.packet_type, packet::MULTITRACK)?;
        Ok(Tracks::many(tracks, parser))
    }
}

fn frame_type(first: u8) -> FrameType {
    FrameType::from_bits(first >> 4 & 7)
}

fn parse_legacy(mut bytes: ByteReader<'_>, first: u8) -> Result<VideoTag, Error> {
    let codec_id = first & 0x0f;
    let mut header = VideoHeader {
        form: Form::Legacy,
        codec: legacy_codec(codec_id),
        kind: VideoKind::CodedFrames,
        frame_type: frame_type(first),
        composition_offset_ms: 0,
        timestamp_offset_nanos: 0,
        track_id: None,
    };
    if header.frame_type == FrameType::Command {
        header.kind = VideoKind::Command;
    } else if matches!(codec_id, CODEC_AVC | CODEC_HEVC) {
        header.kind = match need(&mut bytes, "AVCPacketType", ByteReader::u8)? {
            avc_packet::SEQUENCE_HEADER => VideoKind::SequenceStart,
            avc_packet::NALU => VideoKind::CodedFrames,
            avc_packet::END_OF_SEQUENCE => VideoKind::SequenceEnd,
            other => VideoKind::Unknown(other),
        };
        header.composition_offset_ms = match bytes.i24() {
            Some(offset) => offset,
            // An end of sequence has no time worth refusing it for.
            None if header.kind == VideoKind::SequenceEnd => 0,
            None => need(&mut bytes, "CompositionTime", ByteReader::i24)?,
        };
    }
    let start = bytes.offset();
    Ok(VideoTag { header, payload: start..start + bytes.rest().len() })
}

/// Reads one track of an enhanced tag.
fn parse_track(parser: &TrackParser<'_, VideoTag>, track: Track) -> Result<VideoTag, Error> {
    let kind = match track.packet_type {
        packet::SEQUENCE_START => VideoKind::SequenceStart,
        packet::CODED_FRAMES => VideoKind::CodedFrames,
        packet::SEQUENCE_END => VideoKind::SequenceEnd,
        packet::CODED_FRAMES_X => VideoKind::CodedFramesX,
        packet::METADATA => VideoKind::Metadata,
        packet::MPEG2TS_SEQUENCE_START => VideoKind::Mpeg2TsSequenceStart,
        other => VideoKind::Unknown(other),
    };
    let mut header = parser.header(track.codec, kind);
    header.track_id = track.id;
    let mut bytes = parser.bytes(&track);
    if header.has_composition_time() {
        header.composition_offset_ms = need(&mut bytes, "compositionTimeOffset", ByteReader::i24)?;
    }
    Ok(VideoTag { header, payload: bytes.offset()..track.range.end })
}

impl TrackParser<'_, VideoTag> {
    fn header(&self, codec: FourCc, kind: VideoKind) -> VideoHeader {
        VideoHeader {
            form: Form::Enhanced,
            codec,
            kind,
            frame_type: frame_type(self.first),
            composition_offset_ms: 0,
            timestamp_offset_nanos: self.timestamp_offset_nanos,
            track_id: None,
        }
    }
}

impl VideoHeader {
    /// The header of a decoder configuration record.
    pub fn sequence_start(form: Form, codec: FourCc) -> Self {
        Self {
            form,
            codec,
            kind: VideoKind::SequenceStart,
            frame_type: FrameType::Key,
            composition_offset_ms: 0,
            timestamp_offset_nanos: 0,
            track_id: None,
        }
    }

    /// The header of a frame, in the shortest form that says it.
    pub fn coded_frames(
        form: Form,
        codec: FourCc,
        frame_type: FrameType,
        composition_offset_ms: i32,
    ) -> Self {
        let mut header = Self {
            kind: VideoKind::CodedFrames,
            frame_type,
            composition_offset_ms,
            ..Self::sequence_start(form, codec)
        };
        if header.has_composition_time() && form == Form::Enhanced && composition_offset_ms == 0 {
            header.kind = VideoKind::CodedFramesX;
        }
        header
    }

    /// The header of an end of sequence, which has no payload.
    pub fn sequence_end(form: Form, codec: FourCc) -> Self {
        Self { kind: VideoKind::SequenceEnd, ..Self::sequence_start(form, codec) }
    }

    /// Whether this is a frame at which a player can begin.
    pub fn is_keyframe(&self) -> bool {
        self.is_coded() && matches!(self.frame_type, FrameType::Key | FrameType::GeneratedKey)
    }

    /// Whether the payload is frames.
    pub fn is_coded(&self) -> bool {
        matches!(self.kind, VideoKind::CodedFrames | VideoKind::CodedFramesX)
    }

    /// Enhanced RTMP v2, ExVideoTagBody: only these codecs say one, and only with CodedFrames.
    fn has_composition_time(&self) -> bool {
        self.kind == VideoKind::CodedFrames && matches!(self.codec, FourCc::AVC1 | FourCc::HVC1)
    }

    /// Writes the header; the payload follows it. `None` when the legacy form has no word for the
    /// codec or kind.
    ///
    /// Composition times beyond 24 bits, over two hours, are cut to the nearest that fits.
    pub fn write(&self) -> Option<HeaderBytes> {
        match self.form {
            Form::Legacy => self.write_legacy(),
            Form::Enhanced => Some(self.write_enhanced()),
        }
    }

    fn write_legacy(&self) -> Option<HeaderBytes> {
        let codec_id = legacy_codec_id(self.codec)?;
        let mut out = HeaderBytes::default();
        out.push(&[self.frame_type.bits() << 4 | codec_id]);
        if self.kind == VideoKind::Command {
            return Some(out);
        }
        if !matches!(codec_id, CODEC_AVC | CODEC_HEVC) {
            return (self.kind == VideoKind::CodedFrames).then_some(out);
        }
        let packet_type = match self.kind {
            VideoKind::SequenceStart => avc_packet::SEQUENCE_HEADER,
            VideoKind::CodedFrames | VideoKind::CodedFramesX => avc_packet::NALU,
            VideoKind::SequenceEnd => avc_packet::END_OF_SEQUENCE,
            VideoKind::Unknown(other) => other,
            VideoKind::Metadata | VideoKind::Mpeg2TsSequenceStart | VideoKind::Command => {
                return None;
            }
        };
        out.push(&[packet_type]);
        out.push(&i24(self.composition_offset_ms));
        Some(out)
    }

    fn write_enhanced(&self) -> HeaderBytes {
        let packet_type = match self.kind {
            // A command has no packet type of its own: any but Metadata and ModEx will do.
            VideoKind::SequenceStart | VideoKind::Command => packet::SEQUENCE_START,
            VideoKind::CodedFrames => packet::CODED_FRAMES,
            VideoKind::SequenceEnd => packet::SEQUENCE_END,
            VideoKind::CodedFramesX => packet::CODED_FRAMES_X,
            VideoKind::Metadata => packet::METADATA,
            VideoKind::Mpeg2TsSequenceStart => packet::MPEG2TS_SEQUENCE_START,
            VideoKind::Unknown(other) => other & 0x0f,
        };
        let mut out = HeaderBytes::default();
        let first = EX_HEADER | self.frame_type.bits() << 4;
        if self.kind == VideoKind::Command {
            out.push(&[first | packet_type]);
            return out;
        }
        match self.track_id {
            None => {
                out.push(&[first | packet_type]);
                out.push(&self.codec.0);
            }
            Some(id) => {
                // The upper half of the second byte is AvMultitrackType.OneTrack, 0.
                out.push(&[first | packet::MULTITRACK, packet_type]);
                out.push(&self.codec.0);
                out.push(&[id]);
            }
        }
        if self.has_composition_time() {
            out.push(&i24(self.composition_offset_ms));
        }
        out
    }
}

/// The nearest signed 24-bit number, big-endian.
fn i24(value: i32) -> [u8; 3] {
    let [_, bytes @ ..] = value.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
    bytes
}

pub(in crate::container::flv) fn legacy_codec(id: u8) -> FourCc {
    match id {
        CODEC_AVC => FourCc::AVC1,
        CODEC_HEVC => FourCc::HVC1,
        id => FourCc([b'f', b'v', b'0' + id / 10, b'0' + id % 10]),
    }
}

pub(in crate::container::flv) fn legacy_codec_id(codec: FourCc) -> Option<u8> {
    (0..16).find(|id| legacy_codec(*id) == codec)
}
