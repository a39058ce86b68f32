//! Every refusal, and what happens at each bound.

use plugin_api::mem::Pool;

use super::*;

const PEER: &str = "10.0.0.1:1";

#[test]
fn refuses_bad_keys_and_wrong_rights() {
    let bench = Bench::new();
    let cases = [
        ("", Status::Invalid),
        ("live", Status::Invalid),
        ("live/../etc", Status::Invalid),
        ("live/a?key=wrong", Status::Denied),
    ];
    for (url, status) in cases {
        assert_eq!(bench.try_publish(url, PEER).unwrap_err().status, status, "{url}");
        let play = bench.try_subscribe(url, ReadOptions::default()).unwrap_err();
        assert_eq!(play.status, status, "{url}");
    }
    assert!(bench.hub.registry.all().is_empty());
}

#[test]
fn readers_of_the_host_skip_the_rules() {
    let bench = Bench::new();
    let _publisher = bench.publish("live/a");
    let request = SubscribeRequest {
        url: "live/a?key=wrong".to_owned(),
        skip_auth: true,
        ..Default::default()
    };

    assert!(expect_ready(bench.hub.subscribe(request)).is_ok());
}

#[test]
fn requests_are_shown_without_their_arguments() {
    let publish = PublishRequest { url: "live/a?key=marker".to_owned(), ..Default::default() };
    let play = SubscribeRequest { url: "live/a?token=marker".to_owned(), ..Default::default() };

    let shown = format!("{publish:?} {play:?}");

    assert!(shown.contains("live/a") && !shown.contains("marker"), "{shown}");
}

#[test]
fn publishers_are_limited_and_a_takeover_needs_no_place() {
    let bench = Bench::with(Settings { max_publishers: 1, ..Default::default() });
    let first = bench.publish("live/a");

    assert_eq!(bench.try_publish("live/b", PEER).unwrap_err().status, Status::Limit);
    assert_eq!(bench.hub.registry.all().len(), 1);
    let second = bench.publish("live/a");
    assert_eq!(notice(&first), Some(Notice::Ended(Reason::Replaced)));
    second.finish();
    assert!(bench.try_publish("live/b", PEER).is_ok());
}

#[test]
fn players_are_limited_per_stream_and_server_and_other_kinds_are_not() {
    let settings = Settings { max_viewers_per_stream: 2, max_viewers: 3, ..Default::default() };
    let bench = Bench::with(settings);
    let (_a, _b) = (bench.publish("live/a"), bench.publish("live/b"));
    let _first = bench.play("live/a");
    let second = bench.play("live/a");
    let full = bench.try_subscribe("live/a", ReadOptions::default()).unwrap_err();
    assert_eq!(full.status, Status::Limit);
    let _third = bench.play("live/b");

    let server_full = bench.try_subscribe("live/b", ReadOptions::default()).unwrap_err();
    assert_eq!(server_full.status, Status::Limit);
    let recorder = ReadOptions { kind: ReaderKind::Recorder, ..Default::default() };
    assert!(bench.try_subscribe("live/a", recorder).is_ok());
    drop(second);
    assert!(bench.try_subscribe("live/b", ReadOptions::default()).is_ok());
}

#[test]
fn tracks_are_checked() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", PEER).unwrap();
    let many = (0..65).map(|id| Track::new(id, TrackKind::Data, FourCc::AAC)).collect();

    assert_eq!(publisher.set_tracks(many).unwrap_err().status, Status::Invalid);
    assert_eq!(publisher.set_tracks(vec![video(1), video(2)]).unwrap_err().status, Status::Invalid);
}

#[test]
fn shapes_without_end_stay_within_the_ring() {
    let ring = RingSettings { max_bytes: 100_000, ..RingSettings::default() };
    let bench = Bench::with(Settings { ring, ..Default::default() });
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    for number in 2..10_000 {
        publisher.set_tracks(vec![video(number)]).unwrap();
        let held = bench.info("live/a").unwrap().ring_bytes;
        assert!(held <= 110_000, "{held} bytes after {number} shapes");
    }
    publisher.push(&[key(40)]);

    assert_eq!(drain(&mut reader), ["shape 1", "key 40"]);
}

#[test]
fn frames_of_unknown_tracks_or_before_any_are_dropped_and_counted() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", PEER).unwrap();
    assert_eq!(publisher.push(&[key(0)]), Pushed::Dropped);
    publisher.set_tracks(vec![video(1)]).unwrap();

    assert_eq!(publisher.push(&[audio(0)]), Pushed::Dropped);
    assert_eq!(publisher.push(&[audio(20), key(40)]), Pushed::Ok);
    assert_eq!(bench.info("live/a").unwrap().dropped_frames, 3);
}

#[test]
fn after_a_loss_video_goes_on_at_its_next_keyframe() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0), delta(40)]);
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    publisher.on_loss();
    publisher.push(&[delta(120), audio(130), delta(160), key(200), delta(240)]);

    assert_eq!(drain(&mut reader), ["audio 130", "key 200", "delta 240"]);
}

#[test]
fn near_the_memory_limit_rings_shed_and_new_streams_are_refused() {
    let account = Account::new(1_000_000);
    let pool = Pool::new(Arc::clone(&account));
    let bench = Bench::with_memory(Settings::default(), Arc::clone(&account));
    let publisher = bench.publish("live/a");
    let filled = |ms: i64, is_key: bool| Frame {
        payload: pool.copy(&[&[0; 10_000]]).unwrap().into(),
        ..frame(VIDEO, ms * NS_PER_MS, is_key)
    };
    for n in 0..20 {
        publisher.push(&[filled(n * 40, n % 5 == 0)]);
    }
    assert!(account.used() > 200_000);

    let other = pool.alloc(705_000).unwrap();
    bench.hub.tick();
    assert!(account.used() < 760_000, "history is gone: {}", account.used());
    assert_eq!(frames(&mut bench.play("live/a")).len(), 5, "the newest GOP is not");

    let more = pool.alloc(160_000).unwrap();
    assert_eq!(bench.try_publish("live/b", PEER).unwrap_err().status, Status::Limit);
    assert!(bench.try_publish("live/a", PEER).is_ok(), "who is there may come back");
    drop((other, more));
    assert!(bench.try_publish("live/b", PEER).is_ok());
}

#[test]
fn at_the_memory_limit_even_the_newest_gop_is_given_up() {
    let account = Account::new(1_000_000);
    let pool = Pool::new(Arc::clone(&account));
    let bench = Bench::with_memory(Settings::default(), Arc::clone(&account));
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    for n in 1..100 {
        publisher.push(&[delta(n * 40)]);
        bench.pass(40);
    }
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    let _other = pool.alloc(980_000).unwrap();
    publisher.push(&[delta(4000)]);

    assert!(bench.info("live/a").unwrap().gop_exceeds_ring);
    assert_eq!(drain(&mut reader), ["delta 4000"], "readers that keep up lose nothing");
}
