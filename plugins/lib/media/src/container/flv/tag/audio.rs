//! Audio tags: FLV 10.1, section E.4.2; Enhanced RTMP v2, "Enhanced Audio".

use std::ops::Range;

use super::enhanced::{Track, TrackParser, TrackReader, Tracks, parse_mod_ex};
use super::{Error, Form, HeaderBytes, need};
use crate::bits::ByteReader;
use crate::codec::FourCc;

/// SoundFormat (FLV 10.1, section E.4.2.1), as far as it is named here.
mod sound_format {
    pub(super) const MP3: u8 = 2;
    pub(super) const ALAW: u8 = 7;
    pub(super) const ULAW: u8 = 8;
    /// Enhanced RTMP v2, SoundFormat.ExHeader.
    pub(super) const EX_HEADER: u8 = 9;
    pub(super) const AAC: u8 = 10;
}

/// AACPacketType (FLV 10.1, section E.4.2.1).
mod aac_packet {
    pub(super) const SEQUENCE_HEADER: u8 = 0;
    pub(super) const RAW: u8 = 1;
}

/// AudioPacketType (Enhanced RTMP v2, ExAudioTagHeader).
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const MULTICHANNEL_CONFIG: u8 = 4;
    pub(super) const MULTITRACK: u8 = 5;
}

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioKind {
    /// The decoder configuration record: AudioSpecificConfig, OpusHead, FLAC STREAMINFO.
    SequenceStart,
    /// One frame.
    CodedFrames,
    /// The stream of this codec ends. No payload. Enhanced only.
    SequenceEnd,
    /// Order and number of channels. Enhanced only.
    MultichannelConfig,
    /// A packet type that is not known: forward or ignore.
    Unknown(u8),
}

/// The lower half of a legacy header. AAC and MP3 say the truth elsewhere; for all others this is
/// the only place that names rate and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// SoundRate: 0 is 5.5 kHz, 1 is 11, 2 is 22, 3 is 44. G.711 is 8 kHz whatever it says.
    pub rate: u8,
    /// SoundSize: samples of 16 bits, else 8.
    pub is_16_bit: bool,
    /// SoundType: two channels, else one.
    pub is_stereo: bool,
}

impl Sound {
    /// What AAC always says (FLV 10.1, section E.4.2.1).
    pub const AAC: Self = Self { rate: 3, is_16_bit: true, is_stereo: true };

    fn from_bits(bits: u8) -> Self {
        Self { rate: bits >> 2 & 3, is_16_bit: bits & 2 != 0, is_stereo: bits & 1 != 0 }
    }

    fn bits(self) -> u8 {
        (self.rate & 3) << 2 | u8::from(self.is_16_bit) << 1 | u8::from(self.is_stereo)
    }
}

/// All that an audio tag says before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioHeader {
    /// Which generation of header this is.
    pub form: Form,
    /// The codec. A legacy sound format without a FourCC of its own reads as `fa` and two digits.
    pub codec: FourCc,
    /// What the payload is.
    pub kind: AudioKind,
    /// The lower half of a legacy header; [`Sound::AAC`] and without meaning in an enhanced one.
    pub sound: Sound,
    /// Added to the presentation time of the message (Enhanced RTMP v2, TimestampOffsetNano).
    /// Below 1 000 000 when the peer is sound. Not written.
    pub timestamp_offset_nanos: u32,
    /// The track, in a multitrack message.
    pub track_id: Option<u8>,
}

/// A parsed audio tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioTag {
    /// What precedes the payload.
    pub header: AudioHeader,
    /// Where the payload lies in the body.
    pub payload: Range<usize>,
}

impl AudioTag {
    /// Parses the body of an audio tag that holds one track, as all known encoders send.
    ///
    /// # Errors
    ///
    /// When the header is cut short or malformed, or there is a second track.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        Self::parse_tracks(body)?.single()
    }

    /// Parses the body of an audio tag with any number of tracks.
    ///
    /// # Errors
    ///
    /// When what the tracks share is cut short or malformed; the rest comes from the iterator.
    pub fn parse_tracks(body: &[u8]) -> Result<Tracks<'_, Self>, Error> {
        let mut bytes = ByteReader::new(body);
        let first = need(&mut bytes, "audio tag header", ByteReader::u8)?;
        if first >> 4 != sound_format::EX_HEADER {
            return parse_legacy(bytes, first).map(Tracks::one);
        }
        let modified = parse_mod_ex(&mut bytes, first & 0x0f)?;
        let parser = TrackParser {
            body,
            first,
            timestamp_offset_nanos: modified.timestamp_offset_nanos,
            parse: parse_track,
        };
        let tracks = TrackReader::new(bytes, modified.packet_type, packet::MULTITRACK)?;
        Ok(Tracks::many(tracks, parser))
    }
}

fn parse_legacy(mut bytes: ByteReader<'_>, first: u8) -> Result<AudioTag, Error> {
    let format = first >> 4;
    let kind = match format {
        sound_format::AAC => match need(&mut bytes, "AACPacketType", ByteReader::u8)? {
            aac_packet::SEQUENCE_HEADER => AudioKind::SequenceStart,
            aac_packet::RAW => AudioKind::CodedFrames,
            other => AudioKind::Unknown(other),
        },
        _ => AudioKind::CodedFrames,
    };
    let header = AudioHeader {
        sound: Sound::from_bits(first & 0x0f),
        ..AudioHeader::new(Form::Legacy, legacy_codec(format), kind)
    };
    let start = bytes.offset();
    Ok(AudioTag { header, payload: start..start + bytes.rest().len() })
}

/// Reads one track of an enhanced tag.
fn parse_track(parser: &TrackParser<'_, AudioTag>, track: Track) -> Result<AudioTag, Error> {
    let kind = match track.packet_type {
        packet::SEQUENCE_START => AudioKind::SequenceStart,
        packet::CODED_FRAMES => AudioKind::CodedFrames,
        packet::SEQUENCE_END => AudioKind::SequenceEnd,
        packet::MULTICHANNEL_CONFIG => AudioKind::MultichannelConfig,
        other => AudioKind::Unknown(other),
    };
    let header = AudioHeader {
        timestamp_offset_nanos: parser.timestamp_offset_nanos,
        track_id: track.id,
        ..AudioHeader::new(Form::Enhanced, track.codec, kind)
    };
    Ok(AudioTag { header, payload: track.range })
}

impl AudioHeader {
    /// A header of one track. Legacy formats other than AAC set [`Self::sound`] besides.
    pub fn new(form: Form, codec: FourCc, kind: AudioKind) -> Self {
        Self { form, codec, kind, sound: Sound::AAC, timestamp_offset_nanos: 0, track_id: None }
    }

    /// Writes the header; the payload follows it. `None` when the legacy form has no word for the
    /// codec or kind.
    pub fn write(&self) -> Option<HeaderBytes> {
        match self.form {
            Form::Legacy => self.write_legacy(),
            Form::Enhanced => Some(self.write_enhanced()),
        }
    }

    fn write_legacy(&self) -> Option<HeaderBytes> {
        let format = legacy_format(self.codec)?;
        let mut out = HeaderBytes::default();
        out.push(&[format << 4 | self.sound.bits()]);
        if format != sound_format::AAC {
            return (self.kind == AudioKind::CodedFrames).then_some(out);
        }
        let packet_type = match self.kind {
            AudioKind::SequenceStart => aac_packet::SEQUENCE_HEADER,
            AudioKind::CodedFrames => aac_packet::RAW,
            AudioKind::Unknown(other) => other,
            AudioKind::SequenceEnd | AudioKind::MultichannelConfig => return None,
        };
        out.push(&[packet_type]);
        Some(out)
    }

    fn write_enhanced(&self) -> HeaderBytes {
        let packet_type = match self.kind {
            AudioKind::SequenceStart => packet::SEQUENCE_START,
            AudioKind::CodedFrames => packet::CODED_FRAMES,
            AudioKind::SequenceEnd => packet::SEQUENCE_END,
            AudioKind::MultichannelConfig => packet::MULTICHANNEL_CONFIG,
            AudioKind::Unknown(other) => other & 0x0f,
        };
        let first = sound_format::EX_HEADER << 4;
        let mut out = HeaderBytes::default();
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
        out
    }
}

pub(in crate::container::flv) fn legacy_codec(format: u8) -> FourCc {
    match format {
        sound_format::MP3 => FourCc::MP3,
        sound_format::ALAW => FourCc::ALAW,
        sound_format::ULAW => FourCc::ULAW,
        sound_format::AAC => FourCc::MP4A,
        format => FourCc([b'f', b'a', b'0' + format / 10, b'0' + format % 10]),
    }
}

pub(in crate::container::flv) fn legacy_format(codec: FourCc) -> Option<u8> {
    (0..16)
        .filter(|format| *format != sound_format::EX_HEADER)
        .find(|format| legacy_codec(*format) == codec)
}
