//! A plugin in C, written against the headers alone, publishes a stream that is played over RTMP.

use harness::artifacts::compile_c_plugin;
use harness::clips::Clip;
use harness::rtmp::Player;
use harness::server::{Server, Setup};
use harness::{media, viewer};
use serde_json::json;
use tempfile::TempDir;

use crate::LIMIT;

/// The plugin in `tests/fixtures/c_source`, publishing `live/c`.
#[track_caller]
fn start() -> Server {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let library = folder.path().join("libplugcast_c_source.so");
    compile_c_plugin("c_source/c_source.c", &[], &library);
    let file = folder.path().join("clip.h264");
    Clip::InOrder.media().write_annex_b(&file);
    let config = json!({ "path": file, "key": "live/c", "fps": 25, "width": 192, "height": 144 });
    // The plugin has read the file when the server is ready.
    Setup::new().plugin(&library).config(&json!({ "plugins": { "c-source": config } })).start()
}

#[test]
fn ffprobe_plays_what_a_plugin_in_c_publishes() {
    let server = start();
    server.wait_for_stream("live/c");

    let probed = viewer::ffprobe(&server.rtmp_url("live/c"), LIMIT);

    let stream = &probed["streams"][0];
    assert_eq!(stream["codec_name"], "h264", "{stream:#}");
    assert_eq!((stream["width"].as_u64(), stream["height"].as_u64()), (Some(192), Some(144)));
    let frames = probed["frames"].as_array().expect("frames");
    assert!(frames.len() >= 40, "{} of 50 frames", frames.len());
    assert_eq!(frames[0]["pict_type"], "I");
    server.stop();
}

#[test]
fn a_plugin_in_c_publishes_without_gaps_and_loops() {
    let server = start();
    let player = Player::open(server.rtmp(), "live/c");

    // The file has 100 frames: this is more than one round.
    player.wait_for_video(130, LIMIT);

    let frames = player.frames();
    media::assert_smooth("the viewer", &frames, 41);
    assert!(frames.video[0].key);
    assert_eq!(
        frames.video[0].content, frames.video[100].content,
        "the second round is another file"
    );
    assert_ne!(frames.video[0].content, frames.video[50].content);
    server.stop();
}

#[test]
fn the_reason_of_a_plugin_in_c_reaches_the_operator() {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let library = folder.path().join("libplugcast_c_source.so");
    compile_c_plugin("c_source/c_source.c", &[], &library);
    let config = json!({ "path": folder.path().join("nothing.h264") });
    let server =
        Setup::new().plugin(&library).config(&json!({ "plugins": { "c-source": config } })).start();

    let plugin = server.plugin("c-source");

    assert_eq!(plugin["state"], "failed");
    assert!(plugin["reason"].as_str().unwrap_or_default().contains("no such file"), "{plugin:#}");
}
