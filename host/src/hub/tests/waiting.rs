//! Subscribers of streams that are not there yet.

use super::*;

fn request(url: &str, wait: Option<Duration>) -> SubscribeRequest {
    SubscribeRequest { url: url.to_owned(), wait, ..Default::default() }
}

#[test]
fn waits_for_a_publisher_with_tracks() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
    assert!(poll_once(waiting.as_mut()).is_pending());

    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    assert!(poll_once(waiting.as_mut()).is_pending());
    publisher.set_tracks(vec![video(1)]).unwrap();

    let Poll::Ready(Ok(mut reader)) = poll_once(waiting.as_mut()) else {
        panic!("has to be there")
    };
    publisher.ready();
    publisher.push(&[key(0)]);
    assert_eq!(drain(&mut reader), ["shape 1", "key 0"]);
}

#[test]
fn gives_up_after_the_time_and_leaves_no_trace() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!(bench.hub.registry.all().len(), 1);
    assert!(bench.hub.streams().is_empty(), "nothing has begun");

    bench.pass(9_900);
    assert!(poll_once(waiting.as_mut()).is_pending());
    bench.pass(100);

    let Poll::Ready(Err(refusal)) = poll_once(waiting.as_mut()) else { panic!("has to give up") };
    assert_eq!(refusal.status, Status::NotFound);
    assert_eq!(refusal.reason, "nobody is publishing live/a");
}

#[test]
fn who_waits_is_woken_by_tracks_and_by_the_end_of_the_time() {
    let bench = Bench::new();
    let (waker, wakes) = counting_waker();
    let mut for_a = pin!(bench.hub.subscribe(request("live/a", None)));
    let mut for_b = pin!(bench.hub.subscribe(request("live/b", None)));
    assert!(for_a.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(for_b.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());

    let _publisher = bench.publish("live/a");
    assert_eq!(wakes(), 1);
    bench.pass(9_900);
    assert_eq!(wakes(), 1);
    bench.pass(100);

    assert_eq!(wakes(), 2);
}

#[test]
fn a_publisher_is_woken_by_its_notices() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let (waker, wakes) = counting_waker();
    assert!(publisher.poll_notice(&mut Context::from_waker(&waker)).is_pending());

    let reader = bench.play("live/a");
    assert_eq!(wakes(), 1);
    assert_eq!(notice(&publisher), Some(Notice::FirstReader));
    assert!(publisher.poll_notice(&mut Context::from_waker(&waker)).is_pending());
    publisher.finish();

    assert_eq!(wakes(), 2);
    drop(reader);
}

#[test]
fn dropping_the_future_leaves_no_trace() {
    let bench = Bench::new();
    {
        let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
        assert!(poll_once(waiting.as_mut()).is_pending());
        assert_eq!(bench.hub.shared.waiting.load(Ordering::SeqCst), 1);
    }

    bench.hub.tick();

    assert_eq!(bench.hub.shared.waiting.load(Ordering::SeqCst), 0);
    assert!(bench.hub.registry.all().is_empty());
}

#[test]
fn a_wait_of_zero_is_refused_at_once_and_adds_no_name() {
    let bench = Bench::new();

    let refusal = bench.try_subscribe("live/a", ReadOptions::default()).unwrap_err();

    assert_eq!(refusal.status, Status::NotFound);
    assert!(bench.hub.registry.all().is_empty());
}

#[test]
fn waiting_is_bounded() {
    let bench = Bench::with(Settings { max_waiting: 2, ..Default::default() });
    let mut first = pin!(bench.hub.subscribe(request("live/a", None)));
    let mut second = pin!(bench.hub.subscribe(request("live/b", None)));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());

    let third = expect_ready(bench.hub.subscribe(request("live/c", None))).unwrap_err();

    assert_eq!(third.status, Status::Limit);
    assert_eq!(bench.hub.registry.all().len(), 2);
    let _publisher = bench.publish("live/c");
    assert!(
        expect_ready(bench.hub.subscribe(request("live/c", None))).is_ok(),
        "what is there needs no place"
    );
}

#[test]
fn who_comes_during_the_window_waits_for_the_publisher() {
    let bench = Bench::new();
    drop(bench.publish("live/a"));
    assert_eq!(
        bench.try_subscribe("live/a", ReadOptions::default()).unwrap_err().status,
        Status::NotFound
    );
    let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
    assert!(poll_once(waiting.as_mut()).is_pending());

    let _again = bench.publish("live/a");

    assert!(matches!(poll_once(waiting.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn waiting_outlives_the_end_of_a_stream() {
    let bench =
        Bench::with(Settings { wait_timeout: Duration::from_secs(60), ..Default::default() });
    drop(bench.publish("live/a"));
    let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
    assert!(poll_once(waiting.as_mut()).is_pending());

    bench.pass(20_000);
    assert!(poll_once(waiting.as_mut()).is_pending());
    let _another = bench.publish("live/a");

    assert!(matches!(poll_once(waiting.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn waiting_is_cancelled_when_the_server_stops() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.hub.subscribe(request("live/a", None)));
    assert!(poll_once(waiting.as_mut()).is_pending());

    bench.hub.shutdown();

    let Poll::Ready(Err(refusal)) = poll_once(waiting.as_mut()) else { panic!("has to give up") };
    assert_eq!(refusal.status, Status::Cancelled);
}

#[test]
fn joining_for_a_feed_counts_nobody() {
    let bench = Bench::new();
    let _publisher = bench.publish("live/a");

    let stream = expect_ready(bench.hub.join(&request("live/a", None))).unwrap();

    assert_eq!(stream.key().as_str(), "live/a");
    assert_eq!(bench.info("live/a").unwrap().readers, info::ReaderCounts::default());
}
