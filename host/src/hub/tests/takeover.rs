//! Two want to publish under one key.

use super::*;

const OLD: &str = "10.0.0.1:1000";
const SAME_HOST: &str = "10.0.0.1:2000";
const OTHER_HOST: &str = "10.0.0.2:1000";

fn refusal(result: Result<Publisher, Refusal>) -> Status {
    result.expect_err("has to be refused").status
}

#[test]
fn a_running_publisher_is_not_replaced_by_a_stranger() {
    let bench = Bench::new();
    let publisher = bench.publish_from("live/a?key=k", OLD);
    bench.run(&publisher, 0, 3000);

    assert_eq!(refusal(bench.try_publish("live/a?key=k", OTHER_HOST)), Status::Conflict);
    assert_eq!(refusal(bench.try_publish("live/a?key=other", SAME_HOST)), Status::Conflict);
    assert_eq!(publisher.push(&[key(3000)]), Pushed::Ok);
    assert_eq!(bench.hub.shared.publishers.load(Ordering::SeqCst), 1);
}

#[test]
fn the_same_address_with_the_same_key_gets_back_in_at_once() {
    for (old, new) in
        [(OLD, SAME_HOST), (OLD, "[::ffff:10.0.0.1]:3000"), ("[2001:db8::1]:1", "[2001:db8::1]:2")]
    {
        let bench = Bench::new();
        let publisher = bench.publish_from("live/a?key=k", old);
        bench.run(&publisher, 0, 1000);

        let again = bench.try_publish("live/a?key=k", new);

        assert!(again.is_ok(), "{old} {new}");
        assert_eq!(notice(&publisher), Some(Notice::Ended(Reason::Replaced)));
    }
}

#[test]
fn a_silent_publisher_is_replaced_by_anybody() {
    let bench = Bench::new();
    let old = bench.publish_from("live/a", OLD);
    bench.run(&old, 0, 1000);

    bench.pass(1900);
    assert_eq!(refusal(bench.try_publish("live/a", OTHER_HOST)), Status::Conflict);
    bench.pass(100);
    let new = bench.publish_from("live/a", OTHER_HOST);

    assert_eq!(notice(&old), Some(Notice::Ended(Reason::Replaced)));
    assert_eq!(old.push(&[key(1000)]), Pushed::Ended);
    assert_eq!(old.set_tracks(vec![video(1)]).unwrap_err().status, Status::Cancelled);
    assert_eq!(new.push(&[key(0)]), Pushed::Ok);
}

#[test]
fn the_policies_refuse_and_replace_do_so_always() {
    let refuse = Bench::with(Settings { on_conflict: OnConflict::Refuse, ..Default::default() });
    let _old = refuse.publish_from("live/a", OLD);
    refuse.pass(5000);
    assert_eq!(refusal(refuse.try_publish("live/a", SAME_HOST)), Status::Conflict);

    let replace = Bench::with(Settings { on_conflict: OnConflict::Replace, ..Default::default() });
    let old = replace.publish_from("live/a", OLD);
    replace.run(&old, 0, 1000);
    assert!(replace.try_publish("live/a", OTHER_HOST).is_ok());
}

#[test]
fn readers_go_on_at_the_new_publishers_first_keyframe() {
    let bench = Bench::new();
    let old = bench.publish_from("live/a", OLD);
    bench.run(&old, 0, 1000);
    let mut reader = bench.play("live/a");
    drain(&mut reader);
    bench.pass(2500);

    let new = bench.publish_from("live/a", OTHER_HOST);
    new.push(&[delta(70_000), audio(70_010), delta(70_040), key(70_080), delta(70_120)]);

    // The last frame stood at 960 ms; then came 40 ms of running and 2.5 s of silence.
    assert_eq!(
        drain(&mut reader),
        ["shape 1+2 settling again", "shape 1+2", "audio 3510", "key 3580", "delta 3620"]
    );
}

#[test]
fn what_the_new_publishers_tracks_became_is_not_told_of_the_old_ones() {
    let bench = Bench::new();
    let old = bench.try_publish("live/a", OLD).unwrap();
    old.set_tracks(vec![video(1)]).unwrap();
    old.push(&[key(0)]);
    let _new = bench.publish_from("live/a", SAME_HOST);

    let mut reader = bench.play("live/a");

    let words = drain(&mut reader);
    assert_eq!(words, ["shape 1 settling", "key 0", "shape 1+2 settling again", "shape 1+2"]);
}

#[test]
fn the_old_publishers_lost_link_does_not_touch_the_new_one() {
    let bench = Bench::new();
    let old = bench.publish_from("live/a", OLD);
    let new = bench.publish_from("live/a", SAME_HOST);

    drop(old);
    let another = bench.publish_from("live/a", SAME_HOST);
    new.finish();

    assert_eq!(another.push(&[key(0)]), Pushed::Ok);
    assert_eq!(bench.hub.shared.publishers.load(Ordering::SeqCst), 1);
}

#[test]
fn a_new_publisher_is_told_that_somebody_watches() {
    let bench = Bench::new();
    let old = bench.publish_from("live/a", OLD);
    let _reader = bench.play("live/a");

    let new = bench.publish_from("live/a", SAME_HOST);

    assert_eq!(notice(&old), Some(Notice::Ended(Reason::Replaced)));
    assert_eq!(notice(&new), Some(Notice::FirstReader));
    assert_eq!(notice(&new), None);
}
