//! A publisher goes: readers stay for a while, or the stream ends.

use super::*;
use crate::hub::info::StreamState;

#[test]
fn a_publisher_that_comes_back_in_time_keeps_its_readers() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 1000);
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    drop(publisher);
    bench.pass(14_900);
    assert_eq!(bench.info("live/a").unwrap().state, StreamState::WaitingForPublisher);
    assert_eq!(drain(&mut reader), [""; 0]);
    let again = bench.publish_from("live/a", "10.9.9.9:1");
    again.push(&[key(0), delta(40)]);

    assert_eq!(
        drain(&mut reader),
        ["shape 1+2 settling again", "shape 1+2", "key 15900", "delta 15940"]
    );
}

#[test]
fn after_the_window_the_stream_ends_and_the_next_one_goes_on_with_its_time() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    let mut reader = bench.play("live/a");

    drop(publisher);
    bench.pass(15_000);

    assert_eq!(drain(&mut reader), ["shape 1+2", "key 0", "end lost"]);
    assert!(bench.info("live/a").is_none());
    assert!(bench.hub.find(&StreamKey::new("live/a").unwrap()).is_none());
    let again = bench.publish("live/a");
    again.push(&[key(5)]);
    assert_eq!(drain(&mut bench.play("live/a")), ["shape 1+2", "key 15000"]);
    assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 0);
    assert_eq!(drain(&mut reader), ["end lost"]);
}

#[test]
fn whoever_waits_for_the_next_stream_of_a_name_finds_its_time_go_on() {
    let bench = Bench::with(Settings { republish_window: Duration::ZERO, ..Default::default() });
    bench.publish("live/a").push(&[key(0)]);
    let name = StreamKey::new("live/a").unwrap();
    let mut waits = pin!(bench.hub.wait_for(&name, Some(Duration::from_secs(3600))));
    assert!(poll_once(waits.as_mut()).is_pending());

    bench.pass(1_800_000);
    let publisher = bench.publish("live/a");
    publisher.push(&[key(5)]);

    assert!(poll_once(waits.as_mut()).is_ready());
    assert_eq!(drain(&mut bench.play("live/a")), ["shape 1+2", "key 1800000"]);
}

#[test]
fn a_name_that_nobody_waits_for_begins_anew_after_a_minute() {
    let bench = Bench::with(Settings { republish_window: Duration::ZERO, ..Default::default() });
    let begins_with = |dts: &str| {
        let publisher = bench.publish("live/a");
        publisher.push(&[key(5)]);
        assert_eq!(drain(&mut bench.play("live/a")), ["shape 1+2", dts]);
    };
    begins_with("key 5");

    bench.pass(59_000);
    begins_with("key 59005");
    bench.pass(61_000);
    begins_with("key 5");
}

#[test]
fn an_orderly_end_ends_the_stream_at_once_and_loses_nothing() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");
    publisher.push(&[key(0), delta(40)]);

    publisher.finish();

    assert_eq!(drain(&mut reader), ["shape 1+2", "key 0", "delta 40", "end ended"]);
    assert_eq!(publisher.push(&[key(80)]), Pushed::Ended);
    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Asked)));
    drop(publisher);
    assert!(bench.hub.streams().is_empty());
}

#[test]
fn without_a_window_a_lost_link_ends_the_stream() {
    let bench = Bench::with(Settings { republish_window: Duration::ZERO, ..Default::default() });
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");

    drop(publisher);

    assert_eq!(drain(&mut reader), ["end lost"]);
}

#[test]
fn a_publisher_that_never_named_a_track_leaves_no_window() {
    let bench = Bench::new();

    drop(bench.try_publish("live/a", "10.0.0.1:1").unwrap());
    bench.hub.tick();

    assert!(bench.hub.streams().is_empty());
    assert!(bench.hub.registry.all().is_empty());
}

#[test]
fn a_publisher_without_data_times_out_into_the_window() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);

    bench.pass(9_900);
    assert_eq!(notice(&publisher), None);
    bench.pass(100);

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Timeout)));
    assert_eq!(bench.info("live/a").unwrap().state, StreamState::WaitingForPublisher);
    bench.pass(15_000);
    assert!(bench.info("live/a").is_none());
}

#[test]
fn only_frames_count_as_data() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    for n in 0..100 {
        publisher.push(&[]);
        _ = publisher.set_tracks(vec![video(n)]);
        bench.pass(100);
    }

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Timeout)));
}

#[test]
fn an_unwatched_publisher_is_ended_by_idle_timeout() {
    let bench =
        Bench::with(Settings { idle_timeout: Some(Duration::from_secs(5)), ..Default::default() });
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 4000);
    let reader = bench.play("live/a");
    bench.run(&publisher, 4000, 6000);
    drop(reader);
    bench.run(&publisher, 10_000, 4000);
    let packager = ReadOptions { kind: ReaderKind::Packager, ..Default::default() };
    let _packager = bench.try_subscribe("live/a", packager).unwrap();

    bench.pass(1000);

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Idle)));
    assert!(bench.info("live/a").is_none());
}

#[test]
fn delay_close_counts_from_the_last_viewer_and_may_be_the_publishers_own() {
    let bench = Bench::new();
    let request = PublishRequest {
        url: "live/a".to_owned(),
        delay_close: Some(Duration::from_secs(5)),
        ..Default::default()
    };
    let publisher = bench.hub.publish(request).unwrap();
    publisher.set_tracks(vec![video(1)]).unwrap();
    publisher.push(&[key(0)]);
    bench.pass(6000);
    assert_eq!(notice(&publisher), None);

    drop(bench.play("live/a"));
    publisher.push(&[key(6000)]);
    bench.pass(4900);
    publisher.push(&[key(10_900)]);
    bench.pass(100);

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Idle)));
}

#[test]
fn first_and_last_viewer_are_told_and_other_kinds_are_not() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let stream = Arc::clone(publisher.stream());
    let recorder = stream.add_viewer(ReaderKind::Recorder).unwrap();
    assert_eq!(notice(&publisher), None);

    let first = stream.add_viewer(ReaderKind::Player).unwrap();
    let second = bench.play("live/a");
    assert_eq!(notice(&publisher), Some(Notice::FirstReader));
    assert_eq!(notice(&publisher), None);
    let readers = bench.info("live/a").unwrap().readers;
    assert_eq!((readers.player, readers.recorder, readers.packager), (2, 1, 0));
    drop(first);
    assert_eq!(notice(&publisher), None);
    drop(second);
    assert_eq!(notice(&publisher), Some(Notice::LastReader));

    drop(stream.add_viewer(ReaderKind::Player).unwrap());
    assert_eq!(notice(&publisher), None, "came and went unseen");
    drop(recorder);
    assert_eq!(bench.info("live/a").unwrap().readers.recorder, 0);
}

#[test]
fn a_stopped_publisher_can_be_blocked_for_a_time() {
    let bench = Bench::new();
    let name = StreamKey::new("live/a").unwrap();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    bench.hub.stop_publisher(&name, Duration::from_secs(60)).unwrap();

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Stopped)));
    assert_eq!(drain(&mut reader), ["end stopped"]);
    assert_eq!(bench.try_publish("live/a", "10.0.0.1:1").unwrap_err().status, Status::Denied);
    bench.pass(60_000);
    assert!(bench.try_publish("live/a", "10.0.0.1:1").is_ok());
    let unknown = StreamKey::new("live/b").unwrap();
    assert_eq!(
        bench.hub.stop_publisher(&unknown, Duration::ZERO).unwrap_err().status,
        Status::NotFound
    );
}

#[test]
fn shutdown_ends_everything_and_refuses_what_comes() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");

    bench.hub.shutdown();

    assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Stopped)));
    assert_eq!(drain(&mut reader), ["end stopped"]);
    assert_eq!(bench.try_publish("live/b", "10.0.0.1:1").unwrap_err().status, Status::Cancelled);
    assert_eq!(
        bench.try_subscribe("live/a", ReadOptions::default()).unwrap_err().status,
        Status::Cancelled
    );
}
