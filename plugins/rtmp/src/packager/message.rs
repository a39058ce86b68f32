//! What of a stream RTMP can carry, and in which words.
//!
//! frame, shape → **message** → chunk_writer → feed
//!
//! Codecs with a number in FLV 10.1 keep it: every player knows it. All others, H.265 among them, go out with their FourCC
//! as in Enhanced RTMP. In the variant `legacy-hevc` H.265 is codec id 12, and what needs a FourCC is left out: players
//! that want id 12 know no FourCC.

use std::sync::Arc;

use media::codec;
use media::container::flv::metadata::{AudioFacts, Metadata, VideoFacts};
use media::container::flv::tag::{
    AudioHeader, AudioKind, Form, FrameType, HeaderBytes, Sound, VideoHeader,
};
use plugin_api::Error;
use plugin_api::frame::{FourCc, Frame, Ns, Shape, Track, TrackKind, ns_to_ticks};

use super::STREAM_ID;
use crate::ingest::AMF0;
use crate::wire::chunk_writer::{ChunkWriter, MessageHeader};
use crate::wire::message::{chunk_stream, type_id};

/// Milliseconds in a second, the clock of RTMP.
const RATE: u32 = 1000;

/// How H.265 goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hevc {
    Enhanced,
    Legacy,
}

/// The tracks of a shape that players get.
pub(super) struct Carried {
    form: Form,
    video: Option<(Arc<Track>, Form)>,
    audio: Option<(Arc<Track>, Form)>,
    data: Option<u32>,
}

/// A frame as a message, its payload left out.
pub(super) struct Message {
    pub(super) header: MessageHeader,
    /// Comes before the payload.
    pub(super) tag: HeaderBytes,
}

impl Carried {
    pub(super) fn of(shape: &Shape, hevc: Hevc) -> Result<Self, Error> {
        let form = if hevc == Hevc::Legacy { Form::Legacy } else { Form::Enhanced };
        let first = |kind, form_of: fn(&Track, Form) -> Option<Form>| {
            let mut tracks = shape.tracks.iter().filter(move |track| track.kind == kind);
            tracks.find_map(|track| Some((Arc::clone(track), form_of(track, form)?)))
        };
        let video = first(TrackKind::Video, video_form);
        let audio = first(TrackKind::Audio, audio_form);
        if video.is_none() && audio.is_none() {
            let codecs = shape.tracks.iter().map(|track| track.codec.to_string());
            let codecs = codecs.collect::<Vec<_>>().join(", ");
            return Err(Error::unsupported(format!("RTMP can't carry any of: {codecs}")));
        }
        let data = shape.tracks.iter().find(|track| track.codec == AMF0).map(|track| track.id);
        Ok(Self { form, video, audio, data })
    }

    /// Whether players that have one's head need nothing of the other's.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let facts = |carried: &Option<(Arc<Track>, Form)>| {
            // The number says nothing to players, and a track that returns may count anew.
            carried.as_ref().map(|(track, _)| Track { config_number: 0, ..Track::clone(track) })
        };
        facts(&self.video) == facts(&other.video) && facts(&self.audio) == facts(&other.audio)
    }

    /// Whether keyframes of the track are start points.
    pub(super) fn is_lead(&self, id: u32) -> bool {
        self.video.as_ref().or(self.audio.as_ref()).is_some_and(|(track, _)| track.id == id)
    }

    /// The messages of the head, each whole and in chunks: onMetaData, then the sequence headers.
    pub(super) fn head(&self, writer: &ChunkWriter, timestamp: u32) -> Result<Vec<Vec<u8>>, Error> {
        let mut metadata = Vec::new();
        self.metadata().write(self.form, &mut metadata);
        let mut messages = Vec::new();
        let mut push = |chunk_stream, type_id, payload: &[u8]| {
            let header = MessageHeader { chunk_stream, timestamp, type_id, stream_id: STREAM_ID };
            let mut message = Vec::new();
            writer
                .write(&header, payload, &mut message)
                .map_err(|error| Error::unsupported(error.to_string()))?;
            messages.push(message);
            Ok::<(), Error>(())
        };
        push(chunk_stream::DATA, type_id::DATA_AMF0, &metadata)?;
        if let Some((track, form)) = &self.video
            && let Some(tag) = VideoHeader::sequence_start(*form, flv_codec(track.codec)).write()
            && !track.config.is_empty()
        {
            push(chunk_stream::VIDEO, type_id::VIDEO, &[&tag[..], &track.config[..]].concat())?;
        }
        if let Some((track, form)) = &self.audio
            && let Some(tag) = audio_header(track, *form, AudioKind::SequenceStart).write()
            && !track.config.is_empty()
        {
            push(chunk_stream::AUDIO, type_id::AUDIO, &[&tag[..], &track.config[..]].concat())?;
        }
        Ok(messages)
    }

    /// `None` if players don't get it.
    pub(super) fn message(&self, frame: &Frame) -> Option<Message> {
        if frame.payload.is_empty() {
            return None;
        }
        let (chunk_stream, type_id, tag) = if let Some((track, form)) = of(&self.video, frame.track)
        {
            let frame_type = if frame.flags.key { FrameType::Key } else { FrameType::Inter };
            let offset = composition_offset_ms(frame);
            let codec = flv_codec(track.codec);
            let tag = VideoHeader::coded_frames(*form, codec, frame_type, offset).write()?;
            (chunk_stream::VIDEO, type_id::VIDEO, tag)
        } else if let Some((track, form)) = of(&self.audio, frame.track) {
            let tag = audio_header(track, *form, AudioKind::CodedFrames).write()?;
            (chunk_stream::AUDIO, type_id::AUDIO, tag)
        } else if self.data == Some(frame.track) {
            (chunk_stream::DATA, type_id::DATA_AMF0, HeaderBytes::default())
        } else {
            return None;
        };
        let timestamp = wire_ms(frame.dts);
        let header = MessageHeader { chunk_stream, timestamp, type_id, stream_id: STREAM_ID };
        Some(Message { header, tag })
    }

    fn metadata(&self) -> Metadata {
        let known = |number: u32| (number != 0).then_some(number);
        let video = self.video.as_ref().map(|(track, _)| VideoFacts {
            codec: Some(flv_codec(track.codec)),
            width: known(track.width),
            height: known(track.height),
            frame_rate: match track.frame_rate {
                (0, _) | (_, 0) => None,
                (numerator, denominator) => Some(f64::from(numerator) / f64::from(denominator)),
            },
            kbps: None,
        });
        let audio = self.audio.as_ref().map(|(track, _)| AudioFacts {
            codec: Some(flv_codec(track.codec)),
            sample_rate: known(track.sample_rate),
            channels: known(track.channels),
            kbps: None,
        });
        Metadata { video, audio, encoder: None }
    }
}

fn of(carried: &Option<(Arc<Track>, Form)>, id: u32) -> Option<&(Arc<Track>, Form)> {
    carried.as_ref().filter(|(track, _)| track.id == id)
}

/// In which form a video track goes out, if at all.
fn video_form(track: &Track, form: Form) -> Option<Form> {
    match track.codec {
        // Without a record no player can decode it.
        FourCc::H264 | FourCc::H265 if track.config.is_empty() => None,
        FourCc::H265 => Some(form),
        codec => carried_form(form, || {
            VideoHeader::coded_frames(Form::Legacy, flv_codec(codec), FrameType::Key, 0).write()
        }),
    }
}

/// In which form an audio track goes out, if at all.
fn audio_form(track: &Track, form: Form) -> Option<Form> {
    if track.codec == FourCc::AAC && track.config.is_empty() {
        return None;
    }
    carried_form(form, || audio_header(track, Form::Legacy, AudioKind::CodedFrames).write())
}

fn carried_form(form: Form, legacy: impl Fn() -> Option<HeaderBytes>) -> Option<Form> {
    if legacy().is_some() {
        Some(Form::Legacy)
    } else {
        Some(form).filter(|_| form == Form::Enhanced)
    }
}

fn audio_header(track: &Track, form: Form, kind: AudioKind) -> AudioHeader {
    let mut header = AudioHeader::new(form, flv_codec(track.codec), kind);
    if track.codec != FourCc::AAC {
        header.sound =
            Sound { rate: sound_rate(track), is_16_bit: true, is_stereo: track.channels > 1 };
    }
    header
}

/// SoundRate, the nearest below (FLV 10.1, section E.4.2.1). MP3 at 48 kHz has none: its frames tell.
fn sound_rate(track: &Track) -> u8 {
    match track.sample_rate {
        0..11_025 => 0,
        11_025..22_050 => 1,
        22_050..44_100 => 2,
        44_100.. => 3,
    }
}

fn flv_codec(codec: FourCc) -> codec::FourCc {
    codec::FourCc(codec.0)
}

/// A time as the wire has it: milliseconds, wrapping at 2^32.
pub(super) fn wire_ms(time: Ns) -> u32 {
    // Always in range: the remainder is that of 2^32.
    u32::try_from(ns_to_ticks(time, RATE).rem_euclid(1 << 32)).unwrap_or_default()
}

/// The difference of the two stamps as the wire has them, so that what an encoder sent comes out again, whatever
/// fraction of a millisecond its clock was moved by.
fn composition_offset_ms(frame: &Frame) -> i32 {
    let difference = ns_to_ticks(frame.pts, RATE).saturating_sub(ns_to_ticks(frame.dts, RATE));
    i32::try_from(difference).unwrap_or(if difference < 0 { i32::MIN } else { i32::MAX })
}
