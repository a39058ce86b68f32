//! Where a viewer begins, and what it is told there.

use std::time::Duration;

use harness::clips::Clip;
use harness::flv::{self, Body, Tag};
use harness::media::{self, Frames, Track, Until};
use harness::rtmp::Player;
use harness::rtmp::feed::{
    cue_of_video, cut, followed_by, in_real_time, repeated, restamped, tags,
};
use harness::server::{Server, Setup};
use harness::wait;
use serde_json::json;

use crate::{LIMIT, feed};

/// What the issue promises for the first picture.
const FIRST_PICTURE_LIMIT: Duration = Duration::from_millis(200);

#[test]
fn the_first_picture_is_an_older_start_point_and_comes_within_200_ms() {
    let server = Setup::new().start_alone();
    let cues = repeated(Clip::BFrames.media().tags(), 2);
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues.clone());

    // Frame 35 is far from the key frames 25 and 50, and so on: waiting for the next one would take over half a second.
    for frame in [35, 60, 85, 110] {
        feed.wait_for_cue(cue_of_video(&cues, frame), LIMIT);
        let player = Player::open(server.rtmp(), "live/x");
        let first = player.first_video();

        let took = first.at - player.asked();
        assert!(took <= FIRST_PICTURE_LIMIT, "the first picture took {took:?}");
        assert!(first.tag().is_key_frame());
        let joined = media::assert_same("the viewer", &source, &player.frames(), Until::Cut);
        let begins_at = cue_of_video(&cues, joined.first_video.expect("video"));
        assert!(feed.sent()[begins_at].at < player.asked(), "it waited for a new start point");
    }
    feed.stop().finish();
}

/// Two pictures sizes on one connection, as when an encoder is switched over: 2 s of the first, 4 s of the second.
fn switched() -> Vec<harness::rtmp::feed::Cue> {
    let narrow = in_real_time(&cut(Clip::BFrames.media().tags(), 2000));
    let wide = in_real_time(&cut(Clip::Wide.media().tags(), 4000));
    followed_by(narrow, wide)
}

fn video_config(tags: &[Tag]) -> Vec<u8> {
    let configs =
        tags.iter().filter(|tag| tag.kind == flv::VIDEO).find_map(|tag| match tag.parse() {
            Body::Config { config, .. } => Some(config.to_vec()),
            _ => None,
        });
    configs.expect("a decoder configuration")
}

#[test]
fn a_viewer_sees_a_new_picture_size_before_its_first_frame() {
    let server = Server::start(&json!({}));
    let cues = switched();
    let source = Frames::of_tags(&tags(&cues));
    let wide = Clip::Wide.media();
    let feed = feed(&server, "live/x", cues);
    let player = Player::open(server.rtmp(), "live/x");
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    media::assert_same("the viewer", &source, &player.frames(), Until::End);
    let tags = player.tags();
    let is_wide = |tag: &Tag| match tag.parse() {
        Body::Frame { payload, .. } => {
            wide.frames().video.iter().any(|frame| frame.content == media::content(payload))
        }
        _ => false,
    };
    let first_wide =
        tags.iter().position(|tag| tag.kind == flv::VIDEO && is_wide(tag)).expect("wide frames");
    let in_force =
        tags[..first_wide].iter().rev().find(|tag| tag.kind == flv::VIDEO && tag.is_config());
    assert_eq!(
        in_force.map(|tag| video_config(std::slice::from_ref(tag))),
        Some(video_config(wide.tags()))
    );
    let last_narrow =
        tags.iter().rposition(|tag| tag.is_video_frame() && !is_wide(tag)).expect("narrow frames");
    let change =
        tags.iter().rposition(|tag| tag.kind == flv::VIDEO && tag.is_config()).expect("a change");
    assert!(
        last_narrow < change,
        "the new configuration came before the last frame of the old one"
    );
}

#[test]
fn a_late_viewer_gets_the_configuration_in_force() {
    let server = Server::start(&json!({}));
    let cues = switched();
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues.clone());
    feed.wait_for_cue(cue_of_video(&cues, 50 + 30), LIMIT);
    let player = Player::open(server.rtmp(), "live/x");
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    let joined = media::assert_same("the late viewer", &source, &player.frames(), Until::End);
    assert!(joined.first_video.is_some_and(|first| first >= 50), "{joined:?}");
    assert_eq!(video_config(&player.tags()), video_config(Clip::Wide.media().tags()));
}

#[test]
fn audio_that_appears_late_reaches_early_and_late_viewers() {
    let server = Server::start(&json!({}));
    let audio_from = 3000;
    let mut cues = in_real_time(Clip::BFrames.media().tags());
    for cue in &mut cues {
        // The audio's configuration comes with its first frame, as from an encoder whose microphone was off.
        if cue.tag.kind == flv::AUDIO && cue.tag.is_config() {
            cue.due = Duration::from_millis(audio_from);
            cue.tag.time_ms = 3000;
        }
    }
    cues.retain(|cue| cue.tag.kind != flv::AUDIO || cue.due >= Duration::from_millis(audio_from));
    cues.sort_by_key(|cue| cue.due);
    let source = Frames::of_tags(&tags(&cues));

    let feed = feed(&server, "live/x", cues.clone());
    let early = Player::open(server.rtmp(), "live/x");
    feed.wait_for_cue(cue_of_video(&cues, 110), LIMIT);
    let late = Player::open(server.rtmp(), "live/x");
    feed.join().finish();

    for (name, player) in [("the early viewer", &early), ("the late viewer", &late)] {
        player.wait_for_stream_end(LIMIT);
        let joined = media::assert_same(name, &source, &player.frames(), Until::End);
        assert!(joined.first_audio.is_some(), "{name} hears nothing");
        let tags = player.tags();
        let config = tags.iter().position(|tag| tag.kind == flv::AUDIO && tag.is_config());
        let first = tags.iter().position(|tag| tag.kind == flv::AUDIO && tag.is_frame());
        assert!(config.is_some() && config < first, "{name}: audio before its configuration");
    }
}

/// Publishes with stamps that begin at `first_ms`; one viewer is there from the start, one joins 3 s later.
#[track_caller]
fn carries_stamps_from(first_ms: u32) {
    let server = Server::start(&json!({}));
    let cues =
        restamped(in_real_time(Clip::BFrames.media().tags()), |ms| ms.wrapping_add(first_ms));
    let source = Frames::of_tags(&tags(&cues));

    let feed = feed(&server, "live/x", cues.clone());
    let early = Player::open(server.rtmp(), "live/x");
    feed.wait_for_cue(cue_of_video(&cues, 85), LIMIT);
    let late = Player::open(server.rtmp(), "live/x");
    feed.join().finish();

    for (name, player) in [("the early viewer", &early), ("the late viewer", &late)] {
        player.wait_for_stream_end(LIMIT);
        media::assert_same(name, &source, &player.frames(), Until::End);
        assert_eq!(player.client().end().filter(|end| *end != harness::rtmp::End::Closed), None);
    }
}

const HOUR_MS: u32 = 3_600_000;

#[test]
fn carries_stamps_of_a_stream_5_hours_old() {
    carries_stamps_from(5 * HOUR_MS);
}

#[test]
fn carries_stamps_across_24_9_days() {
    // 2 s before the 31st bit.
    carries_stamps_from((1 << 31) - 2000);
}

#[test]
fn carries_stamps_across_49_8_days() {
    // 2 s before 32 bits are used up.
    carries_stamps_from(0u32.wrapping_sub(2000));
}

#[test]
fn a_paused_viewer_gets_nothing_and_resumes_at_a_start_point() {
    let server = Server::start(&json!({}));
    let cues = repeated(Clip::BFrames.media().tags(), 2);
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues);
    let mut player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(40, LIMIT);
    let before = media::assert_same("before the pause", &source, &player.frames(), Until::Cut);

    let asked = player.pause(true, player.tags().last().map_or(0, |tag| tag.time_ms));
    player.client().wait_for_status(asked, |code| code == "NetStream.Pause.Notify");
    let paused = player.client().messages().len();
    let stray = wait::try_until(Duration::from_millis(1500), || {
        player.media_from(paused).into_iter().next()
    });
    assert!(stray.is_none(), "media in the pause: {stray:?}");
    let resumed = player.pause(false, 0);
    player.client().wait_for_status(resumed, |code| code == "NetStream.Unpause.Notify");
    let first = player.first_video_from(resumed);
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert!(first.tag().is_key_frame());
    let after = Frames::of_tags(
        &player.media_from(resumed).iter().map(|message| message.tag()).collect::<Vec<_>>(),
    );
    let after = media::assert_same("after the pause", &source, &after, Until::End);
    assert_eq!(after.offset_ms, before.offset_ms, "the viewer's clock has moved");
    assert!(after.first_video > before.first_video);
}

#[test]
fn a_second_play_on_the_same_connection_shows_the_other_stream() {
    let server = Server::start(&json!({}));
    let narrow = repeated(Clip::BFrames.media().tags(), 2);
    let wide = repeated(Clip::Wide.media().tags(), 2);
    let wide_source = Frames::of_tags(&tags(&wide));
    let narrow_source = Frames::of_tags(&tags(&narrow));
    let first = feed(&server, "live/narrow", narrow);
    let second = feed(&server, "live/wide", wide);
    let mut player = Player::open(server.rtmp(), "live/narrow");
    player.wait_for_video(30, LIMIT);

    player.play_instead("wide");
    player.wait_for_video(30, LIMIT);
    media::assert_same("the second play", &wide_source, &player.frames(), Until::Cut);

    player.play_anew("narrow");
    player.wait_for_video(30, LIMIT);
    media::assert_same("the third play", &narrow_source, &player.frames(), Until::Cut);

    assert_eq!(player.client().end(), None);
    assert!(!player.frames().contents(Track::Audio).is_empty());
    first.stop().finish();
    second.stop().finish();
}

#[test]
fn a_viewer_waits_for_a_stream_that_comes_and_is_refused_one_that_does_not() {
    let server = Server::start(&json!({ "subscribe": { "wait_timeout": "3s" } }));
    let refused = Player::open(server.rtmp(), "live/never");
    let waiting = Player::open(server.rtmp(), "live/x");

    let cues = in_real_time(&cut(Clip::BFrames.media().tags(), 3000));
    let source = Frames::of_tags(&tags(&cues));
    feed(&server, "live/x", cues).join().finish();
    waiting.wait_for_stream_end(LIMIT);

    media::assert_same("the viewer that waited", &source, &waiting.frames(), Until::End);
    let status = refused.client().wait_for_status(0, |code| code.starts_with("NetStream.Play."));
    assert_eq!(status.code, "NetStream.Play.StreamNotFound", "{status:?}");
}
