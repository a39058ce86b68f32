//! Encoder × player × clip: every frame, once, unchanged, on the source's own time.

use harness::clips::{Clip, ffmpeg9};
use harness::encoder::{self, END_LIMIT, Pace};
use harness::flv::{self, Body};
use harness::media::{self, Until};
use harness::process::Process;
use harness::rtmp::{Dialect, Player};
use harness::server::Server;
use harness::viewer::{Dump, Ffmpeg};
use serde_json::json;

use crate::LIMIT;

/// ffmpeg publishes; one ffmpeg has been waiting for it, another comes in the middle, and a client of ours sees both in.
#[track_caller]
fn carries(clip: Clip, pace: Pace, join_at_frame: usize) {
    let server = Server::start(&json!({}));
    let url = server.rtmp_url("live/x");
    let media = clip.media();

    let waiting = Ffmpeg::play(&clip.ffmpeg(), &url);
    let mut encoder = encoder::ffmpeg(media, pace, &url);
    server.wait_for_stream("live/x");
    let player = Player::open(server.rtmp(), "live/x");
    let lead = if media.frames().video.is_empty() { flv::AUDIO } else { flv::VIDEO };
    player.wait_for_frames(lead, join_at_frame, LIMIT);
    let late = Ffmpeg::play(&clip.ffmpeg(), &url);
    encoder.wait_success(END_LIMIT + LIMIT);

    media::assert_same(
        "the viewer that waited",
        media.framehash(),
        &waiting.finish(LIMIT),
        Until::End,
    );
    let joined =
        media::assert_same("the late viewer", media.framehash(), &late.finish(LIMIT), Until::End);
    player.wait_for_stream_end(LIMIT);
    media::assert_same("our own client", media.frames(), &player.frames(), Until::End);
    let is_late = joined.first_video.or(joined.first_audio).is_some_and(|first| first > 0);
    let gop_is_whole = clip == Clip::LongGop;
    assert!(is_late || gop_is_whole, "the late viewer was not late: {joined:?}");
    server.stop();
}

#[test]
fn carries_h264_with_b_frames_and_aac() {
    carries(Clip::BFrames, Pace::RealTime, 80);
}

#[test]
fn carries_29_97_fps_with_48_khz() {
    carries(Clip::Ntsc, Pace::RealTime, 80);
}

#[test]
fn carries_h265_as_enhanced_rtmp() {
    carries(Clip::Hevc, Pace::RealTime, 80);
}

#[test]
fn carries_audio_only() {
    carries(Clip::AudioOnly, Pace::RealTime, 100);
}

#[test]
fn carries_video_only() {
    carries(Clip::VideoOnly, Pace::RealTime, 80);
}

#[test]
fn carries_access_unit_delimiters_and_parameter_sets_in_band() {
    carries(Clip::InBand, Pace::RealTime, 80);
}

#[test]
fn carries_a_gop_of_20_seconds() {
    carries(Clip::LongGop, Pace::Faster(4), 200);
}

#[test]
fn carries_intra_refresh() {
    carries(Clip::IntraRefresh, Pace::RealTime, 80);
}

/// Publishes [`Clip::BFrames`] with ffmpeg for one viewer that joins in the middle.
#[track_caller]
fn published_by_ffmpeg(server: &Server, clip: Clip) -> Process {
    let encoder = encoder::ffmpeg(clip.media(), Pace::RealTime, &server.rtmp_url("live/x"));
    server.wait_for_stream("live/x");
    let probe = Player::open(server.rtmp(), "live/x");
    probe.wait_for_video(60, LIMIT);
    encoder
}

#[test]
fn rtmpdump_plays() {
    let server = Server::start(&json!({}));
    let mut encoder = published_by_ffmpeg(&server, Clip::BFrames);

    let dump = Dump::rtmpdump(&server.rtmp_url("live/x"));
    encoder.wait_success(END_LIMIT);
    let (hashed, tags) = dump.finish(LIMIT);

    media::assert_same("rtmpdump", Clip::BFrames.media().framehash(), &hashed, Until::End);
    media::assert_same("rtmpdump's tags", Clip::BFrames.media().frames(), &tags, Until::End);
}

#[test]
fn gstreamer_plays() {
    let server = Server::start(&json!({}));
    let mut encoder = published_by_ffmpeg(&server, Clip::BFrames);

    let dump = Dump::gstreamer(&server.rtmp_url("live/x"));
    encoder.wait_success(END_LIMIT);
    let (hashed, tags) = dump.finish(LIMIT);

    media::assert_same("GStreamer", Clip::BFrames.media().framehash(), &hashed, Until::End);
    media::assert_same("GStreamer's tags", Clip::BFrames.media().frames(), &tags, Until::End);
}

/// Without B-frames: GStreamer's muxer clamps what lies before the first picture's presentation to zero.
#[test]
fn gstreamer_publishes() {
    let server = Server::start(&json!({}));
    let media = Clip::InOrder.media();
    let url = server.rtmp_url("live/x");

    let waiting = Ffmpeg::play(&Clip::InOrder.ffmpeg(), &url);
    let mut encoder = encoder::gstreamer(media, &url);
    encoder.wait_success(END_LIMIT);

    media::assert_same(
        "a viewer of GStreamer",
        media.framehash(),
        &waiting.finish(LIMIT),
        Until::End,
    );
}

#[test]
fn newer_and_older_ffmpeg_understand_each_other() {
    let server = Server::start(&json!({}));
    let media = Clip::BFrames.media();
    let url = server.rtmp_url("live/x");

    let older = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &url);
    let newer = Ffmpeg::play(&ffmpeg9(), &url);
    let mut encoder = encoder::ffmpeg_file(&ffmpeg9(), media.path(), Pace::RealTime, &url);
    encoder.wait_success(END_LIMIT);

    media::assert_same("the older ffmpeg", media.framehash(), &older.finish(LIMIT), Until::End);
    media::assert_same("the newer ffmpeg", media.framehash(), &newer.finish(LIMIT), Until::End);
}

#[test]
fn a_player_that_asks_for_it_gets_h265_in_the_older_form() {
    let server = Server::start(&json!({}));
    let media = Clip::Hevc.media();
    let mut encoder = published_by_ffmpeg(&server, Clip::Hevc);

    let plain = Player::open_as(server.rtmp(), "live/x?hevc=legacy", Dialect::Plain);
    let enhanced = Player::open_as(server.rtmp(), "live/x", Dialect::Enhanced);
    encoder.wait_success(END_LIMIT);

    for (player, expected) in [(&plain, "hvc1 (legacy)"), (&enhanced, "hvc1")] {
        player.wait_for_stream_end(LIMIT);
        media::assert_same(expected, media.frames(), &player.frames(), Until::End);
        for tag in player.tags().iter().filter(|tag| tag.kind == flv::VIDEO) {
            if let Body::Config { codec, .. } | Body::Frame { codec, .. } = tag.parse() {
                assert_eq!(codec, expected);
            }
        }
    }
}

#[test]
fn tells_a_player_the_size_and_rate_before_the_first_frame() {
    let server = Server::start(&json!({}));
    let encoder = published_by_ffmpeg(&server, Clip::BFrames);

    let player = Player::open(server.rtmp(), "live/x");
    player.first_video();

    let messages = player.client().messages().clone();
    let first_media = messages.iter().position(|message| message.kind == flv::VIDEO).unwrap();
    let metadata = messages[..first_media]
        .iter()
        .find(|message| message.kind == flv::SCRIPT)
        .expect("onMetaData");
    let values = harness::amf::read(&metadata.body).expect("AMF0");
    let fields =
        values.iter().find(|value| value.get("width").is_some()).expect("an object with a width");
    assert_eq!(fields.get("width").and_then(harness::amf::Value::as_number), Some(192.0));
    assert_eq!(fields.get("height").and_then(harness::amf::Value::as_number), Some(144.0));
    drop(encoder);
}
