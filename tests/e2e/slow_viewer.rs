//! One viewer that stops reading must cost the others nothing.

use std::time::{Duration, Instant};

use harness::clips::Clip;
use harness::media::{self, Frame, Frames, Until};
use harness::rtmp::feed::{Feed, Sent, repeated, tags};
use harness::rtmp::{Client, Message, Player, Publisher};
use harness::server::Setup;
use harness::wait;
use serde_json::json;

use crate::LIMIT;

/// What the issue allows beyond a run without the slow viewer.
const GAP_SLACK: Duration = Duration::from_millis(40);

/// One slow viewer holds the feed's packets no longer than others do; what else may grow in a few seconds is a socket's
/// buffer and the ring's newest GOP.
const GROWTH_MAX_KIB: u64 = 8 << 10;

const ACKNOWLEDGE_EVERY: u32 = 200_000;

/// The longest time without an event between two moments.
fn longest_gap(times: impl IntoIterator<Item = Instant>, from: Instant, to: Instant) -> Duration {
    let mut last = from;
    let mut longest = Duration::ZERO;
    for at in times.into_iter().filter(|at| (from..to).contains(at)).chain([to]) {
        longest = longest.max(at - last);
        last = at;
    }
    longest
}

fn gap_of_all(players: &[Player], from: Instant, to: Instant) -> Duration {
    let gaps = players.iter().map(|player| {
        let media: Vec<Message> = player.media();
        longest_gap(media.iter().map(|message| message.at), from, to)
    });
    gaps.max().expect("there are players")
}

/// The longest time from sending a byte until the acknowledgement that counts it, of acknowledgements between two moments.
fn longest_delay(
    sent: &[Sent],
    acknowledged: &[(Instant, u32)],
    from: Instant,
    to: Instant,
) -> Duration {
    let due = acknowledged.iter().filter(|(at, _)| (from..to).contains(at));
    let delays = due.filter_map(|(at, count)| {
        let cue = sent.iter().find(|cue| cue.bytes >= u64::from(*count))?;
        Some(at.saturating_duration_since(cue.at))
    });
    delays.max().expect("the publisher is acknowledged")
}

#[test]
fn a_viewer_that_stops_reading_costs_the_others_nothing_and_is_closed() {
    let server = Setup::new().config(&json!({ "fanout": { "stall_timeout": "3s" } })).start_alone();
    let cues = repeated(Clip::Heavy.media().tags(), 2);
    let source = Frames::of_tags(&tags(&cues));
    let cues_count = cues.len();
    let publisher = Publisher::open(server.rtmp(), "live/x");
    publisher.ask_for_acknowledgements(ACKNOWLEDGE_EVERY);
    let feed = Feed::start(publisher, cues);
    server.wait_for_stream("live/x");
    let healthy: Vec<Player> = (0..3).map(|_| Player::open(server.rtmp(), "live/x")).collect();
    healthy.iter().for_each(|player| player.wait_for_video(25, LIMIT));

    // A run without the slow one.
    let without = Instant::now();
    healthy[0].wait_for_video(125, LIMIT);
    let slow = Client::connect_narrow(server.rtmp(), "live").play("x");
    slow.wait_for_video(5, LIMIT);
    let memory = server.resident_kib();

    // The same with it.
    slow.client().stop_reading();
    let with = Instant::now();
    let stopped =
        server.wait_for_event("viewer.stop", LIMIT, |event| event.text("reason") == "stalled");
    let closed = Instant::now();
    let growth = server.resident_kib().saturating_sub(memory);
    feed.wait_for_cue(cues_count - 1, LIMIT);
    let sent = feed.sent();
    let publisher = feed.join();
    let acknowledged = publisher.acknowledgements();
    publisher.finish();

    let (baseline, beside) =
        (gap_of_all(&healthy, without, with), gap_of_all(&healthy, with, closed));
    assert!(
        beside <= baseline + GAP_SLACK,
        "{beside:?} beside the slow viewer, {baseline:?} without"
    );
    let ack_baseline = longest_delay(&sent, &acknowledged, without, with);
    let ack_beside = longest_delay(&sent, &acknowledged, with, closed);
    assert!(
        ack_beside <= ack_baseline + GAP_SLACK,
        "acknowledged {ack_beside:?} late, {ack_baseline:?} without"
    );
    assert!(growth <= GROWTH_MAX_KIB, "memory grew by {growth} KiB");
    let took = closed - with;
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(8)).contains(&took),
        "{stopped:?} after {took:?}"
    );
    for player in &healthy {
        player.wait_for_stream_end(LIMIT);
        media::assert_same("a healthy viewer", &source, &player.frames(), Until::End);
    }
}

#[test]
fn a_viewer_that_pauses_reading_for_a_while_goes_on_at_a_start_point() {
    let server = Setup::new()
        .config(&json!({ "fanout": { "stall_timeout": "30s", "max_lag": "2s" } }))
        .start();
    let cues = repeated(Clip::Heavy.media().tags(), 2);
    let source = Frames::of_tags(&tags(&cues));
    let publisher = Publisher::open(server.rtmp(), "live/x");
    let feed = Feed::start(publisher, cues);
    server.wait_for_stream("live/x");
    let player = Client::connect_narrow(server.rtmp(), "live").play("x");
    player.wait_for_video(25, LIMIT);

    player.client().stop_reading();
    wait::pace_until(Instant::now() + Duration::from_secs(6));
    player.client().resume_reading();
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    // Runs of frames, each whole and each from a key frame, the last one to the end.
    let seen = player.frames();
    let source = Frames { video: source.video, audio: Vec::new() };
    let runs: Vec<&[Frame]> =
        seen.video.chunk_by(|before, after| after.dts_ms - before.dts_ms <= 80).collect();
    assert!(runs.len() > 1, "it has lost nothing");
    for (number, run) in runs.iter().enumerate() {
        let until = if number + 1 == runs.len() { Until::End } else { Until::Cut };
        let run = Frames { video: run.to_vec(), audio: Vec::new() };
        media::assert_same(&format!("run {number} of {}", runs.len()), &source, &run, until);
    }
}
