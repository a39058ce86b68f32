//! Encoders that leave, come back, freeze, fight for a name, or lose their clock; the viewer lives on.

use std::time::{Duration, Instant};

use harness::clips::{Clip, Media};
use harness::encoder::{self, Pace};
use harness::media::{self, Frames, Track, Until};
use harness::rtmp::feed::{Cue, Feed, cut, followed_by, in_real_time, repeated, restamped, tags};
use harness::rtmp::{Message, Player, Publisher};
use harness::server::Server;
use harness::viewer::{self, Ffmpeg};
use harness::wait;
use serde_json::json;

use crate::{LIMIT, feed};

/// What a viewer may be without beyond the outage itself.
const SLACK: Duration = Duration::from_millis(100);

/// Longer than any frame interval or tolerated repair, in ms.
const STEP_MAX_MS: i64 = 120;

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a short time")
}

/// The longest time between two arrivals.
fn longest_gap(messages: &[Message]) -> Duration {
    messages.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
}

/// Checks what a viewer saw across a change from `old` to `new`: all of the new one from a start point, on a timeline that
/// rises and has no gap beyond the outage.
#[track_caller]
fn assert_crossed(player: &Player, old: &Frames, new: &Frames, outage: Duration) {
    let seen = player.frames();
    let before = media::assert_same("the first encoder", old, &seen.that_are_in(old), Until::Cut);
    let after = media::assert_same("the second encoder", new, &seen.that_are_in(new), Until::End);
    assert!(before.first_video.is_some() && after.first_video.is_some());
    let known = seen.that_are_in(old).video.len() + seen.that_are_in(new).video.len();
    assert_eq!(known, seen.video.len(), "frames of neither encoder");
    media::assert_smooth("across the change", &seen, millis(outage + SLACK));
    let gap = longest_gap(&player.media());
    assert!(gap <= outage + SLACK, "{gap:?} without media, {outage:?} without an encoder");
}

/// Publishes 3 s of one clip, loses the link, and publishes another after `outage`. Returns how long there was nothing.
#[track_caller]
fn lose_the_link(server: &Server, outage: Duration) -> (Feed, Duration) {
    let first = feed(server, "live/x", in_real_time(&cut(Clip::BFrames.media().tags(), 3000)));
    let publisher = first.join();
    let lost = Instant::now();
    publisher.hang_up();
    wait::pace_until(lost + outage);
    let publisher = Publisher::open(server.rtmp(), "live/x");
    let feed = Feed::start(publisher, in_real_time(&cut(Clip::Wide.media().tags(), 3000)));
    feed.wait_for_cue(0, LIMIT);
    let lasted = feed.sent()[0].at - lost;
    (feed, lasted)
}

fn first_3_s(media: &Media) -> Frames {
    Frames::of_tags(&cut(media.tags(), 3000))
}

#[test]
fn a_viewer_stays_while_the_encoder_reconnects() {
    let server = Server::start(&json!({}));
    let player = Player::open(server.rtmp(), "live/x");
    let mut ffmpeg = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &server.rtmp_url("live/x"));

    let (feed, outage) = lose_the_link(&server, Duration::from_secs(2));
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert_crossed(
        &player,
        &first_3_s(Clip::BFrames.media()),
        &first_3_s(Clip::Wide.media()),
        outage,
    );
    ffmpeg.process().wait_success(LIMIT);
    let frames = ffmpeg.frames();
    media::assert_smooth("ffmpeg", &frames, millis(outage + SLACK));
    assert!(frames.video.len() > 100, "ffmpeg has {} frames of 150", frames.video.len());
}

#[test]
fn a_viewer_stays_while_the_encoder_is_away_for_longer_than_the_window() {
    let server = Server::start(&json!({ "publish": { "republish_window": "500ms" } }));
    let player = Player::open(server.rtmp(), "live/x");
    let mut ffmpeg = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &server.rtmp_url("live/x"));

    let (feed, outage) = lose_the_link(&server, Duration::from_secs(3));
    let viewers = server.events("viewer.stop");
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    let reasons: Vec<_> = viewers.iter().map(|event| event.text("reason")).collect();
    assert_eq!(reasons, ["lost"; 2], "the first stream is not over, or a viewer was not there");
    assert_crossed(
        &player,
        &first_3_s(Clip::BFrames.media()),
        &first_3_s(Clip::Wide.media()),
        outage,
    );
    ffmpeg.process().wait_success(LIMIT);
    let frames = ffmpeg.frames();
    media::assert_smooth("ffmpeg", &frames, millis(outage + SLACK));
    assert!(frames.video.len() > 100, "ffmpeg has {} frames of 150", frames.video.len());
}

#[test]
fn a_viewer_is_told_when_the_encoder_stays_away_and_the_name_is_free_again() {
    let server = Server::start(&json!({
        "publish": { "republish_window": "1s" },
        "subscribe": { "wait_timeout": "2s" },
    }));
    let first = feed(&server, "live/x", in_real_time(&cut(Clip::BFrames.media().tags(), 2000)));
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(25, LIMIT);
    first.join().hang_up();
    let lost = Instant::now();
    player.wait_for_stream_end(LIMIT);
    let told_after = lost.elapsed();

    let cues = in_real_time(&cut(Clip::Wide.media().tags(), 3000));
    let source = Frames::of_tags(&tags(&cues));
    let second = feed(&server, "live/x", cues);
    let player = Player::open(server.rtmp(), "live/x");
    second.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert!(
        (Duration::from_millis(2800)..Duration::from_secs(5)).contains(&told_after),
        "told after {told_after:?}"
    );
    media::assert_same("the next viewer", &source, &player.frames(), Until::End);
}

#[test]
fn an_encoder_that_hangs_is_taken_over_at_once_by_itself() {
    let server = Server::start(&json!({}));
    let url = server.rtmp_url("live/x");
    let mut frozen = encoder::ffmpeg(Clip::BFrames.media(), Pace::RealTime, &url);
    server.wait_for_stream("live/x");
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(50, LIMIT);

    viewer::freeze(&mut frozen);
    let hung = Instant::now();
    // The same address and key: the same encoder, which has lost its link and does not know.
    let publisher = Publisher::open(server.rtmp(), "live/x");
    let accepted_after = hung.elapsed();
    let feed = Feed::start(publisher, in_real_time(&cut(Clip::Wide.media().tags(), 3000)));
    feed.wait_for_cue(0, LIMIT);
    let outage = hung.elapsed();
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert!(accepted_after < Duration::from_secs(1), "accepted after {accepted_after:?}");
    assert_crossed(&player, Clip::BFrames.media().frames(), &first_3_s(Clip::Wide.media()), outage);
    viewer::thaw(&mut frozen);
    let status = frozen.wait(LIMIT);
    assert!(!status.success(), "the encoder that was replaced goes on");
}

#[test]
fn another_encoder_takes_over_only_after_2_s_of_silence() {
    let server = Server::start(&json!({}));
    let url = server.rtmp_url("live/x");
    let mut frozen =
        encoder::ffmpeg(Clip::BFrames.media(), Pace::RealTime, &format!("{url}?key=one"));
    server.wait_for_stream("live/x");
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(50, LIMIT);

    let refused =
        Publisher::try_open(server.rtmp(), "live/x?key=two").expect_err("the first one is alive");
    viewer::freeze(&mut frozen);
    let hung = Instant::now();
    let publisher = wait::until("the take-over", Duration::from_secs(6), || {
        Publisher::try_open(server.rtmp(), "live/x?key=two").ok()
    });
    let accepted_after = hung.elapsed();
    let feed = Feed::start(publisher, in_real_time(&cut(Clip::Wide.media().tags(), 3000)));
    feed.wait_for_cue(0, LIMIT);
    let outage = hung.elapsed();
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert_eq!(refused.code, "NetStream.Publish.BadName", "{refused:?}");
    let expected = Duration::from_millis(1800)..Duration::from_millis(3500);
    assert!(expected.contains(&accepted_after), "accepted after {accepted_after:?}");
    assert_crossed(&player, Clip::BFrames.media().frames(), &first_3_s(Clip::Wide.media()), outage);
}

#[test]
fn a_refused_encoder_disturbs_nobody() {
    let server = Server::start(&json!({ "publish": { "on_conflict": "refuse" } }));
    let cues = in_real_time(&cut(Clip::BFrames.media().tags(), 4000));
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues);
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(25, LIMIT);

    let refusals: Vec<String> = (0..3)
        .map(|_| Publisher::try_open(server.rtmp(), "live/x").expect_err("the name is taken"))
        .map(|refusal| refusal.code)
        .collect();
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    assert_eq!(refusals, ["NetStream.Publish.BadName"; 3]);
    media::assert_same("the viewer", &source, &player.frames(), Until::End);
    media::assert_smooth("the viewer", &player.frames(), STEP_MAX_MS);
}

#[test]
fn an_empty_name_is_refused_with_a_reason() {
    let server = Server::start(&json!({}));

    let refusal = Publisher::try_open(server.rtmp(), "live/").expect_err("a stream needs a name");

    assert_eq!(refusal.code, "NetStream.Publish.BadName");
    assert!(!refusal.description.is_empty());
}

/// Publishes 6 s whose stamps jump by `jump_ms` after 2 s and back after 4 s.
fn jumping(jump_ms: u32) -> Vec<Cue> {
    let tags = Clip::BFrames.media().tags();
    // Far from zero, so that a jump back has room.
    let base = 7_200_000;
    restamped(in_real_time(tags), |ms| {
        let jumped = (2000..4000).contains(&ms);
        (base + ms).wrapping_add(if jumped { jump_ms } else { 0 })
    })
}

/// The viewer gets every frame, on a timeline without the jump, audio where it belongs.
#[track_caller]
fn mends_a_jump_of(jump_ms: i32) {
    let server = Server::start(&json!({}));
    let media = Clip::BFrames.media();
    let player = Player::open(server.rtmp(), "live/x");
    let mut ffmpeg = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &server.rtmp_url("live/x"));

    let cues = jumping(jump_ms.cast_unsigned());
    feed(&server, "live/x", cues).join().finish();
    player.wait_for_stream_end(LIMIT);
    ffmpeg.process().wait_success(LIMIT);

    let seen = player.frames();
    media::assert_smooth("across the jumps", &seen, STEP_MAX_MS);
    media::assert_smooth("ffmpeg across the jumps", &ffmpeg.frames(), STEP_MAX_MS);
    for track in [Track::Video, Track::Audio] {
        let (all, seen) = (media.frames().contents(track), seen.contents(track));
        let missing = all.len() - seen.len();
        assert_eq!(seen, all[missing..], "{track:?} frames are missing");
        assert!(missing < 30, "{missing} {track:?} frames before the join");
    }
    assert!(longest_gap(&player.media()) < Duration::from_millis(500), "the viewer stood still");
    assert_audio_stays_with_video(media.frames(), &seen);
}

/// The distance between the last audio and the last video frame is the source's, but for the repairs of two jumps.
#[track_caller]
fn assert_audio_stays_with_video(source: &Frames, seen: &Frames) {
    let distance = |frames: &Frames| {
        let last = |track| frames.track(track).last().expect("frames of both tracks").dts_ms;
        last(Track::Audio) - last(Track::Video)
    };
    let drift = distance(seen) - distance(source);
    assert!(drift.abs() <= 80, "audio has drifted by {drift} ms against video");
}

#[test]
fn stamps_that_jump_an_hour_ahead_and_back_are_mended() {
    mends_a_jump_of(3_600_000);
}

#[test]
fn stamps_that_jump_an_hour_back_and_ahead_are_mended() {
    mends_a_jump_of(-3_600_000);
}

#[test]
fn an_encoder_that_starts_its_stamps_anew_on_one_connection_is_followed() {
    let server = Server::start(&json!({}));
    let once = in_real_time(&cut(Clip::BFrames.media().tags(), 3000));
    let mut cues = followed_by(once.clone(), in_real_time(&cut(Clip::Wide.media().tags(), 3000)));
    let seam = once.len();
    let length = cues[seam].tag.time_ms;
    for cue in &mut cues[seam..] {
        cue.tag.time_ms -= length;
    }
    let player = Player::open(server.rtmp(), "live/x");

    feed(&server, "live/x", cues).join().finish();
    player.wait_for_stream_end(LIMIT);

    let seen = player.frames();
    media::assert_smooth("across the restart", &seen, STEP_MAX_MS);
    let wide = first_3_s(Clip::Wide.media());
    assert_eq!(seen.that_are_in(&wide).contents(Track::Video), wide.contents(Track::Video));
}

#[test]
fn a_publisher_that_falls_silent_is_closed_and_its_viewers_wait() {
    let server = Server::start(&json!({ "publish": { "timeout": "2s" } }));
    let publisher =
        feed(&server, "live/x", in_real_time(&cut(Clip::BFrames.media().tags(), 1000))).join();
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(20, LIMIT);

    publisher.client().wait_for_end(Duration::from_secs(6));
    server.wait_for_event("stream.stop", LIMIT, |event| event.text("reason") == "timeout");
    let second = feed(&server, "live/x", repeated(Clip::Wide.media().tags(), 1));
    player.wait_for_video(60, LIMIT);

    assert_eq!(player.client().end(), None, "the viewer was closed as well");
    second.stop().finish();
}
