//! The media that is published: small FLV files, made once by ffmpeg and kept in `target/test-clips`.
//!
//! Noise as sound and ffmpeg's moving test picture, so that no two frames are alike.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{LazyLock, Mutex, OnceLock};

use crate::artifacts;
use crate::flv::{self, Tag};
use crate::media::Frames;

/// Every clip, by what is special about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clip {
    /// H.264 with B-frames at 25 fps, AAC at 44.1 kHz, a key frame a second.
    BFrames,
    /// H.264 at 29.97 fps, AAC at 48 kHz.
    Ntsc,
    /// H.265 as Enhanced RTMP, AAC. Only the newer ffmpeg reads and writes it.
    Hevc,
    AudioOnly,
    VideoOnly,
    /// Access unit delimiters and parameter sets in band before every key frame.
    InBand,
    /// One key frame in 20 seconds.
    LongGop,
    /// No IDR after the first: recovery points.
    IntraRefresh,
    /// As [`Self::BFrames`], another picture size.
    Wide,
    /// H.264 without B-frames, so that decoding order is all there is to know.
    InOrder,
    /// 8 Mbit/s, enough to fill socket buffers in seconds.
    Heavy,
}

/// A clip on disk.
#[derive(Debug)]
pub struct Media {
    clip: Clip,
    path: PathBuf,
    tags: Vec<Tag>,
    frames: Frames,
    framehash: OnceLock<Frames>,
}

impl Clip {
    /// The clip's file, made if need be.
    #[track_caller]
    pub fn media(self) -> &'static Media {
        static MADE: LazyLock<Mutex<HashMap<Clip, &'static Media>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().expect("making another clip has failed");
        made.entry(self).or_insert_with(|| Box::leak(Box::new(Media::make(self))))
    }

    fn needs_newer_ffmpeg(self) -> bool {
        self == Self::Hevc
    }

    /// The ffmpeg that reads and writes it.
    pub fn ffmpeg(self) -> PathBuf {
        if self.needs_newer_ffmpeg() { ffmpeg9() } else { PathBuf::from("ffmpeg") }
    }

    fn arguments(self) -> Vec<String> {
        let (size, rate, seconds, sound_rate) = match self {
            Self::BFrames | Self::InBand | Self::IntraRefresh => ("192x144", "25", 6, 44_100),
            Self::Ntsc => ("192x144", "30000/1001", 6, 48_000),
            Self::Hevc => ("192x144", "25", 6, 48_000),
            Self::AudioOnly | Self::VideoOnly => ("160x120", "25", 6, 44_100),
            Self::LongGop => ("160x120", "25", 24, 44_100),
            Self::InOrder => ("192x144", "25", 4, 44_100),
            Self::Wide => ("256x144", "25", 6, 44_100),
            Self::Heavy => ("320x240", "25", 8, 44_100),
        };
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |text: &str| arguments.extend(text.split(' ').map(str::to_owned));
        if self != Self::AudioOnly {
            add(&format!("-f lavfi -i testsrc2=size={size}:rate={rate}"));
        }
        if self != Self::VideoOnly {
            // Another seed for each clip, so that a frame of sound also tells which clip it is from.
            add(&format!(
                "-f lavfi -i anoisesrc=seed={}:sample_rate={sound_rate}:amplitude=0.2",
                self as u32 + 1
            ));
        }
        add(&format!("-t {seconds}"));
        if self != Self::AudioOnly {
            add("-pix_fmt yuv420p");
            add(self.video_arguments());
        }
        if self != Self::VideoOnly {
            add("-c:a aac -b:a 64k");
        }
        add("-flvflags no_duration_filesize -f flv");
        arguments
    }

    fn video_arguments(self) -> &'static str {
        match self {
            Self::BFrames | Self::Wide => "-c:v libx264 -preset veryfast -bf 3 -g 25 -b:v 200k",
            Self::Ntsc => "-c:v libx264 -preset veryfast -bf 2 -g 30 -b:v 200k",
            Self::Hevc => {
                "-c:v libx265 -preset ultrafast -b:v 200k -x265-params keyint=25:min-keyint=25:bframes=3:log-level=error"
            }
            Self::AudioOnly => "",
            Self::VideoOnly => "-c:v libx264 -preset veryfast -bf 2 -g 25 -b:v 150k",
            Self::InOrder => "-c:v libx264 -preset ultrafast -g 25 -b:v 200k",
            Self::InBand => {
                "-c:v libx264 -preset veryfast -bf 2 -g 25 -b:v 200k -x264-params aud=1:repeat-headers=1"
            }
            Self::LongGop => {
                "-c:v libx264 -preset veryfast -bf 2 -g 500 -keyint_min 500 -sc_threshold 0 -b:v 100k"
            }
            Self::IntraRefresh => {
                "-c:v libx264 -preset veryfast -g 25 -b:v 200k -x264-params intra-refresh=1"
            }
            Self::Heavy => {
                "-c:v libx264 -preset ultrafast -g 25 -b:v 8M -maxrate 8M -minrate 8M -bufsize 8M \
                 -x264-params nal-hrd=cbr:filler=1"
            }
        }
    }
}

impl Media {
    #[track_caller]
    fn make(clip: Clip) -> Self {
        let arguments = clip.arguments();
        let mut hasher = DefaultHasher::new();
        arguments.hash(&mut hasher);
        let folder = artifacts::cache_folder("test-clips");
        let path = folder.join(format!("{clip:?}-{:016x}.flv", hasher.finish()));
        if !path.exists() {
            // Renamed into place: another run may be making the same one.
            let unfinished = folder.join(format!("{clip:?}-{}.unfinished", process::id()));
            run(Command::new(clip.ffmpeg())
                .args(["-v", "error", "-y"])
                .args(&arguments)
                .arg(&unfinished));
            fs::rename(&unfinished, &path).expect("target/ is writable");
        }
        let tags = flv::read(&fs::read(&path).expect("the clip was just made"));
        let frames = Frames::of_tags(&tags);
        Self { clip, path, tags, frames, framehash: OnceLock::new() }
    }

    pub fn clip(&self) -> Clip {
        self.clip
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The frames, for comparison with what our own client received.
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// The frames as ffmpeg hashes them, for comparison with what ffmpeg received.
    #[track_caller]
    pub fn framehash(&self) -> &Frames {
        self.framehash
            .get_or_init(|| framehash(&self.clip.ffmpeg(), &self.path).with_keys_of(&self.frames))
    }

    /// Writes the video as an Annex B file.
    #[track_caller]
    pub fn write_annex_b(&self, file: &Path) {
        let mut command = Command::new(self.clip.ffmpeg());
        command.args(["-v", "error", "-y", "-i"]).arg(&self.path);
        run(command.args(["-map", "0:v", "-c", "copy", "-f", "h264"]).arg(file));
    }
}

/// The frames of a file, as ffmpeg hashes them.
#[track_caller]
pub fn framehash(ffmpeg: &Path, file: &Path) -> Frames {
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "error", "-copyts", "-i"]).arg(file);
    let listing = run(command.args(FRAMEHASH_OUTPUT));
    Frames::of_framehash(&listing.lines().map(str::to_owned).collect::<Vec<_>>())
}

/// ffmpeg's arguments for a listing on stdout, of every packet as it came. Key frames are not waited for: if a viewer is
/// given something else first, the listing must show it.
pub const FRAMEHASH_OUTPUT: &[&str] = &[
    "-map",
    "0:v?",
    "-map",
    "0:a?",
    "-c",
    "copy",
    "-copyinkf",
    "-f",
    "framehash",
    "-hash",
    "md5",
    "-",
];

/// The newer ffmpeg: from `PLUGCAST_FFMPEG9`, or where scripts/test puts it.
#[track_caller]
pub fn ffmpeg9() -> PathBuf {
    if let Some(path) = env::var_os("PLUGCAST_FFMPEG9") {
        return PathBuf::from(path);
    }
    let installed = artifacts::cache_folder("ffmpeg9");
    let found = find(&installed.join("lib"), &|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ffmpeg-")
            && path.parent().is_some_and(|parent| parent.ends_with("binaries"))
    });
    found.expect(
        "the newer ffmpeg is not installed; scripts/test does that, or set PLUGCAST_FFMPEG9",
    )
}

fn find(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.iter().find(|path| path.is_file() && wanted(path)).cloned().or_else(|| {
        entries
            .iter()
            .filter(|path| path.is_dir() && !path.is_symlink())
            .find_map(|path| find(path, wanted))
    })
}

/// Runs a command to its end; returns what it wrote to stdout.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs it"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::Body;

    /// The types of the NAL units of an H.264 access unit.
    fn nal_types(mut payload: &[u8]) -> Vec<u8> {
        let mut types = Vec::new();
        while let Some((len, rest)) = payload.split_first_chunk::<4>() {
            let (unit, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
            types.push(unit[0] & 0x1f);
            payload = rest;
        }
        types
    }

    fn video_payloads(clip: Clip) -> Vec<(bool, Vec<u8>)> {
        let tags = clip.media().tags().iter().filter(|tag| tag.is_video_frame());
        tags.map(|tag| match tag.parse() {
            Body::Frame { key, payload, .. } => (key, payload.to_vec()),
            _ => unreachable!("only frames were kept"),
        })
        .collect()
    }

    #[test]
    fn clips_have_what_they_are_named_for() {
        let frames = Clip::BFrames.media().frames();
        assert!(frames.video.iter().any(|frame| frame.pts_ms > frame.dts_ms + 80), "no B-frames");
        assert_eq!(frames.video.len(), 150);
        assert_eq!(frames.video.iter().filter(|frame| frame.key).count(), 6);

        for (key, payload) in video_payloads(Clip::InBand) {
            let types = nal_types(&payload);
            assert!(types.contains(&9), "an access unit without delimiter: {types:?}");
            assert!(!key || types.contains(&7), "a key frame without SPS: {types:?}");
        }

        let refreshed = video_payloads(Clip::IntraRefresh);
        let idr = refreshed.iter().filter(|(_, payload)| nal_types(payload).contains(&5)).count();
        assert_eq!(idr, 1, "IDR pictures");
        assert!(refreshed.iter().filter(|(key, _)| *key).count() > 3, "recovery points");

        let keys: Vec<i64> = Clip::LongGop
            .media()
            .frames()
            .video
            .iter()
            .filter(|frame| frame.key)
            .map(|frame| frame.dts_ms)
            .collect();
        assert_eq!(keys, [0, 20_000]);
        assert!(Clip::AudioOnly.media().frames().video.is_empty());
        assert!(Clip::VideoOnly.media().frames().audio.is_empty());
    }

    #[test]
    fn both_readings_of_a_clip_agree() {
        for clip in [Clip::BFrames, Clip::Ntsc, Clip::Hevc, Clip::AudioOnly] {
            let media = clip.media();
            let stamps = |frames: &Frames| -> Vec<(i64, i64)> {
                frames
                    .video
                    .iter()
                    .chain(&frames.audio)
                    .map(|frame| (frame.dts_ms, frame.pts_ms))
                    .collect()
            };

            assert_eq!(stamps(media.frames()), stamps(media.framehash()), "{clip:?}");
        }
    }
}
