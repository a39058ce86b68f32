//! One audio track: from FLV audio tags to frames.
//!
//! message → **audio** → frame

use media::codec::aac::AudioSpecificConfig;
use media::codec::codec_string;
use media::container::flv::tag::{AudioHeader, AudioKind, Form};
use plugin_api::frame::{FourCc, FrameFlags, Ns, Track, TrackKind};
use plugin_api::mem::Buf;

use super::{Complaint, Complaints, Step, frame};

/// SoundRate of the legacy header (FLV 10.1, section E.4.2.1).
const SOUND_RATES: [u32; 4] = [5512, 11_025, 22_050, 44_100];

/// G.711 is sampled at 8 kHz, whatever the header says.
const G711_RATE: u32 = 8000;

pub(super) struct AudioTrack {
    id: u32,
    track: Option<Track>,
    config_number: u32,
}

impl AudioTrack {
    pub(super) fn new(id: u32) -> Self {
        Self { id, track: None, config_number: 0 }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// `None` until it can be decoded.
    pub(super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    pub(super) fn on_tag(
        &mut self,
        header: &AudioHeader,
        payload: Buf,
        complaints: &mut Complaints,
    ) -> Step {
        if is_obsolete(header) {
            complaints.once(Complaint::Unsupported, &header.codec);
            return Step::default();
        }
        let mut step = Step::default();
        match header.kind {
            // An empty record, or an empty frame, is a keep-alive.
            _ if payload.is_empty() => {}
            AudioKind::SequenceStart => {
                step.is_changed = self.on_config(header, payload, complaints);
            }
            AudioKind::CodedFrames => self.on_frame(header, payload, &mut step, complaints),
            AudioKind::SequenceEnd | AudioKind::MultichannelConfig | AudioKind::Unknown(_) => {}
        }
        step
    }

    fn on_config(
        &mut self,
        header: &AudioHeader,
        config: Buf,
        complaints: &mut Complaints,
    ) -> bool {
        let codec = FourCc(header.codec.0);
        if self.track.as_ref().is_some_and(|track| track.codec == codec && track.config == config) {
            return false;
        }
        let mut track = Track::new(self.id, TrackKind::Audio, codec);
        if codec == FourCc::AAC {
            match AudioSpecificConfig::parse(&config) {
                Ok(asc) => {
                    track.sample_rate = asc.output_sample_rate();
                    track.channels = asc.output_channels().into();
                    track.codec_string = codec_string::mp4a(&asc);
                }
                Err(error) => {
                    complaints.once(Complaint::Config, &error);
                    return false;
                }
            }
        }
        track.config = config;
        self.replace(track);
        true
    }

    fn on_frame(
        &mut self,
        header: &AudioHeader,
        payload: Buf,
        step: &mut Step,
        complaints: &mut Complaints,
    ) {
        let codec = FourCc(header.codec.0);
        if self.track.as_ref().is_none_or(|track| track.codec != codec) {
            if codec == FourCc::AAC {
                return complaints.once(Complaint::NoConfig, &codec);
            }
            self.replace(self.without_config(header));
            step.is_changed = true;
        }
        let flags = FrameFlags { key: true, ..FrameFlags::default() };
        let pts_offset = Ns::from(header.timestamp_offset_nanos);
        step.frame = Some(frame(self.id, self.config_number, flags, pts_offset, payload));
    }

    /// A track of a codec whose frames say all.
    fn without_config(&self, header: &AudioHeader) -> Track {
        let mut track = Track::new(self.id, TrackKind::Audio, FourCc(header.codec.0));
        if header.form == Form::Legacy {
            let rate = SOUND_RATES.get(usize::from(header.sound.rate));
            track.sample_rate = match track.codec {
                FourCc::ALAW | FourCc::ULAW => G711_RATE,
                _ => rate.copied().unwrap_or_default(),
            };
            track.channels = 1 + u32::from(header.sound.is_stereo);
        }
        track
    }

    fn replace(&mut self, track: Track) {
        self.config_number += u32::from(self.track.is_some());
        self.track = Some(Track { config_number: self.config_number, ..track });
    }
}

/// Nellymoser, Speex, ADPCM and the like: formats of Flash Player without a FourCC.
fn is_obsolete(header: &AudioHeader) -> bool {
    header.form == Form::Legacy && header.codec.0.starts_with(b"fa")
}
