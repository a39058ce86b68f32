//! What a feed does with frames, and with packagers that misbehave; no sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use plugin_api::frame::Shape;
use plugin_api::mem::{Account, Pool};

use super::live::Phase;
use super::staging::Staging;
use super::testing::Stamp::{Delta, Key};
use super::testing::{TestStream, TextFormat, feeds, prepare, publish};
use super::{
    Feed, FeedKey, FeedOut, Feeds, FormatInfo, Framing, Packager, PackagerError, PackagerFactory,
    PacketRef, Packets, Registration, Settings,
};
use crate::hub::key::StreamKey;
use crate::hub::{Reason, Status};

const DEADLINE: Duration = Duration::from_secs(10);

fn text(settings: Settings) -> (Feeds, Registration) {
    let feeds = feeds(settings);
    let registration = feeds.register("text", Arc::new(TextFormat::default())).unwrap();
    (feeds, registration)
}

/// The packets that the feed holds, those of another packager marked.
fn held(feed: &Feed) -> String {
    let mut window = Packets::default();
    feed.follow(&mut window);
    let shown = window.iter_from(window.first()).map(|packet| {
        let mark = if packet.restart { "!" } else { "" };
        format!("{mark}{}", String::from_utf8_lossy(window.bytes(packet, 0, packet.len())))
    });
    shown.collect()
}

/// Waits until the feed's task has read everything.
async fn until(feed: &Feed, done: impl Fn(&Feed) -> bool) {
    let waiting = async {
        while !done(feed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("held: {}", held(feed)));
}

async fn ended(feed: &Feed) -> (Reason, String) {
    let mut phase = feed.phase();
    let wait = phase.wait_for(|phase| matches!(phase, Phase::Ended(_)));
    match &*tokio::time::timeout(DEADLINE, wait).await.expect("the end").unwrap() {
        Phase::Ended(end) => (end.reason, end.refusal.reason.clone()),
        phase => panic!("{phase:?}"),
    }
}

#[tokio::test]
async fn begins_at_the_newest_start_point_and_keeps_it_while_it_is_held() {
    let (feeds, _registration) = text(Settings { max_lag: Duration::ZERO, ..Settings::default() });
    let stream = TestStream::new();
    stream.push(&[Key(0), Delta(40), Key(80), Delta(120)], 0);

    let prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();
    stream.push(&[Key(160), Delta(200)], 0);
    until(prepared.feed(), |feed| held(feed).ends_with("d200;")).await;

    assert_eq!(prepared.begin, Some(2));
    assert_eq!(held(prepared.feed()), "K80;d120;K160;d200;");
}

#[tokio::test]
async fn lets_go_of_what_nobody_wants() {
    let (feeds, _registration) = text(Settings::default());
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();
    prepared.hold = None;

    stream.push(&[Delta(40), Key(80), Delta(120)], 0);
    until(prepared.feed(), |feed| held(feed).ends_with("d120;")).await;

    assert_eq!(held(prepared.feed()), "K80;d120;");
}

#[tokio::test]
async fn a_long_gop_loses_its_head() {
    let bound = Settings { max_bytes: 5000, ..Settings::default() };
    let (feeds, _registration) = text(bound);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 1000);
    let first = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();

    stream.push(&(1..20).map(Delta).collect::<Vec<_>>(), 1000);
    until(first.feed(), |feed| held(feed).contains("d19")).await;
    let second = prepare(&feeds, "live/a", 2, None).await.unwrap();

    assert_eq!(first.begin, Some(0));
    assert_eq!(second.begin, None);
    assert!(first.feed().info().held_bytes <= 5000);
}

#[tokio::test]
async fn a_second_viewer_shares_the_packager() {
    let feeds = feeds(Settings::default());
    let format = Arc::new(TextFormat::default());
    let _registration = feeds.register("text", Arc::clone(&format) as _).unwrap();
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);

    let first = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();
    let second = prepare(&feeds, "live/a", 2, None).await.unwrap();

    assert!(Arc::ptr_eq(first.feed(), second.feed()));
    assert_eq!(format.opened.load(Ordering::Relaxed), 1);
    assert_eq!(first.feed().info().packager_runs, 1);
}

#[tokio::test]
async fn passes_on_why_a_format_cannot_carry_the_stream() {
    let feeds = feeds(Settings::default());
    let format = TextFormat { unsupported: Some("no VP8 in text"), ..TextFormat::default() };
    let _registration = feeds.register("text", Arc::new(format)).unwrap();

    let refusal = prepare(&feeds, "live/a", 1, Some(&TestStream::new())).await.unwrap_err();

    assert_eq!((refusal.status, refusal.reason.as_str()), (Status::Unsupported, "no VP8 in text"));
}

#[tokio::test]
async fn a_failed_packager_is_replaced_at_the_next_start_point() {
    let feeds = feeds(Settings::default());
    let format = TextFormat::default();
    format.failures.store(1, Ordering::Relaxed);
    let _registration = feeds.register("text", Arc::new(format)).unwrap();
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();

    stream.push(&[Delta(10), Delta(13)], 0);
    stream.push(&[Delta(20), Key(30), Delta(40)], 0);
    until(prepared.feed(), |feed| held(feed).ends_with("d40;")).await;

    assert_eq!(held(prepared.feed()), "K0;!K30;d40;");
    assert_eq!(prepared.feed().info().restarts, 1);
}

#[tokio::test]
async fn three_failures_end_the_feed() {
    let feeds = feeds(Settings::default());
    let format = TextFormat::default();
    format.failures.store(3, Ordering::Relaxed);
    let _registration = feeds.register("text", Arc::new(format)).unwrap();
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();

    for _ in 0..3 {
        stream.push(&[Key(12), Delta(13)], 0);
    }

    let (reason, text) = ended(prepared.feed()).await;
    assert_eq!(reason, Reason::Error);
    assert!(text.contains("panicked"), "{text}");
}

#[tokio::test]
async fn closes_when_nobody_has_watched_for_a_while() {
    let idle_close = Duration::from_millis(1);
    let (feeds, _registration) = text(Settings { idle_close, ..Settings::default() });
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);

    let prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();
    let feed = Arc::clone(prepared.feed());
    drop(prepared);

    assert_eq!(ended(&feed).await.0, Reason::Idle);
    assert!(feeds.list().is_empty());
}

#[tokio::test]
async fn one_packager_a_format_and_its_feeds_end_with_it() {
    let (feeds, registration) = text(Settings::default());
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let prepared = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();

    let second = feeds.register("text", Arc::new(TextFormat::default())).unwrap_err();
    drop(registration);
    let late = prepare(&feeds, "live/a", 2, None).await.unwrap_err();

    assert_eq!(second.status, Status::Conflict);
    assert_eq!(ended(prepared.feed()).await.0, Reason::Stopped);
    assert_eq!(late.status, Status::Unsupported);
}

#[tokio::test]
async fn a_feed_of_a_stream_that_ended_gives_way_to_a_new_one() {
    let (feeds, _registration) = text(Settings::default());
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let first = prepare(&feeds, "live/a", 1, Some(&stream)).await.unwrap();

    stream.end(Reason::Ended);
    ended(first.feed()).await;
    let again = TestStream::new();
    again.push(&[Key(0)], 0);
    let second = prepare(&feeds, "live/a", 2, Some(&again)).await.unwrap();

    assert!(!Arc::ptr_eq(first.feed(), second.feed()));
}

#[test]
fn a_reader_that_fell_far_behind_can_finish_the_packet_it_has_begun() {
    let key = FeedKey {
        stream: StreamKey::new("live/a").unwrap(),
        format: "text".into(),
        variant: "".into(),
        framing: Framing::None,
    };
    let settings = Settings { max_lag: Duration::ZERO, ..Settings::default() };
    let feed = Feed::new(1, key, None, &settings, Arc::default());
    let mut staging = Staging::new(Pool::new(Account::new(usize::MAX)), Framing::None);
    let mut write = |text: &str, dts| {
        let head = match staging.last_head() {
            0 => staging.set_head(&[], &[]).unwrap(),
            head => head,
        };
        let parts = [text.as_bytes()];
        let packet = PacketRef { start_point: true, droppable: false, dts, head, parts: &parts };
        staging.write(&[packet]).unwrap();
        feed.commit(&mut staging);
    };
    let mut window = Packets::default();

    write("begun", 0);
    feed.follow(&mut window);
    (1..5).for_each(|dts| write("missed", dts));
    write("newest", 5);
    feed.follow(&mut window);

    assert!(window.get(0).is_none());
    assert_eq!(window.rest(0, 2).as_deref(), Some(&b"gun"[..]));
    assert_eq!((window.first(), window.newest_start(), window.end()), (5, Some(5), 6));
    window.let_go();
    assert!(window.rest(0, 2).is_none());
    assert_eq!(window.rest(5, 0).as_deref(), Some(&b"newest"[..]));
}

#[test]
fn packets_without_the_head_in_force_or_without_bytes_are_refused() {
    let mut staging = Staging::new(Pool::new(Account::new(1 << 20)), Framing::None);
    let first = staging.set_head(&[], &[]).unwrap();
    let second = staging.set_head(&[], &[]).unwrap();
    let mut write = |head, parts: &[&[u8]]| {
        staging.write(&[PacketRef { start_point: true, droppable: false, dts: 0, head, parts }])
    };

    assert!(write(first, &[b"x"]).is_err());
    assert!(write(second + 1, &[b"x"]).is_err());
    assert!(write(second, &[]).is_err());
    assert!(write(second, &[b"x"]).is_ok());
    let error = write(second, &[&vec![0; 2 << 20]]).unwrap_err();
    assert!(error.text.contains("memory limit"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_say_whether_they_can_carry_a_stream() {
    struct Never;

    impl PackagerFactory for Never {
        fn open(
            &self,
            _: &Shape,
            _: &str,
            _: &mut dyn FeedOut,
        ) -> Result<Box<dyn Packager>, PackagerError> {
            Err(PackagerError::unsupported("no sound in this format"))
        }
    }

    /// Until the test lets go of the other end.
    struct Hangs(Mutex<mpsc::Receiver<()>>);

    impl PackagerFactory for Hangs {
        fn open(
            &self,
            _: &Shape,
            _: &str,
            _: &mut dyn FeedOut,
        ) -> Result<Box<dyn Packager>, PackagerError> {
            let _let_go = self.0.lock().recv();
            Err(PackagerError::failed("late"))
        }
    }

    let (feeds, _text) = text(Settings::default());
    let _never = feeds.register("never", Arc::new(Never)).unwrap();
    let key = StreamKey::new("live/a").unwrap();
    let ask = |feeds: &Feeds| {
        let (feeds, key) = (feeds.clone(), key.clone());
        async move { tokio::task::spawn_blocking(move || feeds.playable(&key)).await.unwrap() }
    };
    let info = |format: &str, playable, reason: Option<&str>| FormatInfo {
        format: format.into(),
        playable,
        reason: reason.map(str::to_owned),
    };

    let nobody = Some("nobody has published yet");
    assert_eq!(
        ask(&feeds).await,
        [info("never", Some(false), nobody), info("text", Some(false), nobody)]
    );

    let publisher = publish(&feeds, "live/a");
    let cannot = info("never", Some(false), Some("no sound in this format"));
    assert_eq!(ask(&feeds).await, [cannot, info("text", Some(true), None)]);

    let (hold, held) = mpsc::channel();
    let _hangs = feeds.register("hangs", Arc::new(Hangs(Mutex::new(held)))).unwrap();
    let late = ask(&feeds).await;
    assert_eq!(late[0], info("hangs", None, Some("a packager does not answer")));
    assert_eq!(late.len(), 3);
    drop(hold);
    drop(publisher);
}
