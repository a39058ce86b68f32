//! Viewers that are sent the same bytes in one go, among some that are not, by each mechanism.

use std::time::Duration;

use super::{Pair, Server, key, read_exactly, until};
use crate::fanout::{Mechanism, Settings};
use crate::hub::Reason;
use crate::hub::feed::Settings as FeedSettings;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::TestStream;

const MECHANISMS: [Mechanism; 2] = [Mechanism::IoUring, Mechanism::Send];

/// More than one batch of a ring, and of what is sent between two looks at the inbox.
const VIEWERS: usize = 150;

fn server(sender: Mechanism) -> Server {
    Server::start(&Settings { threads: Some(1), sender, ..Settings::default() })
}

async fn view_many(server: &Server, stream: &TestStream) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for _ in 0..VIEWERS {
        pairs.push(server.view("live/a", stream, "").await);
    }
    for pair in &mut pairs {
        pair.expect("P|C1|K0;").await;
    }
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_every_byte_once_whoever_comes_goes_or_is_talked_to() {
    for mechanism in MECHANISMS {
        let server = server(mechanism);
        let stream = TestStream::new();
        stream.push(&[Key(0)], 0);
        let mut pairs = view_many(&server, &stream).await;

        let mut late = Vec::new();
        let mut expected = String::new();
        for n in 1..=60 {
            stream.push(&[Delta(n)], 3000);
            expected.push_str(&format!("d{n}{};", ".".repeat(3000)));
            match n % 3 {
                0 => pairs[usize::try_from(n).unwrap()].viewer.inject(&[b"<ping>"]).unwrap(),
                1 => drop(pairs.swap_remove(usize::try_from(n).unwrap())),
                _ => late.push(server.view("live/a", &stream, "").await),
            }
        }

        for pair in &mut pairs {
            let mut got = read_exactly(&mut pair.client, expected.len()).await;
            while let Some(at) = got.find("<ping>") {
                assert!(at == 0 || got.as_bytes()[at - 1] == b';', "not between packets");
                got.replace_range(at..at + 6, "");
                got.push_str(&read_exactly(&mut pair.client, 6).await);
            }
            assert!(got == expected, "{mechanism:?}");
        }
        for pair in &mut late {
            let text = ["P|C1|K0;", &expected].concat();
            assert!(read_exactly(&mut pair.client, text.len()).await == text, "{mechanism:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_slow_stands_apart_and_catches_up() {
    for mechanism in MECHANISMS {
        let server = Server::start(&Settings {
            threads: Some(1),
            sender: mechanism,
            send_buffer: Some(16 << 10),
            max_lag: Duration::from_secs(60),
            ..Settings::default()
        });
        let stream = TestStream::new();
        stream.push(&[Key(0)], 0);
        let (conn, mut slow) = server.connect_narrow().await;
        let prepared = server.prepare("live/a", &conn, &stream).await;
        let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
        let mut healthy = server.view("live/a", &stream, "").await;
        healthy.expect("P|C1|K0;").await;

        let mut expected = String::new();
        for n in 1..=100 {
            let text = format!("d{n}{};", ".".repeat(20_000));
            stream.push(&[Delta(n)], 20_000);
            healthy.expect(&text).await;
            expected.push_str(&text);
        }
        let text = ["P|C1|K0;", &expected].concat();
        assert!(read_exactly(&mut slow, text.len()).await == text, "{mechanism:?}");
        stream.push(&[Key(200)], 0);

        healthy.expect("K200;").await;
        assert_eq!(read_exactly(&mut slow, 5).await, "K200;");
        drop(viewer);
    }
}

#[tokio::test]
async fn figures_are_exact_while_in_sync_and_after() {
    let server = server(Mechanism::Auto);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = view_many(&server, &stream).await;

    stream.push(&[Delta(40)], 0);
    stream.push(&[Delta(80)], 0);
    for pair in &mut pairs {
        pair.expect("d40;d80;").await;
    }

    // Peers may have their bytes before the thread has counted them.
    until("the figures", || {
        let viewers = server.feeds.viewers(&key("live/a"));
        viewers.iter().all(|viewer| (viewer.bytes, viewer.lag_ms) == (16, 0))
    })
    .await;
    pairs[0].viewer.detach();
    let detached = pairs[0].detached().await;
    assert_eq!((detached.reason, detached.bytes), (Reason::Asked, 16));
    assert_eq!(pairs[0].viewer.conn().bytes_out(), 16);
}

#[tokio::test]
async fn peers_that_are_gone_leave_and_the_others_go_on() {
    for mechanism in MECHANISMS {
        let server = server(mechanism);
        let stream = TestStream::new();
        stream.push(&[Key(0)], 0);
        let mut pairs = view_many(&server, &stream).await;

        for pair in pairs.iter_mut().step_by(2) {
            // A reset, which a send may be the first to notice.
            pair.client.set_zero_linger().unwrap();
            drop(std::mem::replace(&mut pair.client, server.connect().await.1));
        }
        stream.push(&[Delta(1)], 0);
        stream.push(&[Delta(2)], 0);

        for pair in pairs.iter_mut().skip(1).step_by(2) {
            pair.expect("d1;d2;").await;
        }
        until("the gone to be gone", || server.feeds.list()[0].viewers == VIEWERS / 2).await;
    }
}

#[tokio::test]
async fn the_end_of_the_stream_reaches_all_after_its_last_packet() {
    let server = server(Mechanism::Auto);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = view_many(&server, &stream).await;

    stream.push(&[Delta(1)], 0);
    stream.end(Reason::Lost);

    for pair in &mut pairs {
        pair.expect("d1;").await;
        assert_eq!(pair.detached().await.reason, Reason::Lost);
    }
}

/// Nothing that is new goes out before a keyframe does: the budget is longer than the test.
#[tokio::test]
async fn what_is_new_waits_for_its_budget_and_keyframes_do_not() {
    let server = server(Mechanism::Auto);
    let budget = Duration::from_secs(3600);
    server.feeds.set_settings(FeedSettings { latency_budget: budget, ..FeedSettings::default() });
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = view_many(&server, &stream).await;
    stream.push(&[Key(1)], 0);
    for pair in &mut pairs {
        pair.expect("K1;").await;
    }

    let before = server.fanout.threads()[0].sends;
    for n in 2..50 {
        stream.push(&[Delta(n)], 0);
    }
    until("the packager", || server.feeds.list()[0].packets == 50).await;
    stream.push(&[Key(50)], 0);

    let deltas: String = (2..50).map(|n| format!("d{n};")).collect();
    for pair in &mut pairs {
        pair.expect(&deltas).await;
        pair.expect("K50;").await;
    }
    assert_eq!(server.fanout.threads()[0].sends - before, VIEWERS as u64);
}

#[tokio::test]
async fn what_has_waited_for_its_budget_goes() {
    let server = server(Mechanism::Auto);
    let budget = Duration::from_millis(20);
    server.feeds.set_settings(FeedSettings { latency_budget: budget, ..FeedSettings::default() });
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = view_many(&server, &stream).await;

    stream.push(&[Delta(1)], 0);

    for pair in &mut pairs {
        pair.expect("d1;").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_any_size_are_sent_whole() {
    for mechanism in MECHANISMS {
        let server = server(mechanism);
        let stream = TestStream::new();
        stream.push(&[Key(0)], 0);
        let mut pair = server.view("live/a", &stream, "").await;
        pair.expect("P|C1|K0;").await;

        for fill in [100, 300_000, 2_000_000, 100, 0, 262_144] {
            stream.push(&[Key(1), Delta(2), Delta(3)], fill);
            let fill = ".".repeat(fill);
            pair.expect(&format!("K1{fill};d2{fill};d3{fill};")).await;
        }
    }
}
