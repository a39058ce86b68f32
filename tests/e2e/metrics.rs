//! The metrics page of a running server: its form, its names, its bounds.

use std::collections::BTreeMap;

use harness::artifacts::plugin_library;
use harness::clips::Clip;
use harness::live::Live;
use harness::rtmp::feed::{Feed, repeated};
use harness::rtmp::{Player, Publisher};
use harness::server::{Server, Setup};
use harness::tls::Certificate;
use harness::{http, metrics, wait};
use serde_json::json;
use tempfile::TempDir;

use crate::{LIMIT, feed};

/// Streams with series of their own.
const STREAMS_MAX: usize = 2;

fn page(server: &Server) -> BTreeMap<String, metrics::Family> {
    let answer = http::get(server.address("http"), "/api/metrics", None);
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("application/openmetrics-text; version=1.0.0"),
        "{content_type}"
    );
    metrics::parse(&answer.text()).unwrap_or_else(|wrong| panic!("{wrong}\n{}", answer.text()))
}

/// One sample of a page.
#[track_caller]
fn value(page: &BTreeMap<String, metrics::Family>, series: &str) -> f64 {
    let found = page.values().find_map(|family| family.samples.get(series));
    *found.unwrap_or_else(|| panic!("no {series} in {page:#?}"))
}

#[test]
fn streams_above_the_bound_are_added_up_and_nothing_counts_down() {
    let certificate = Certificate::new(30);
    let logs = TempDir::new().expect("the temporary folder is writable");
    let server = Setup::new()
        .plugin(&plugin_library("flv"))
        .config(&json!({
            "metrics": { "max_streams": STREAMS_MAX },
            "tls": { "site": certificate.profile() },
            "http": { "https_listen": "127.0.0.1:0", "tls": "site" },
            "log": { "dir": logs.path() },
        }))
        .start();
    let cues = || repeated(Clip::BFrames.media().tags(), 4);
    let feeds = ["live/a", "live/b", "live/c", "live/d"].map(|key| feed(&server, key, cues()));
    let player = Player::open(server.rtmp(), "live/a");
    player.wait_for_video(20, LIMIT);

    // Requests are counted once they are answered: the first page has none.
    page(&server);
    let before = page(&server);

    let series = &before["plugcast_stream_frames"].samples;
    assert_eq!(series.len(), STREAMS_MAX + 1, "{series:?}");
    assert!(series.contains_key("plugcast_stream_frames_total{stream=\"(others)\"}"), "{series:?}");
    assert_eq!(value(&before, "plugcast_streams"), 4.0);
    assert_eq!(value(&before, "plugcast_viewers"), 1.0);
    let documented = include_str!("../../docs/metrics.md");
    for (name, family) in &before {
        let sample = family.samples.keys().next().unwrap_or_else(|| panic!("{name} is empty"));
        let queried = sample.split('{').next().unwrap_or_default();
        assert!(documented.contains(&format!("| `{queried}` |")), "{queried} is not documented");
    }
    for line in documented.lines().filter_map(|line| line.strip_prefix("| `")) {
        let queried = line.split('`').next().unwrap_or_default();
        let is_there = before.values().any(|family| {
            family.samples.keys().any(|sample| sample.split('{').next() == Some(queried))
        });
        assert!(is_there, "{queried} is documented and not there");
    }

    let free = &before["plugcast_disk_free_bytes"].samples;
    for folder in ["server.data_dir", "log.dir"] {
        let series = format!("plugcast_disk_free_bytes{{folder=\"{folder}\"}}");
        assert!(free.get(&series).is_some_and(|bytes| *bytes > 0.0), "{folder} in {free:?}");
    }

    let sent = |page: &BTreeMap<String, metrics::Family>| -> f64 {
        page["plugcast_stream_sent_bytes"].samples.values().sum()
    };
    drop(player);
    let after = wait::until("the viewer to leave", LIMIT, || {
        let page = page(&server);
        (value(&page, "plugcast_viewers") == 0.0).then_some(page)
    });
    assert!(
        sent(&before) > 0.0 && sent(&after) >= sent(&before),
        "{} {}",
        sent(&before),
        sent(&after)
    );
    for (name, family) in before.iter().filter(|(_, family)| family.kind == "counter") {
        for (series, value) in &family.samples {
            let now = after[name].samples.get(series);
            assert!(now.is_none_or(|now| now >= value), "{series} was {value} and is {now:?}");
        }
    }
    drop(feeds);
}

/// Of each protocol.
const VIEWERS: usize = 20;

/// Wake-ups of a thread that no frame asked for: sockets that say something, and the look for stalled viewers.
const OTHER_WAKE_UPS: f64 = 20.0;

/// The sum of a family's series.
fn sum(page: &BTreeMap<String, metrics::Family>, family: &str) -> f64 {
    page.get(family).map_or(0.0, |family| family.samples.values().sum())
}

#[test]
fn a_frame_is_packaged_once_a_format_and_wakes_each_thread_once() {
    let server = Setup::new().plugin(&plugin_library("flv")).start_alone();
    let mut first = repeated(Clip::BFrames.media().tags(), 2);
    let mut second = first.split_off(first.len() / 2);
    let begin = second.iter().map(|cue| cue.due).min().unwrap_or_default();
    second.iter_mut().for_each(|cue| cue.due -= begin);
    let video = |cues: &[harness::rtmp::feed::Cue]| {
        cues.iter().filter(|cue| cue.tag.is_video_frame()).count()
    };
    let (before_pause, in_all) = (video(&first), video(&first) + video(&second));

    let publisher = Publisher::open(server.rtmp(), "live/a");
    let players: Vec<_> = (0..VIEWERS).map(|_| Player::open(server.rtmp(), "live/a")).collect();
    let lives: Vec<_> =
        (0..VIEWERS).map(|_| Live::http(server.address("http"), "/flv/live/a.flv")).collect();
    let all_have = |frames: usize| {
        players.iter().for_each(|player| player.wait_for_video(frames, LIMIT));
        for live in &lives {
            wait::until("the frames by FLV", LIMIT, || {
                let tags = live.tags();
                (tags.iter().filter(|tag| tag.is_video_frame()).count() >= frames).then_some(())
            });
        }
    };
    let publisher = Feed::start(publisher, first).join();
    all_have(before_pause);
    let before = page(&server);
    let feed = Feed::start(publisher, second);
    all_have(in_all);

    let grown = |page: &_, family| sum(page, family) - sum(&before, family);
    let viewers = f64::from(u32::try_from(VIEWERS).expect("a small number"));
    // Counted when the kernel has taken them, which a viewer may be ahead of.
    let after = wait::until("as many bytes sent as made for each viewer", LIMIT, || {
        let page = page(&server);
        let (made, sent) =
            (grown(&page, "plugcast_feed_bytes"), grown(&page, "plugcast_stream_sent_bytes"));
        (made > 0.0 && sent == viewers * made).then_some(page)
    });
    let frames = grown(&after, "plugcast_stream_frames");
    for format in after["plugcast_feed_packager_runs"].samples.keys() {
        let runs = value(&after, format) - value(&before, format);
        assert!(runs > 0.0 && runs <= frames, "{format}: {runs} for {frames} frames");
    }
    let threads = &after["plugcast_fanout_wake_ups"].samples;
    let formats = 2.0;
    for thread in threads.keys() {
        let wake_ups = value(&after, thread) - value(&before, thread);
        let due = frames * formats + OTHER_WAKE_UPS;
        assert!(wake_ups <= due, "{thread}: {wake_ups} for {frames} frames");
    }
    let loads = &after["plugcast_fanout_viewers"].samples;
    let (least, most) =
        loads.values().fold((f64::MAX, 0.0_f64), |(a, b), n| (a.min(*n), b.max(*n)));
    assert!(most <= least * 1.2, "{loads:?}");
    drop(feed);
}
