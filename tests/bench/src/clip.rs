//! The published media: H.264 and AAC of a test picture that ffmpeg makes once for each bit rate.
//!
//! **clip** → publisher → server
//!
//! 25 pictures a second, a keyframe every two seconds, 48 kHz sound (46.9 frames a second), at a constant rate. A few GOPs
//! are repeated for ever. The stamps are in places that decoders skip, so that players show the picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::amf::{self, Value};
use crate::error::Error;
use crate::machine;
use crate::stamp::{self, Stamp};

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
const AUDIO_BITRATE_MAX: u64 = 128_000;
/// What stamps and FLV's codec bytes take: 47 bytes for each of 72 frames a second.
const STAMPS_BITRATE: u64 = 27_000;
/// Two GOPs.
const SECONDS: u32 = 4;
/// Below this rate the picture is small, else the encoder could not keep to the rate.
const SMALL_BELOW: u64 = 1_000_000;

/// The FLV file's header and the size of no tag before the first; a tag's header; the size after it (FLV 10.1, E.2 to E.4).
const FILE_HEADER_LEN: usize = 9 + 4;
const TAG_HEADER_LEN: usize = 11;
const TAG_TRAILER_LEN: usize = 4;
/// Codec, packet type and composition time before a picture; codec and packet type before sound (E.4.3.1, E.4.2.1).
const VIDEO_HEADER_LEN: usize = 5;
const AUDIO_HEADER_LEN: usize = 2;

/// What is repeated, as it stands behind FLV's codec bytes.
#[derive(Debug)]
pub(crate) struct Clip {
    pictures: Vec<Vec<u8>>,
    sounds: Vec<Vec<u8>>,
    avcc: Vec<u8>,
    asc: Vec<u8>,
}

/// One frame of a clip that goes on for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// [`AUDIO`] or [`VIDEO`].
    pub type_id: u8,
    pub sequence: u32,
    /// When it is due, from the start of the clip; also its timestamp.
    pub time_ms: u32,
}

/// Gives the frames of any clip in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    video: u32,
    audio: u32,
}

impl Clip {
    /// Of `bitrate` bits a second in all. The first time, ffmpeg makes it; it stays in the target folder.
    pub(crate) fn of(bitrate: u64) -> Result<Self, Error> {
        let folder = folder()?;
        let path = folder.join(format!("{bitrate}.flv"));
        if !path.exists() {
            encode(bitrate, &folder, &path)?;
        }
        let bytes = fs::read(&path).map_err(Error::io(path.display().to_string()))?;
        let damaged = || Error::Clip(format!("{} is damaged: delete it", path.display()));
        Self::parse(&bytes).ok_or_else(damaged)
    }

    /// `None` for anything else than what [`encode`] makes.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut clip = Self { pictures: vec![], sounds: vec![], avcc: vec![], asc: vec![] };
        let mut rest = bytes.get(FILE_HEADER_LEN..)?;
        while let Some((header, after)) = rest.split_at_checked(TAG_HEADER_LEN) {
            let len = u32::from_be_bytes([0, header[1], header[2], header[3]]);
            let (body, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
            rest = after.get(TAG_TRAILER_LEN..)?;
            match (header[0], body) {
                (VIDEO, [_, 0, ..]) => clip.avcc = body.get(VIDEO_HEADER_LEN..)?.to_vec(),
                (VIDEO, [first, 1, ..]) => {
                    let is_keyframe = clip.pictures.len().is_multiple_of(GOP_LEN);
                    if (first >> 4 == 1) != is_keyframe {
                        return None;
                    }
                    clip.pictures.push(body.get(VIDEO_HEADER_LEN..)?.to_vec());
                }
                (AUDIO, [_, 0, ..]) => clip.asc = body.get(AUDIO_HEADER_LEN..)?.to_vec(),
                (AUDIO, _) => clip.sounds.push(body.get(AUDIO_HEADER_LEN..)?.to_vec()),
                _ => {}
            }
        }
        let is_whole = clip.pictures.len().is_multiple_of(GOP_LEN) && !clip.pictures.is_empty();
        (is_whole && !clip.sounds.is_empty()).then_some(clip)
    }

    /// What a publisher says of its stream before the first frame: message types and bodies.
    pub(crate) fn preamble(&self) -> [(u8, Vec<u8>); 3] {
        let metadata = Value::Object(vec![
            ("framerate", Value::Number(1000.0 / f64::from(FRAME_MS))),
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", Value::Number(10.0)),
            ("audiosamplerate", Value::Number(48_000.0)),
            ("stereo", Value::Boolean(true)),
        ]);
        let data = amf::write(&["@setDataFrame".into(), "onMetaData".into(), metadata]);
        let video = [&[0x17, 0, 0, 0, 0], self.avcc.as_slice()].concat();
        let audio = [&[0xaf, 0], self.asc.as_slice()].concat();
        [(DATA, data), (VIDEO, video), (AUDIO, audio)]
    }

    /// Replaces `body` by the frame as the body of an FLV tag, stamped with `sent_ns`.
    pub(crate) fn write(&self, frame: &Frame, sent_ns: u64, body: &mut Vec<u8>) {
        let Frame { type_id, sequence, time_ms } = *frame;
        let stamp = Stamp { sequence, source_ms: time_ms, sent_ns }.write();
        let media = if type_id == AUDIO { &self.sounds } else { &self.pictures };
        let index = usize::try_from(sequence).unwrap_or(0) % media.len();
        body.clear();
        if type_id == AUDIO {
            // A data stream element, byte-aligned, before the others (ISO/IEC 14496-3, 4.4.2.7).
            body.extend_from_slice(&[0xaf, 1, 0x80, STAMP_LEN]);
            body.extend_from_slice(&stamp);
        } else {
            // AVCVIDEOPACKET (FLV 10.1, E.4.3.1): NAL units, composition time 0.
            let first = if frame.is_keyframe() { 0x17 } else { 0x27 };
            body.extend_from_slice(&[first, 1, 0, 0, 0]);
            // NAL unit type 6; payload type 5, its size, its bytes; the stop bit (H.264, 7.3.2.3), its length before it
            // (ISO/IEC 14496-15, 5.3.4.2).
            body.extend_from_slice(&[0, 0, 0, STAMP_LEN + 4, 6, 5, STAMP_LEN]);
            body.extend_from_slice(&stamp);
            body.push(0x80);
        }
        body.extend_from_slice(&media[index]);
    }
}

const GOP_LEN: usize = GOP_FRAMES as usize;
#[expect(clippy::cast_possible_truncation, reason = "36 bytes")]
const STAMP_LEN: u8 = stamp::LEN as u8;

fn folder() -> Result<PathBuf, Error> {
    let folder = machine::target_folder()?.join("bench-clips");
    fs::create_dir_all(&folder).map_err(Error::io(folder.display().to_string()))?;
    Ok(folder)
}

fn encode(bitrate: u64, folder: &Path, path: &Path) -> Result<(), Error> {
    let audio = AUDIO_BITRATE_MAX.min(bitrate / 8);
    let video = bitrate - audio - STAMPS_BITRATE;
    let size = if bitrate < SMALL_BELOW { "320x180" } else { "1280x720" };
    // The noise stands still: keyframes are large and what lies between them is small, as in a camera's picture.
    let picture = format!("testsrc2=size={size}:rate=25,noise=alls=8");
    // Runs at the same time don't see each other's halves.
    let file = tempfile::Builder::new().suffix(".flv").tempfile_in(folder);
    let file = file.map_err(Error::io(folder.display().to_string()))?;
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", &picture])
        .args(["-f", "lavfi", "-i", &format!("sine=sample_rate={SAMPLE_RATE}")])
        .args(["-t", &SECONDS.to_string(), "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-sc_threshold", "0"])
        .args(["-g", &GOP_FRAMES.to_string(), "-keyint_min", &GOP_FRAMES.to_string()])
        .args(["-b:v", &video.to_string(), "-maxrate", &video.to_string()])
        .args(["-bufsize", &(video / 2).to_string(), "-x264-params", "nal-hrd=cbr:ipratio=3"])
        .args(["-c:a", "aac", "-b:a", &audio.to_string(), "-ac", "2"])
        .arg(file.path())
        .output()
        .map_err(Error::io("ffmpeg"))?;
    if !output.status.success() {
        return Err(Error::Clip(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    file.persist(path).map(|_| ()).map_err(|failed| Error::io("keeping a clip")(failed.error))
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
            return Some(Frame { type_id: AUDIO, sequence, time_ms: audio_ms });
        }
        let sequence = self.video;
        self.video += 1;
        Some(Frame { type_id: VIDEO, sequence, time_ms: video_ms })
    }
}

impl Frame {
    pub(crate) fn is_keyframe(&self) -> bool {
        self.type_id == VIDEO && self.sequence.is_multiple_of(GOP_FRAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the first four seconds.
    fn frames() -> Vec<Frame> {
        Frames::default().take_while(|frame| frame.time_ms < SECONDS * 1000).collect()
    }

    #[test]
    fn has_the_rates_it_promises() {
        for bitrate in [200_000, 2_100_000] {
            let clip = Clip::of(bitrate).unwrap();
            let (mut body, mut bytes) = (Vec::new(), 0);
            for frame in frames() {
                clip.write(&frame, 1, &mut body);
                bytes += u64::try_from(body.len()).unwrap();
            }
            let video = frames().iter().filter(|frame| frame.type_id == VIDEO).count();

            assert_eq!((video, frames().len() - video), (100, 188), "{bitrate}");
            let rate = bytes * 8 / u64::from(SECONDS);
            assert!(rate.abs_diff(bitrate) < bitrate / 20, "{rate} instead of {bitrate} bit/s");
        }
    }

    #[test]
    fn frames_come_in_order_and_are_stamped() {
        let clip = Clip::of(200_000).unwrap();
        let mut body = Vec::new();
        let mut last = 0;
        for frame in frames() {
            clip.write(&frame, 77, &mut body);

            let stamp = Stamp::find(&body[..64]).expect("the first bytes have it");
            assert_eq!((stamp.sequence, stamp.source_ms), (frame.sequence, frame.time_ms));
            assert_eq!(stamp.sent_ns, 77);
            assert!(frame.time_ms >= last);
            last = frame.time_ms;
        }
    }

    #[test]
    fn a_stamped_keyframe_is_whole_nal_units() {
        let clip = Clip::of(200_000).unwrap();
        let frame = frames().into_iter().find(Frame::is_keyframe).unwrap();
        let mut body = Vec::new();
        clip.write(&frame, 1, &mut body);

        let mut rest = &body[VIDEO_HEADER_LEN..];
        let mut types = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (nal, after) = after.split_at(usize::try_from(u32::from_be_bytes(*len)).unwrap());
            types.push(nal[0] & 0x1f);
            rest = after;
        }
        assert_eq!((types[0], rest.len()), (6, 0));
        assert!(types.contains(&5), "{types:?}");
    }

    #[test]
    fn a_damaged_file_is_no_clip() {
        let path = folder().unwrap().join("200000.flv");
        Clip::of(200_000).unwrap();
        let bytes = fs::read(path).unwrap();
        let mid_gop = FILE_HEADER_LEN + bytes.len() / 3;
        for len in [0, 5, FILE_HEADER_LEN, mid_gop] {
            assert!(Clip::parse(&bytes[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn decoders_take_it() {
        let clip = Clip::of(200_000).unwrap();
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        let mut body = Vec::new();
        let mut tag = |type_id: u8, time_ms: u32, body: &[u8]| {
            let [high, time @ ..] = time_ms.to_be_bytes();
            let [_, len @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
            file.extend([&[type_id][..], &len, &time, &[high, 0, 0, 0], body].concat());
            let size = u32::try_from(TAG_HEADER_LEN + body.len()).unwrap();
            file.extend(size.to_be_bytes());
        };
        let [_, video, audio] = clip.preamble();
        tag(video.0, 0, &video.1);
        tag(audio.0, 0, &audio.1);
        for frame in frames() {
            clip.write(&frame, 1, &mut body);
            tag(frame.type_id, frame.time_ms, &body);
        }
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), file).unwrap();

        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-xerror", "-i"])
            .arg(path.path())
            .args(["-f", "null", "-"])
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
