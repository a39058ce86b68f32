//! The client against a peer that other people wrote: ffmpeg can stand in for a server, one connection at a time.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clips::Clip;
use crate::flv::{self, Tag};
use crate::media::{self, Frames, Until};
use crate::process::Process;
use crate::rtmp::feed::Feed;
use crate::wait;

/// An address that is free now. ffmpeg can't choose one by itself and say which.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// ffmpeg opens its port only after it has read its input. A connection made just to see would be its one connection,
/// so look into the system's table.
fn wait_for_listener(address: SocketAddr) {
    let row = format!(":{:04X} 00000000:0000 0A", address.port());
    wait::until("ffmpeg to listen", Duration::from_secs(10), || {
        std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&row).then_some(())
    });
}

#[test]
fn publishes_to_ffmpeg() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("received.flv");
    let address = free_address();
    let mut ffmpeg = Process::spawn(
        "ffmpeg (server)",
        Command::new("ffmpeg")
            .args([
                "-v",
                "warning",
                "-f",
                "flv",
                "-listen",
                "1",
                "-i",
                &format!("rtmp://{address}/live/x"),
            ])
            .args(["-c", "copy", "-copyts"])
            .arg(&file),
    );
    wait_for_listener(address);
    let media = Clip::BFrames.media();

    let publisher = Publisher::open(address, "live/x");
    Feed::start(publisher, feed::faster(feed::in_real_time(media.tags()), 8)).join().finish();
    ffmpeg.wait(Duration::from_secs(10));

    let received = Frames::of_tags(&flv::read(&std::fs::read(&file).unwrap()));
    media::assert_same("ffmpeg's file", media.frames(), &received, Until::End);
}

#[test]
fn plays_from_ffmpeg() {
    let address = free_address();
    let media = Clip::BFrames.media();
    let mut ffmpeg = Process::spawn(
        "ffmpeg (server)",
        Command::new("ffmpeg")
            .args(["-v", "warning", "-i"])
            .arg(media.path())
            .args(["-c", "copy", "-f", "flv"])
            .args(["-listen", "1", &format!("rtmp://{address}/live/x")]),
    );
    wait_for_listener(address);

    let player = Player::open(address, "live/x");
    ffmpeg.wait(Duration::from_secs(10));
    player.client().wait_for_end(Duration::from_secs(10));

    // Not `player.frames()`: as a server ffmpeg sends media on message stream 0 instead of the one it gave out.
    let tags: Vec<Tag> = player
        .client()
        .messages()
        .iter()
        .filter(|message| message.is_media())
        .map(Message::tag)
        .collect();
    media::assert_same("what ffmpeg sent", media.frames(), &Frames::of_tags(&tags), Until::End);
}
