//! What of a stream FLV and RTMP can carry, and in which words.
//!
//! One video and one audio track: the first of each kind that the form has a word for. Codecs with a number in FLV 10.1
//! keep it: every player knows it. All others, H.265 among them, go out with their FourCC as in Enhanced RTMP. In the
//! legacy form H.265 is codec id 12, and what needs a FourCC is left out: players that want id 12 know no FourCC.

use super::metadata::{AudioFacts, Metadata, VideoFacts};
use super::tag::{
    AudioHeader, AudioKind, Form, FrameType, HeaderBytes, Sound, TagType, VideoHeader,
};
use crate::codec::FourCc;

/// What a data track's codec is called whose frames are a handler name and its arguments in AMF0.
pub const AMF0: FourCc = FourCc(*b"amf0");

/// What kind of track it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Anything else.
    Data,
}

/// A track of a stream. A number that is 0 is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What frames name it by.
    pub id: u32,
    /// Audio, video or data.
    pub kind: Kind,
    /// As in ISO BMFF.
    pub codec: FourCc,
    /// The decoder configuration; may be empty.
    pub config: Vec<u8>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Numerator and denominator of frames per second.
    pub frame_rate: (u32, u32),
    /// In hertz.
    pub sample_rate: u32,
    /// How many.
    pub channels: u32,
}

/// The tracks of a stream that players get.
#[derive(Clone, Debug)]
pub struct Carried {
    form: Form,
    video: Option<(Track, Form)>,
    audio: Option<(Track, Form)>,
    data: Option<u32>,
}

impl Carried {
    /// `None`: there is no track that the form has a word for.
    pub fn of(tracks: &[Track], form: Form) -> Option<Self> {
        let first = |kind, form_of: fn(&Track, Form) -> Option<Form>| {
            let mut tracks = tracks.iter().filter(move |track| track.kind == kind);
            tracks.find_map(|track| Some((track.clone(), form_of(track, form)?)))
        };
        let video = first(Kind::Video, video_form);
        let audio = first(Kind::Audio, audio_form);
        if video.is_none() && audio.is_none() {
            return None;
        }
        let data = tracks.iter().find(|track| track.codec == AMF0).map(|track| track.id);
        Some(Self { form, video, audio, data })
    }

    /// Whether players get sound.
    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// Whether players get pictures.
    pub fn has_video(&self) -> bool {
        self.video.is_some()
    }

    /// Whether players that have one's head need nothing of the other's.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.video == other.video && self.audio == other.audio
    }

    /// Whether keyframes of the track are start points.
    pub fn is_lead(&self, id: u32) -> bool {
        self.video.as_ref().or(self.audio.as_ref()).is_some_and(|(track, _)| track.id == id)
    }

    /// The bodies of what comes before frames: onMetaData, then the sequence headers.
    pub fn head(&self) -> Vec<(TagType, Vec<u8>)> {
        let mut metadata = Vec::new();
        self.metadata().write(self.form, &mut metadata);
        let mut bodies = vec![(TagType::Script, metadata)];
        if let Some((track, form)) = &self.video
            && let Some(tag) = VideoHeader::sequence_start(*form, track.codec).write()
            && !track.config.is_empty()
        {
            bodies.push((TagType::Video, [&tag[..], &track.config].concat()));
        }
        if let Some((track, form)) = &self.audio
            && let Some(tag) = audio_header(track, *form, AudioKind::SequenceStart).write()
            && !track.config.is_empty()
        {
            bodies.push((TagType::Audio, [&tag[..], &track.config].concat()));
        }
        bodies
    }

    /// What comes before the payload of a frame, with its stamps in milliseconds. `None` if players don't get it.
    pub fn frame(
        &self,
        track: u32,
        is_key: bool,
        dts_ms: i64,
        pts_ms: i64,
    ) -> Option<(TagType, HeaderBytes)> {
        if let Some((track, form)) = of(&self.video, track) {
            let frame_type = if is_key { FrameType::Key } else { FrameType::Inter };
            let offset = composition_offset_ms(dts_ms, pts_ms);
            let tag = VideoHeader::coded_frames(*form, track.codec, frame_type, offset).write()?;
            Some((TagType::Video, tag))
        } else if let Some((track, form)) = of(&self.audio, track) {
            let tag = audio_header(track, *form, AudioKind::CodedFrames).write()?;
            Some((TagType::Audio, tag))
        } else if self.data == Some(track) {
            Some((TagType::Script, HeaderBytes::default()))
        } else {
            None
        }
    }

    fn metadata(&self) -> Metadata {
        let known = |number: u32| (number != 0).then_some(number);
        let video = self.video.as_ref().map(|(track, _)| VideoFacts {
            codec: Some(track.codec),
            width: known(track.width),
            height: known(track.height),
            frame_rate: match track.frame_rate {
                (0, _) | (_, 0) => None,
                (numerator, denominator) => Some(f64::from(numerator) / f64::from(denominator)),
            },
            kbps: None,
        });
        let audio = self.audio.as_ref().map(|(track, _)| AudioFacts {
            codec: Some(track.codec),
            sample_rate: known(track.sample_rate),
            channels: known(track.channels),
            kbps: None,
        });
        Metadata { video, audio, encoder: None }
    }
}

fn of(carried: &Option<(Track, Form)>, id: u32) -> Option<&(Track, Form)> {
    carried.as_ref().filter(|(track, _)| track.id == id)
}

/// In which form a video track goes out, if at all.
fn video_form(track: &Track, form: Form) -> Option<Form> {
    match track.codec {
        // Without a record no player can decode it.
        FourCc::AVC1 | FourCc::HVC1 if track.config.is_empty() => None,
        FourCc::HVC1 => Some(form),
        codec => carried_form(form, || {
            VideoHeader::coded_frames(Form::Legacy, codec, FrameType::Key, 0).write()
        }),
    }
}

/// In which form an audio track goes out, if at all.
fn audio_form(track: &Track, form: Form) -> Option<Form> {
    if track.codec == FourCc::MP4A && track.config.is_empty() {
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
    let mut header = AudioHeader::new(form, track.codec, kind);
    if track.codec != FourCc::MP4A {
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

/// A time as the wire has it: milliseconds, wrapping at 2^32.
pub fn wire_ms(ms: i64) -> u32 {
    // Always in range: the remainder is that of 2^32.
    u32::try_from(ms.rem_euclid(1 << 32)).unwrap_or_default()
}

/// The difference of the two stamps as the wire has them, so that what an encoder sent comes out again, whatever
/// fraction of a millisecond its clock was moved by.
fn composition_offset_ms(dts_ms: i64, pts_ms: i64) -> i32 {
    let difference = pts_ms.saturating_sub(dts_ms);
    i32::try_from(difference).unwrap_or(if difference < 0 { i32::MIN } else { i32::MAX })
}
