//! Players that other people wrote, made to list every frame that they receive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::clips::{self, FRAMEHASH_OUTPUT};
use crate::flv;
use crate::media::Frames;
use crate::process::Process;

/// ffmpeg, listing frames as they come.
#[derive(Debug)]
pub struct Ffmpeg {
    process: Process,
}

impl Ffmpeg {
    #[track_caller]
    pub fn play(ffmpeg: &Path, url: &str) -> Self {
        let mut command = Command::new(ffmpeg);
        command.args(["-v", "warning", "-nostdin", "-copyts", "-i", url]).args(FRAMEHASH_OUTPUT);
        Self { process: Process::spawn("ffmpeg (viewer)", &mut command) }
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The frames so far.
    #[track_caller]
    pub fn frames(&self) -> Frames {
        Frames::of_framehash(&self.process.stdout().get())
    }

    /// Waits for the end of the stream, which must be an orderly one.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Frames {
        self.process.wait_success(limit);
        self.frames()
    }
}

/// A player that writes what it receives into an FLV file.
#[derive(Debug)]
pub struct Dump {
    process: Process,
    file: PathBuf,
    #[expect(dead_code, reason = "removed when dropped")]
    folder: TempDir,
}

impl Dump {
    #[track_caller]
    pub fn rtmpdump(url: &str) -> Self {
        Self::start("rtmpdump", |file| {
            let mut command = Command::new("rtmpdump");
            command.args(["--live", "--quiet", "--rtmp", url, "--flv"]).arg(file);
            command
        })
    }

    /// GStreamer's source element alone: the bytes as they come, which are FLV.
    #[track_caller]
    pub fn gstreamer(url: &str) -> Self {
        Self::start("gst-launch-1.0", |file| {
            let pipeline = format!(
                "rtmp2src location={url} ! filesink sync=false location={}",
                file.display()
            );
            let mut command = Command::new("gst-launch-1.0");
            command.arg("-q").arg("-e").args(pipeline.split_whitespace());
            command
        })
    }

    fn start(name: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let folder =
            TempDir::with_prefix("plugcast-dump-").expect("the temporary folder is writable");
        let file = folder.path().join("dump.flv");
        let process = Process::spawn(name, &mut command(&file));
        Self { process, file, folder }
    }

    /// How many bytes are written.
    pub fn len(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the end of the stream; what the exit code is, is the player's own affair. Returns the frames as ffmpeg
    /// hashes them, and as the tags say.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> (Frames, Frames) {
        self.process.wait(limit);
        let bytes = fs::read(&self.file).expect("the player has written a file");
        (clips::framehash(Path::new("ffmpeg"), &self.file), Frames::of_tags(&flv::read(&bytes)))
    }
}

/// What ffprobe says of a stream: its tracks, and its first fifty pictures, decoded.
#[track_caller]
pub fn ffprobe(url: &str, limit: Duration) -> Value {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-show_streams",
        "-read_intervals",
        "%+#50",
        "-show_frames",
        "-of",
        "json",
        url,
    ]);
    let mut process = Process::spawn("ffprobe", &mut command);
    process.wait_success(limit);
    let text = process.stdout().get().join("\n");
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("ffprobe wrote no JSON ({error}): {text}"))
}

/// Freezes a process, or lets it go on.
pub fn freeze(process: &mut Process) {
    process.signal(Signal::STOP);
}

pub fn thaw(process: &mut Process) {
    process.signal(Signal::CONT);
}
