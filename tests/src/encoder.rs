//! Encoders that publish a clip as it is, at its own pace.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::clips::Media;
use crate::process::Process;

/// How an encoder is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As the stamps say.
    RealTime,
    /// So many times faster; stamps stay.
    Faster(u32),
}

/// ffmpeg publishing a clip without touching its frames.
#[track_caller]
pub fn ffmpeg(media: &Media, pace: Pace, url: &str) -> Process {
    ffmpeg_file(&media.clip().ffmpeg(), media.path(), pace, url)
}

/// The same with any file.
#[track_caller]
pub fn ffmpeg_file(ffmpeg: &Path, file: &Path, pace: Pace, url: &str) -> Process {
    let rate = match pace {
        Pace::RealTime => 1,
        Pace::Faster(factor) => factor,
    };
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "warning", "-nostdin", "-readrate", &rate.to_string(), "-i"]).arg(file);
    command.args(["-c", "copy", "-flvflags", "no_duration_filesize", "-f", "flv", url]);
    Process::spawn("ffmpeg (encoder)", &mut command)
}

/// GStreamer publishing an H.264 and AAC clip without touching its frames.
#[track_caller]
pub fn gstreamer(media: &Media, url: &str) -> Process {
    let pipeline = format!(
        "filesrc location={} ! flvdemux name=in \
         in.video ! queue ! out.video in.audio ! queue ! out.audio \
         flvmux name=out streamable=true ! rtmp2sink sync=true location={url}",
        media.path().display()
    );
    Process::spawn(
        "gst-launch-1.0 (encoder)",
        Command::new("gst-launch-1.0").arg("-q").args(pipeline.split_whitespace()),
    )
}

/// How long after its media an encoder may take to end.
pub const END_LIMIT: Duration = Duration::from_secs(20);
