//! `onMetaData`: what a stream says of itself before the first frame (FLV 10.1, section E.5;
//! Enhanced RTMP v2, "Metadata").
//!
//! Nothing here is needed for decoding, and publishers lie in it: a field that is absent, of the
//! wrong type or absurd reads as unknown. What the decoder configuration says goes before it.

use super::amf0::{self, Value};
use super::tag::{Form, audio, video};
use crate::codec::FourCc;

/// The name of the data message.
pub const ON_META_DATA: &str = "onMetaData";

/// What publishers put before the name, to have the server keep the message for later players.
pub const SET_DATA_FRAME: &str = "@setDataFrame";

/// The facts of a stream. `Default` knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The video track, when there is one.
    pub video: Option<VideoFacts>,
    /// The audio track, when there is one.
    pub audio: Option<AudioFacts>,
    /// The program that made the stream.
    pub encoder: Option<String>,
}

/// What is known of the video track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFacts {
    /// Absent when unknown.
    pub codec: Option<FourCc>,
    /// In pixels. Absent when unknown.
    pub width: Option<u32>,
    /// In pixels. Absent when unknown.
    pub height: Option<u32>,
    /// Frames per second. Absent when unknown.
    pub frame_rate: Option<f64>,
    /// Kilobits per second. Absent when unknown.
    pub kbps: Option<f64>,
}

/// What is known of the audio track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioFacts {
    /// Absent when unknown.
    pub codec: Option<FourCc>,
    /// In hertz. Absent when unknown.
    pub sample_rate: Option<u32>,
    /// The format can say one or two here, and two for more. Absent when unknown.
    pub channels: Option<u32>,
    /// Kilobits per second. Absent when unknown.
    pub kbps: Option<f64>,
}

impl Metadata {
    /// Finds and reads `onMetaData` among the values of a data message, which may begin with
    /// `@setDataFrame`. `None` when the message is another.
    pub fn from_message(values: &[Value]) -> Option<Self> {
        let values = match values.split_first()? {
            (first, rest) if first.as_str() == Some(SET_DATA_FRAME) => rest,
            _ => values,
        };
        match values {
            [name, facts, ..] if name.as_str() == Some(ON_META_DATA) => Some(Self::parse(facts)),
            _ => None,
        }
    }

    /// Reads the object or array that follows the name.
    pub fn parse(facts: &Value) -> Self {
        let video = VideoFacts {
            codec: facts.get("videocodecid").and_then(|id| codec(id, video::legacy_codec)),
            width: positive(facts, "width").and_then(whole),
            height: positive(facts, "height").and_then(whole),
            frame_rate: positive(facts, "framerate").or_else(|| positive(facts, "videoframerate")),
            kbps: positive(facts, "videodatarate"),
        };
        let audio = AudioFacts {
            codec: facts.get("audiocodecid").and_then(|id| codec(id, audio::legacy_codec)),
            sample_rate: positive(facts, "audiosamplerate").and_then(whole),
            channels: channels(facts),
            kbps: positive(facts, "audiodatarate"),
        };
        Self {
            video: (video != VideoFacts::default()).then_some(video),
            audio: (audio != AudioFacts::default()).then_some(audio),
            encoder: facts.get("encoder").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// The array that follows the name. `form` decides how codecs without a number in FLV 10.1
    /// are told: H.265 is 12 in the legacy form, its FourCC as a number in the enhanced one.
    pub fn to_value(&self, form: Form) -> Value {
        let mut facts = Facts(Vec::new());
        // A live stream has no end to tell.
        facts.push("duration", Some(0.0));
        if let Some(video) = &self.video {
            facts.push("width", video.width.map(f64::from));
            facts.push("height", video.height.map(f64::from));
            facts.push("framerate", video.frame_rate);
            facts.push("videodatarate", video.kbps);
            facts.push("videocodecid", video.codec.map(|codec| video_codec_id(codec, form)));
        }
        if let Some(audio) = &self.audio {
            facts.push("audiosamplerate", audio.sample_rate.map(f64::from));
            facts.push("audiochannels", audio.channels.map(f64::from));
            facts.push("stereo", audio.channels.map(|channels| channels > 1));
            facts.push("audiodatarate", audio.kbps);
            facts.push("audiocodecid", audio.codec.map(audio_codec_id));
        }
        facts.push("encoder", self.encoder.clone());
        Value::EcmaArray(facts.0)
    }

    /// Appends the whole data message, name and array.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        amf0::write(&ON_META_DATA.into(), out);
        amf0::write(&self.to_value(form), out);
    }
}

struct Facts(Vec<(String, Value)>);

impl Facts {
    fn push(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.push((name.to_owned(), value.into()));
        }
    }
}

/// Numbers up to this are legacy codec ids, beyond they are FourCCs.
const LEGACY_ID_MAX: u32 = 15;

/// A codec as a number, or as text, which some encoders write.
fn codec(id: &Value, legacy: fn(u8) -> FourCc) -> Option<FourCc> {
    if let Some(text) = id.as_str() {
        return text.as_bytes().first_chunk().copied().map(FourCc);
    }
    let id = whole(id.as_f64()?)?;
    match u8::try_from(id) {
        Ok(id) if u32::from(id) <= LEGACY_ID_MAX => Some(legacy(id)),
        Ok(_) => None,
        Err(_) => Some(FourCc(id.to_be_bytes())),
    }
}

fn video_codec_id(codec: FourCc, form: Form) -> f64 {
    let has_number = form == Form::Legacy || codec == FourCc::AVC1;
    let legacy = video::legacy_codec_id(codec).filter(|_| has_number);
    legacy.map_or_else(|| f64::from(u32::from_be_bytes(codec.0)), f64::from)
}

/// A codec that has a number in FLV 10.1 is told by it in both forms: every player knows it.
fn audio_codec_id(codec: FourCc) -> f64 {
    let legacy = audio::legacy_format(codec);
    legacy.map_or_else(|| f64::from(u32::from_be_bytes(codec.0)), f64::from)
}

fn channels(facts: &Value) -> Option<u32> {
    let stereo = || facts.get("stereo").and_then(Value::as_bool).map(|is| 1 + u32::from(is));
    positive(facts, "audiochannels").and_then(whole).or_else(stereo)
}

fn positive(facts: &Value, name: &str) -> Option<f64> {
    facts.get(name)?.as_f64().filter(|number| number.is_finite() && *number > 0.0)
}

/// The nearest whole number, when it fits.
fn whole(number: f64) -> Option<u32> {
    let rounded = number.round();
    if !(0.0..=f64::from(u32::MAX)).contains(&rounded) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, as checked above"
    )]
    Some(rounded as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        Metadata {
            video: Some(VideoFacts {
                codec: Some(FourCc::HVC1),
                width: Some(1920),
                height: Some(1080),
                frame_rate: Some(30_000.0 / 1001.0),
                kbps: Some(2500.0),
            }),
            audio: Some(AudioFacts {
                codec: Some(FourCc::MP4A),
                sample_rate: Some(48_000),
                channels: Some(2),
                kbps: None,
            }),
            encoder: Some("test".to_owned()),
        }
    }

    #[test]
    fn reads_what_it_writes_in_both_forms() {
        for form in [Form::Legacy, Form::Enhanced] {
            let mut out = Vec::new();
            sample().write(form, &mut out);
            let values = amf0::parse_all(&out).unwrap();

            assert_eq!(Metadata::from_message(&values), Some(sample()), "{form:?}");
        }
    }

    #[test]
    fn tells_codecs_as_players_know_them() {
        let id = |form, name| sample().to_value(form).get(name).and_then(Value::as_f64);

        assert_eq!(id(Form::Legacy, "videocodecid"), Some(12.0));
        assert_eq!(id(Form::Enhanced, "videocodecid"), Some(f64::from(0x6876_6331)));
        assert_eq!(id(Form::Enhanced, "audiocodecid"), Some(10.0));
    }

    #[test]
    fn finds_the_message_behind_set_data_frame() {
        let facts = Value::Object(vec![("width".to_owned(), 640.0.into())]);
        let wrapped = [SET_DATA_FRAME.into(), ON_META_DATA.into(), facts];

        let metadata = Metadata::from_message(&wrapped).unwrap();

        assert_eq!(metadata.video.and_then(|video| video.width), Some(640));
        assert_eq!(Metadata::from_message(&["onTextData".into(), Value::Null]), None);
        assert_eq!(Metadata::from_message(&[SET_DATA_FRAME.into()]), None);
        assert_eq!(Metadata::from_message(&[]), None);
    }

    #[test]
    fn takes_absurd_fields_for_unknown() {
        let absurd: [(&str, Value); 8] = [
            ("width", (-1.0).into()),
            ("height", f64::INFINITY.into()),
            ("framerate", f64::NAN.into()),
            ("videodatarate", "fast".into()),
            ("videocodecid", 99.0.into()),
            ("audiosamplerate", 1e300.into()),
            ("audiocodecid", "aac".into()),
            ("stereo", 1.0.into()),
        ];
        let facts = absurd.map(|(name, value)| (name.to_owned(), value)).to_vec();

        assert_eq!(Metadata::parse(&Value::EcmaArray(facts)), Metadata::default());
    }

    #[test]
    fn reads_codecs_written_as_text() {
        let facts = vec![("videocodecid".to_owned(), "avc1".into())];

        let video = Metadata::parse(&Value::Object(facts)).video.unwrap();

        assert_eq!(video.codec, Some(FourCc::AVC1));
    }
}
