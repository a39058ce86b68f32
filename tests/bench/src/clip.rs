//! The published media: H.264 and AAC that parsers take for real, made without an encoder.
//!
//! **clip** → publisher → server
//!
//! 25 pictures a second, a keyframe every two seconds, 48 kHz sound (46.9 frames a second). The
//! decoder configuration is a real one, of 1280×720; of the slices only the first bytes are, the
//! rest is filler without zeros. So players connect and show nothing.

use crate::amf::{self, Value};
use crate::stamp::Stamp;

/// FLV 10.1, E.4.1: message types are tag types.
pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const DATA: u8 = 18;

pub(crate) const FRAME_MS: u32 = 40;
/// Pictures from keyframe to keyframe.
pub(crate) const GOP_FRAMES: u32 = 50;
/// Samples in an AAC frame (ISO/IEC 14496-3, 4.5.2.1.1).
const AAC_SAMPLES: u64 = 1024;
const SAMPLE_RATE: u64 = 48_000;

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): Main, level 3.1, no B-frames.
const AVCC: &[u8] = &[
    0x01, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x4d, 0x40, 0x1f, 0xda, 0x01, 0x40, 0x16,
    0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc6, 0x0c, 0xa8, 0x01,
    0x00, 0x04, 0x68, 0xef, 0x0f, 0xc8,
];
/// AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): AAC-LC, 48 kHz, stereo.
const ASC: &[u8] = &[0x11, 0x90];

/// The start of an IDR and of a P slice, up to where entropy coding begins.
const IDR_SLICE: &[u8] = &[0x65, 0x88, 0x84];
const P_SLICE: &[u8] = &[0x41, 0x9a, 0x26];
/// No zero and no long run of equal bytes.
const FILLER: &[u8] = b"plugcast bench filler; ";

/// Share of the bit rate and size of a keyframe at the reference rate: 65 KB at 2.1 Mbit/s.
const REFERENCE_BITRATE: u64 = 2_100_000;
const REFERENCE_KEYFRAME: u64 = 65_000;
const AUDIO_BITRATE_MAX: u64 = 128_000;

/// The sizes of frames at some bit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clip {
    keyframe_len: usize,
    delta_len: usize,
    audio_len: usize,
}

/// One frame of a clip that goes on for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// [`AUDIO`] or [`VIDEO`].
    pub type_id: u8,
    pub sequence: u32,
    /// When it is due, from the start of the clip; also its timestamp.
    pub time_ms: u32,
    len: usize,
}

/// Gives the frames of a clip in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    clip: Clip,
    video: u32,
    audio: u32,
}

impl Clip {
    /// For `bitrate` bits a second in all.
    pub(crate) fn new(bitrate: u64) -> Self {
        let audio_rate = AUDIO_BITRATE_MAX.min(bitrate / 8);
        let audio = audio_rate * AAC_SAMPLES / SAMPLE_RATE / 8;
        let keyframe = REFERENCE_KEYFRAME * bitrate / REFERENCE_BITRATE;
        let gop_ms = u64::from(GOP_FRAMES * FRAME_MS);
        let gop = (bitrate - audio_rate) * gop_ms / 8 / 1000;
        let delta = gop.saturating_sub(keyframe) / u64::from(GOP_FRAMES - 1);
        let len = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { keyframe_len: len(keyframe), delta_len: len(delta), audio_len: len(audio) }
    }

    pub(crate) fn frames(self) -> Frames {
        Frames { clip: self, video: 0, audio: 0 }
    }

    /// What a publisher says of its stream before the first frame: message types and bodies.
    pub(crate) fn preamble() -> [(u8, Vec<u8>); 3] {
        let metadata = Value::Object(vec![
            ("width", Value::Number(1280.0)),
            ("height", Value::Number(720.0)),
            ("framerate", Value::Number(1000.0 / f64::from(FRAME_MS))),
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", Value::Number(10.0)),
            ("audiosamplerate", Value::Number(48_000.0)),
            ("stereo", Value::Boolean(true)),
        ]);
        let data = amf::write(&["@setDataFrame".into(), "onMetaData".into(), metadata]);
        let video = [&[0x17, 0, 0, 0, 0], AVCC].concat();
        let audio = [&[0xaf, 0], ASC].concat();
        [(DATA, data), (VIDEO, video), (AUDIO, audio)]
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let video_ms = self.video.checked_mul(FRAME_MS)?;
        let audio_ms = u64::from(self.audio) * AAC_SAMPLES * 1000 / SAMPLE_RATE;
        let audio_ms = u32::try_from(audio_ms).ok()?;
        if audio_ms < video_ms {
            let sequence = self.audio;
            self.audio += 1;
            let len = self.clip.audio_len;
            return Some(Frame { type_id: AUDIO, sequence, time_ms: audio_ms, len });
        }
        let sequence = self.video;
        self.video += 1;
        let is_keyframe = sequence.is_multiple_of(GOP_FRAMES);
        let len = if is_keyframe { self.clip.keyframe_len } else { self.clip.delta_len };
        Some(Frame { type_id: VIDEO, sequence, time_ms: video_ms, len })
    }
}

impl Frame {
    pub(crate) fn is_keyframe(&self) -> bool {
        self.type_id == VIDEO && self.sequence.is_multiple_of(GOP_FRAMES)
    }

    /// Replaces `body` by the frame as the body of an FLV tag, stamped with `sent_ns`.
    pub(crate) fn write(&self, sent_ns: u64, body: &mut Vec<u8>) {
        let stamp = Stamp { sequence: self.sequence, source_ms: self.time_ms, sent_ns }.write();
        body.clear();
        if self.type_id == AUDIO {
            body.extend_from_slice(&[0xaf, 1]);
            body.extend_from_slice(&stamp);
            fill(body, self.len);
            return;
        }
        let (first, slice) = if self.is_keyframe() { (0x17, IDR_SLICE) } else { (0x27, P_SLICE) };
        // AVCVIDEOPACKET (FLV 10.1, E.4.3.1): NAL units, composition time 0.
        body.extend_from_slice(&[first, 1, 0, 0, 0]);
        // NAL unit type 6; payload type 5, its size, its bytes; the stop bit (H.264, 7.3.2.3).
        let sei_len = u8::try_from(stamp.len()).unwrap_or(u8::MAX);
        write_nal(&[&[6, 5, sei_len], stamp.as_slice(), &[0x80]].concat(), body);
        let slice_len = self.len.saturating_sub(body.len() + 4).max(slice.len());
        body.extend_from_slice(&u32::try_from(slice_len).unwrap_or(u32::MAX).to_be_bytes());
        let end = body.len() + slice_len;
        body.extend_from_slice(slice);
        fill(body, end);
    }
}

/// With its length before it (ISO/IEC 14496-15, 5.3.4.2).
fn write_nal(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(nal);
}

fn fill(out: &mut Vec<u8>, len: usize) {
    let missing = len.saturating_sub(out.len());
    out.extend(FILLER.iter().cycle().take(missing));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the first two seconds.
    fn gop(bitrate: u64) -> Vec<Frame> {
        Clip::new(bitrate).frames().take_while(|frame| frame.time_ms < 2000).collect()
    }

    #[test]
    fn has_the_rates_it_promises() {
        for bitrate in [200_000, 1_000_000, 2_100_000, 4_000_000] {
            let mut body = Vec::new();
            let mut bytes = 0_u64;
            let frames = gop(bitrate);
            for frame in &frames {
                frame.write(1, &mut body);
                bytes += u64::try_from(body.len()).unwrap();
            }
            let video = frames.iter().filter(|frame| frame.type_id == VIDEO).count();

            assert_eq!((video, frames.len() - video), (50, 94), "{bitrate}");
            let error = (bytes * 4).abs_diff(bitrate);
            assert!(error < bitrate / 50, "{} instead of {bitrate} bit/s", bytes * 4);
        }
    }

    #[test]
    fn frames_come_in_order_and_are_stamped() {
        let mut body = Vec::new();
        let mut last = 0;
        for frame in gop(2_100_000) {
            frame.write(77, &mut body);

            let stamp = Stamp::find(&body[..64]).expect("the first bytes have it");
            assert_eq!((stamp.sequence, stamp.source_ms), (frame.sequence, frame.time_ms));
            assert_eq!(stamp.sent_ns, 77);
            assert!(frame.time_ms >= last);
            last = frame.time_ms;
        }
    }

    #[test]
    fn a_keyframe_is_two_nal_units_to_the_byte() {
        let frame = gop(2_100_000).into_iter().find(Frame::is_keyframe).unwrap();
        let mut body = Vec::new();
        frame.write(1, &mut body);

        let mut rest = &body[5..];
        let mut types = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (nal, after) = after.split_at(usize::try_from(u32::from_be_bytes(*len)).unwrap());
            types.push(nal[0] & 0x1f);
            assert!(nal.iter().all(|byte| *byte != 0), "emulation prevention would be needed");
            rest = after;
        }
        assert_eq!(types, [6, 5]);
        assert_eq!(body.len(), 65_000);
    }
}
