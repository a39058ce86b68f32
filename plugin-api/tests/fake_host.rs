//! The safe API against the fake host: everything here goes through the C tables.
#![expect(clippy::unwrap_used, reason = "a test; its helpers stand outside of the test functions")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plugin_api::auth::{Action, AuthRequest};
use plugin_api::feed::{FeedOut, Packager, Packet, PacketFlags, PrepareOptions, Registration};
use plugin_api::frame::{FourCc, Frame, FrameFlags, NS_PER_MS, Payload, Shape, Track, TrackKind};
use plugin_api::net::{ListenOptions, TcpListener, TcpStream};
use plugin_api::stream::{
    Notice, PublishOptions, Pushed, Reader, Reason, Start, SubscribeOptions, Wait,
};
use plugin_api::task::Retry;
use plugin_api::testing::{FakeHost, Feed};
use plugin_api::{Error, Host, Plugin, Status, channel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[derive(Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    panic_in: String,
}

/// Echoes what it reads, in upper case.
struct Echo {
    host: Host,
    config: Config,
    dropped: Count,
}

/// Counts drops.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Plugin for Echo {
    const ID: &'static str = "echo";

    type Config = Config;
    type Error = Error;

    fn create(host: Host, config: Config) -> Result<Self, Error> {
        assert!(config.panic_in != "create", "told to");
        Ok(Self { host, config, dropped: Count::default() })
    }

    fn activate(&self) -> Result<(), Error> {
        let host = self.host.clone();
        let options = ListenOptions { address: ":0", protocol: "echo", ..ListenOptions::default() };
        let listener = TcpListener::bind(&host, options)?;
        let (panic, dropped) = (self.config.panic_in == "session", self.dropped.clone());
        self.host.spawn_detached("listener", "", async move {
            loop {
                let stream = listener.accept().await?;
                let name = stream.info().peer.to_string();
                let guard = Dropped(dropped.clone());
                host.spawn_detached("session", &name, async move {
                    let _guard = guard;
                    assert!(!panic, "told to");
                    echo(stream).await
                })?;
            }
            #[expect(unreachable_code, reason = "names the type of the future")]
            Ok::<(), Error>(())
        })
    }

    fn destroy(self) {
        tracing::info!(sessions = self.dropped.get(), "destroyed");
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (mut reader, mut writer) = stream.into_split();
    let mut bytes = [0; 100];
    loop {
        let n = reader.read(&mut bytes).await?;
        if n == 0 {
            return writer.shutdown().await.map_err(Error::from);
        }
        writer.write_all(&bytes[..n].to_ascii_uppercase()).await?;
    }
}

fn frame(host: &FakeHost, dts_ms: i64, key: bool) -> Frame {
    Frame {
        track: 1,
        config: 0,
        flags: FrameFlags { key, ..FrameFlags::default() },
        dts: dts_ms * NS_PER_MS,
        pts: dts_ms * NS_PER_MS,
        duration: 0,
        captured: 0,
        payload: Payload::One(host.buf(format!("<{dts_ms}>").as_bytes())),
    }
}

fn video() -> Track {
    Track::new(1, TrackKind::Video, FourCc::H264)
}

fn connect(host: &FakeHost) -> tokio::net::TcpStream {
    let addr = host.wait_for("a listener", |state| state.listeners().first().copied());
    host.block_on(tokio::net::TcpStream::connect(addr)).unwrap()
}

#[test]
fn a_plugin_lives_and_leaves_nothing() {
    let host = FakeHost::new();
    let plugin = host.start::<Echo>("{}").unwrap();

    let answer = host.block_on(async {
        let mut client = connect_to(&host).await;
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    });
    plugin.stop();

    assert_eq!(answer, "HELLO");
    assert_eq!(host.state(|state| (state.running_tasks(), state.open_handles())), (0, 0));
    assert_eq!(host.memory_used(), 0);
    assert!(host.logs().contains(&"INFO destroyed sessions=1".to_owned()), "{:?}", host.logs());
}

async fn connect_to(host: &FakeHost) -> tokio::net::TcpStream {
    let addr = host.state(|state| state.listeners()[0]);
    tokio::net::TcpStream::connect(addr).await.unwrap()
}

#[test]
fn a_panic_is_the_status_of_the_call_that_panicked() {
    let host = FakeHost::new();

    let error = host.start::<Echo>(r#"{"panic_in": "create"}"#).unwrap_err();

    assert_eq!(error.status, Status::PANIC);
    assert!(error.text.contains("fake_host.rs") && error.text.ends_with("told to"), "{error}");
    assert!(
        host.logs().iter().any(|line| line.starts_with("ERROR panicked at ")),
        "{:?}",
        host.logs()
    );
}

#[test]
fn a_panic_in_a_session_ends_that_session_alone() {
    let host = FakeHost::new();
    let plugin = host.start::<Echo>(r#"{"panic_in": "session"}"#).unwrap();

    for _ in 0..3 {
        let mut client = connect(&host);
        let end = host.block_on(async { client.read(&mut [0]).await });
        assert!(matches!(end, Ok(0) | Err(_)), "the session's socket is closed");
    }
    plugin.stop();

    assert!(host.logs().contains(&"INFO destroyed sessions=3".to_owned()), "{:?}", host.logs());
}

#[test]
fn a_peer_that_has_gone_does_not_end_the_listener() {
    let host = FakeHost::new();
    let plugin = host.start::<Echo>("{}").unwrap();
    host.fail_next("conn_info", Error::io("not connected"));

    let mut gone = connect(&host);
    host.block_on(async { _ = gone.read(&mut [0]).await });
    let mut client = connect(&host);
    host.block_on(client.write_all(b"x")).unwrap();
    expect(&host, &mut client, "X");

    plugin.stop();
}

#[test]
fn an_unknown_config_key_is_refused_with_its_name() {
    let error = FakeHost::new().start::<Echo>(r#"{"speed": 1}"#).unwrap_err();

    assert_eq!(error.status, Status::INVALID);
    assert!(error.text.contains("speed"), "{error}");
}

#[test]
fn a_host_call_can_be_made_to_fail() {
    let host = FakeHost::new();
    host.fail_next("tcp_listen", Error::conflict("port 1935 is taken"));

    let error = host.start::<Echo>("{}").unwrap_err();

    assert_eq!(error, Error::conflict("port 1935 is taken"));
}

#[test]
fn a_future_is_dropped_exactly_once() {
    let fake = FakeHost::new();
    let host = fake.host();
    let (done, cancelled, refused) = (Count::default(), Count::default(), Count::default());

    let guard = Dropped(done.clone());
    let mut task = host.spawn("t", "", async move { drop(guard) }).unwrap();
    fake.block_on(task.join()).unwrap();
    let guard = Dropped(cancelled.clone());
    let task = host.spawn("t", "", async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    drop(task.unwrap());
    fake.wait_for("the cancelled task", |_| (cancelled.get() > 0).then_some(()));
    fake.fail_next("spawn", Error::limit("no more"));
    let guard = Dropped(refused.clone());
    let error = host.spawn_detached("t", "", async move { drop(guard) }).unwrap_err();

    assert_eq!(error.status, Status::LIMIT);
    assert_eq!((done.get(), cancelled.get(), refused.get()), (1, 1, 1));
}

/// Notes where it lies, and when it is dropped whether it still lies there.
struct Place {
    noted: AtomicUsize,
    moved: Count,
    _dropped: Dropped,
}

impl Place {
    fn address(&self) -> usize {
        (&raw const *self).addr()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let has_moved = *self.noted.get_mut() != self.address();
        self.moved.0.fetch_add(usize::from(has_moved), Ordering::SeqCst);
    }
}

#[test]
fn a_future_is_dropped_where_it_was_polled() {
    let fake = FakeHost::new();
    let (moved, dropped, polled) = (Count::default(), Count::default(), Count::default());

    let (noted, guard, begun) = (AtomicUsize::new(0), Dropped(dropped.clone()), polled.clone());
    let place = Place { noted, moved: moved.clone(), _dropped: guard };
    let task = fake.host().spawn("t", "", async move {
        let place = place;
        place.noted.store(place.address(), Ordering::SeqCst);
        begun.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
        drop(place);
    });
    fake.wait_for("the first poll", |_| (polled.get() > 0).then_some(()));
    drop(task.unwrap());
    fake.wait_for("the end of the task", |_| (dropped.get() > 0).then_some(()));

    assert_eq!(moved.get(), 0);
}

#[test]
fn an_attempt_that_fails_is_tried_again() {
    let fake = FakeHost::new();
    let attempts = Arc::new(AtomicUsize::new(0));
    let retry = Retry { count: 5, interval: Duration::from_millis(1), ..Retry::default() };

    let counted = Arc::clone(&attempts);
    let task = fake.host().run("pull", "a", retry, move || {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move { if attempt < 2 { Err(Error::io("no route")) } else { Ok(()) } }
    });
    fake.block_on(task.unwrap().join()).unwrap();

    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[test]
fn a_timeout_ends_what_does_not() {
    let fake = FakeHost::new();
    let host = fake.host();
    let (sender, result) = channel::oneshot();

    host.spawn_detached("t", "", {
        let host = host.clone();
        async move {
            sender.send(host.timeout(Duration::from_millis(5), std::future::pending::<()>()).await);
        }
    })
    .unwrap();

    let result = fake.block_on(result).unwrap();
    assert_eq!(result.unwrap_err().status, Status::TIMEOUT);
}

#[test]
fn a_busy_channel_yields() {
    let fake = FakeHost::new();
    let (sender, mut receiver) = channel::bounded(1000);
    (0..1000).for_each(|n| sender.try_send(n).unwrap());
    drop(sender);
    let polls = Arc::new(AtomicUsize::new(0));

    let counted = Arc::clone(&polls);
    let mut task = fake.host().spawn("t", "", async move {
        let mut all = Box::pin(async { while receiver.recv().await.is_some() {} });
        std::future::poll_fn(|cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            all.as_mut().poll(cx)
        })
        .await;
    });
    fake.block_on(task.as_mut().unwrap().join()).unwrap();

    assert!(polls.load(Ordering::SeqCst) >= 1000 / 128, "one poll took everything");
}

#[test]
fn senders_wait_for_room_and_all_items_arrive() {
    // Miri takes its time.
    const ITEMS: i32 = if cfg!(miri) { 20 } else { 500 };
    let fake = FakeHost::new();
    let host = fake.host();
    let (sender, mut receiver) = channel::bounded(2);

    for task in 0..4 {
        let sender = sender.clone();
        host.spawn_detached("t", "", async move {
            for n in 0..ITEMS {
                sender.send(task * ITEMS + n).await.unwrap();
            }
        })
        .unwrap();
    }
    drop(sender);
    let mut items = fake.block_on(async {
        let mut items = Vec::new();
        while let Some(item) = receiver.recv().await {
            items.push(item);
        }
        items
    });

    items.sort_unstable();
    assert_eq!(items, (0..4 * ITEMS).collect::<Vec<i32>>());
}

#[test]
fn blocking_work_gives_its_result_or_its_panic() {
    let fake = FakeHost::new();
    let host = fake.host();

    let sum = fake.block_on(host.blocking("sum", || 1 + 2)).unwrap();
    let error = fake.block_on(host.blocking("bad", || panic!("told to"))).unwrap_err();

    assert_eq!(sum, 3);
    assert_eq!(error.status, Status::PANIC);
}

/// Owns a thread that waits for ever.
struct Waits {
    host: Host,
}

impl Plugin for Waits {
    const ID: &'static str = "waits";

    type Config = Config;
    type Error = Error;

    fn create(host: Host, _: Config) -> Result<Self, Error> {
        Ok(Self { host })
    }

    fn activate(&self) -> Result<(), Error> {
        let host = self.host.clone();
        let thread = self.host.thread("waits", move || {
            let error = host.block_on(std::future::pending::<()>()).unwrap_err();
            tracing::warn!(%error, "thread ends");
        })?;
        std::mem::forget(thread);
        Ok(())
    }
}

#[test]
fn a_thread_that_waits_is_told_when_the_instance_stops() {
    let host = FakeHost::new();

    host.start::<Waits>("{}").unwrap().stop();

    assert!(host.logs().iter().any(|line| line.contains("thread ends")), "{:?}", host.logs());
}

#[test]
fn published_frames_arrive_as_they_were_pushed() {
    let fake = FakeHost::new();
    let host = fake.host();
    let options =
        PublishOptions { url: "live/a?key=x", protocol: "test", ..PublishOptions::default() };

    let publisher = fake.block_on(host.publish(options)).unwrap();
    publisher.set_tracks(&[video()]).unwrap();
    let mut frames: Vec<_> = (0..40).map(|n| frame(&fake, n, n == 0)).collect();
    frames[7].payload = Payload::Parts([fake.buf(b"ab"), fake.buf(b"cd")].into());
    let pushed = publisher.push(&frames).unwrap();
    let backwards = publisher.push(&[frame(&fake, 3, false)]).unwrap_err();
    let conflict = fake.block_on(host.publish(options)).unwrap_err();
    publisher.finish().unwrap();

    assert_eq!(pushed, Pushed::Kept);
    assert_eq!(backwards.status, Status::INVALID);
    assert_eq!(conflict.status, Status::CONFLICT);
    assert_eq!(fake.block_on(publisher.notice()).unwrap(), Notice::Ended(Reason::Ended));
    assert_eq!(publisher.push(&frames[..1]).unwrap(), Pushed::Ended);
    let stream = fake.state(|state| state.stream("live/a")).unwrap();
    assert_eq!(stream.frames, frames);
    assert!(stream.finished);
}

#[test]
fn pushing_shares_the_payload() {
    let fake = FakeHost::new();
    let publisher = fake
        .block_on(fake.host().publish(PublishOptions { url: "a/b", ..PublishOptions::default() }));
    let publisher = publisher.unwrap();
    publisher.set_tracks(&[video()]).unwrap();
    let mut block = fake.host().alloc(5).unwrap();
    block.extend_from_slice(b"hello");
    let payload = block.freeze();
    let pushed = Frame { payload: payload.clone().into(), ..frame(&fake, 0, true) };

    publisher.push(std::slice::from_ref(&pushed)).unwrap();

    let stream = fake.state(|state| state.stream("a/b")).unwrap();
    assert_eq!(stream.frames[0].payload.parts()[0].as_ptr(), payload.as_ptr());
}

#[test]
fn a_subscriber_begins_at_the_newest_keyframe_with_its_shape() {
    let fake = FakeHost::new();
    fake.set_tracks("live/a", &[video()]);
    fake.push("live/a", &[frame(&fake, 0, true), frame(&fake, 40, false), frame(&fake, 80, true)]);
    fake.push("live/a", &[frame(&fake, 120, false)]);
    let options = SubscribeOptions {
        url: "live/a",
        reader: Reader::Recorder,
        start: Start::Newest,
        ..SubscribeOptions::default()
    };

    let mut subscriber = fake.block_on(fake.host().subscribe(options)).unwrap();
    let first = fake.block_on(subscriber.read(10)).unwrap();
    fake.set_tracks("live/a", &[video(), Track::new(2, TrackKind::Audio, FourCc::AAC)]);
    let second = fake.block_on(subscriber.read(10)).unwrap();
    fake.end_stream("live/a", Reason::Replaced);
    let end = fake.block_on(subscriber.read(10)).unwrap_err();

    assert_eq!(first.shape.unwrap().number, 1);
    assert_eq!(
        first.frames.iter().map(|frame| frame.dts / NS_PER_MS).collect::<Vec<_>>(),
        [80, 120]
    );
    assert_eq!(second.shape.unwrap().tracks.len(), 2);
    assert!(second.frames.is_empty());
    assert_eq!(end.reason, Reason::Replaced);
}

#[test]
fn auth_decides_with_a_reason() {
    let fake = FakeHost::new();
    fake.set_auth(|action, url| match action {
        Action::Publish if url.contains("key=good") => Ok(()),
        Action::Publish => Err(Error::denied("wrong key")),
        Action::Play => Ok(()),
    });
    let host = fake.host();
    let request = AuthRequest { action: Action::Publish, url: "a/b", conn: None, protocol: "test" };

    let asked = fake.block_on(host.check(request)).unwrap_err();
    let refused =
        fake.block_on(host.publish(PublishOptions { url: "a/b", ..PublishOptions::default() }));
    let allowed =
        fake.block_on(host.publish(PublishOptions { url: "a/b?key=good", ..Default::default() }));

    assert_eq!(asked, Error::denied("wrong key"));
    assert_eq!(refused.unwrap_err().status, Status::DENIED);
    assert!(allowed.is_ok());
}

/// Text lines: `K80:<80>;`.
struct Lines {
    head: u32,
}

impl Packager for Lines {
    type Context = Dropped;

    fn open(
        _: &Dropped,
        shape: &Shape,
        variant: &str,
        out: &mut FeedOut<'_>,
    ) -> Result<Self, Error> {
        if shape.tracks.len() > 2 {
            return Err(Error::unsupported("too many tracks"));
        }
        let head = out.set_head(&[b"LINES", variant.as_bytes(), b"|"], &[b"[", b"cfg]"])?;
        Ok(Self { head })
    }

    fn on_shape(&mut self, _: &Shape, out: &mut FeedOut<'_>) -> Result<(), Error> {
        self.head = out.set_head(&[b"LINES|"], &[b"[new]"])?;
        Ok(())
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut FeedOut<'_>) -> Result<(), Error> {
        for frame in frames {
            assert!(frame.dts < 9000 * NS_PER_MS, "told to");
            let flags = PacketFlags { start_point: frame.flags.key, ..PacketFlags::default() };
            let payload: &[u8] = &frame.payload.parts()[0];
            let parts = [if frame.flags.key { &b"K"[..] } else { b"P" }, payload, b";"];
            out.write(&[Packet { flags, dts: frame.dts, head: self.head, parts: &parts }])?;
        }
        Ok(())
    }
}

#[test]
fn a_packager_is_called_through_its_table() {
    let fake = FakeHost::new();
    let dropped = Count::default();
    let shape =
        Shape { number: 1, settled: true, discontinuity: false, tracks: vec![Arc::new(video())] };

    let mut feed = Feed::open::<Lines>(&fake, Dropped(dropped.clone()), &shape, "x").unwrap();
    feed.on_frames(&[frame(&fake, 0, true), frame(&fake, 40, false)]).unwrap();
    let panicked = feed.on_frames(&[frame(&fake, 9000, true)]).unwrap_err();

    assert_eq!(feed.heads(), [(b"LINESx|".to_vec(), b"[cfg]".to_vec())]);
    assert_eq!(feed.packets()[0].bytes, b"K<0>;");
    assert_eq!((feed.packets()[1].bytes.as_slice(), feed.packets()[1].head), (&b"P<40>;"[..], 1));
    assert_eq!(panicked.status, Status::PANIC);
    drop(feed);
    assert_eq!(dropped.get(), 1);
    assert_eq!(fake.memory_used(), 0, "frames are given back when the call is over");
}

/// Offers [`Lines`] and serves every connection as a viewer.
struct Serves {
    host: Host,
    dropped: Count,
    registration: std::sync::Mutex<Option<Registration>>,
}

impl Plugin for Serves {
    const ID: &'static str = "serves";

    type Config = Config;
    type Error = Error;

    fn create(host: Host, _: Config) -> Result<Self, Error> {
        Ok(Self { host, dropped: Count::default(), registration: std::sync::Mutex::default() })
    }

    fn activate(&self) -> Result<(), Error> {
        let registration =
            self.host.register_packager::<Lines>("lines", Dropped(self.dropped.clone()))?;
        *self.registration.lock().unwrap() = Some(registration);
        let listener =
            TcpListener::bind(&self.host, ListenOptions { address: ":0", ..Default::default() })?;
        let host = self.host.clone();
        self.host.spawn_detached("listener", "", async move {
            let conn = listener.accept().await?;
            watch(&host, conn).await
        })
    }

    fn destroy(self) {
        tracing::info!(contexts = self.dropped.get(), "destroyed");
    }
}

async fn watch(host: &Host, conn: TcpStream) -> Result<(), Error> {
    let options = PrepareOptions {
        url: "live/a",
        format: "lines",
        variant: "v",
        conn: Some(&conn),
        wait: Wait::For(Duration::from_secs(5)),
        ..PrepareOptions::default()
    };
    let viewer = host.prepare(options).await?.attach(&conn, &[b"hi ", b"all "])?;
    let refused = (&conn).write(b"x").await.map_err(Error::from).unwrap_err();
    assert_eq!(refused.status, Status::STATE);
    let mut byte = [0];
    while (&conn).read(&mut byte).await? == 1 && byte != *b"q" {
        viewer.inject(&[b"(", &byte, b")"])?;
    }
    viewer.detach()?;
    let detached = viewer.detached().await?;
    (&conn).write_all(format!(" {} {}", detached.reason, detached.bytes).as_bytes()).await?;
    Ok(())
}

fn expect(host: &FakeHost, client: &mut tokio::net::TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    host.block_on(client.read_exact(&mut bytes)).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn a_viewer_gets_first_bytes_head_packets_and_its_connection_back() {
    let fake = FakeHost::new();
    let plugin = fake.start::<Serves>("{}").unwrap();
    let mut client = connect(&fake);
    fake.set_tracks("live/a", &[video()]);
    fake.push("live/a", &[frame(&fake, 0, true), frame(&fake, 40, false)]);

    expect(&fake, &mut client, "hi all LINESv|[cfg]K<0>;P<40>;");
    fake.block_on(client.write_all(b"a")).unwrap();
    expect(&fake, &mut client, "(a)");
    fake.block_on(client.write_all(b"q")).unwrap();
    let mut rest = String::new();
    fake.block_on(client.read_to_string(&mut rest)).unwrap();
    plugin.stop();

    assert_eq!(rest, " asked to 33");
    assert!(fake.logs().contains(&"INFO destroyed contexts=1".to_owned()), "{:?}", fake.logs());
}

#[test]
fn one_publisher_takes_one_call_at_a_time_and_many_threads() {
    let fake = FakeHost::new();
    let host = fake.host();
    let publisher =
        fake.block_on(host.publish(PublishOptions { url: "a/b", ..Default::default() })).unwrap();
    publisher.set_tracks(&[video()]).unwrap();
    let next = AtomicUsize::new(0);
    let kept = AtomicUsize::new(0);

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let dts = i64::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap();
                    match publisher.push(&[frame(&fake, dts, true)]) {
                        Ok(_) => _ = kept.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            assert!([Status::STATE, Status::INVALID].contains(&error.status))
                        }
                    }
                }
            });
        }
    });

    let stream = fake.state(|state| state.stream("a/b")).unwrap();
    assert_eq!(stream.frames.len(), kept.load(Ordering::SeqCst));
}

#[test]
fn metrics_count() {
    let fake = FakeHost::new();
    let host = fake.host();

    let counter = host.counter("test_bytes_total", "bytes").unwrap();
    let gauge = host.gauge("test_sessions", "sessions").unwrap();
    counter.add(3);
    counter.add(4);
    gauge.add(2);
    gauge.clone().add(-1);

    assert_eq!(fake.state(|state| state.metric("test_bytes_total")), Some(7.0));
    assert_eq!(fake.state(|state| state.metric("test_sessions")), Some(1.0));
}

#[test]
fn requests_are_answered_whole_in_parts_as_a_feed_or_not() {
    use plugin_api::http::{Access, Head, Method, Request, RouteOptions};
    use plugin_api::testing::HttpRequest;

    let fake = FakeHost::new();
    let host = fake.host();
    let own = host.clone();
    let respond = async move |request: Request| -> Result<(), Error> {
        let head = Head { status: 200, headers: &[("x-is", "there")] };
        match request.param("what").unwrap_or_default().as_str() {
            "whole" => {
                let text = format!("{:?} {}", request.method(), request.query());
                request.answer(head, &[text.as_bytes(), b" ", b"end"])
            }
            "parts" => {
                let body = request.begin(head)?;
                assert!(body.write(&[b"one ", b"two "]).await?);
                assert!(body.write(&[b"three"]).await?);
                body.finish()
            }
            "denied" => {
                request.refuse(&Error::denied("no"));
                Ok(())
            }
            "panic" => panic!("as asked"),
            _ => Ok(()),
        }
    };
    let options = RouteOptions {
        pattern: "/x/{what}",
        access: Access::Media,
        methods: &[Method::Get, Method::Post],
        ..RouteOptions::default()
    };
    let route = host
        .route(options, move |request| {
            own.spawn_detached("request", "", respond(request)).unwrap();
        })
        .unwrap();
    let ask = |path| fake.request(HttpRequest { path, ..HttpRequest::default() });

    let whole = ask("/x/whole?a=1").unwrap();
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"Get a=1 end"[..]));
    assert_eq!(whole.headers, [("x-is".to_owned(), "there".to_owned())]);
    assert_eq!(ask("/x/parts").unwrap().body, b"one two three");
    assert_eq!(ask("/x/denied").unwrap().refused.unwrap().status, Status::DENIED);
    assert!(ask("/x/dropped").unwrap().is_cut);
    assert!(ask("/x/panic").unwrap().is_cut);
    assert_eq!(ask("/x/a/b"), None);
    assert_eq!(fake.routes(), [("/x/{what}".to_owned(), Access::Media)]);
    drop(route);
    assert_eq!(ask("/x/whole"), None);
}
