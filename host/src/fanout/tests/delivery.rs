//! What viewers receive that keep up.

use std::io::IoSlice;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::{Server, key, read_exactly, until, within};
use crate::fanout::{Error, INJECT_BYTES_MAX};
use crate::hub::Reason;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::{TestStream, TextFormat};
use crate::net::PIPE_BYTES_MAX;

#[tokio::test]
async fn viewers_get_the_feed_from_their_start_point_on() {
    let server = Server::with_threads(2);
    let stream = TestStream::new();
    stream.push(&[Key(0), Delta(40)], 0);

    let mut early = server.view("live/a", &stream, "hello ").await;
    early.expect("hello P|C1|K0;d40;").await;
    stream.push(&[Key(80), Delta(120)], 0);
    early.expect("K80;d120;").await;
    let mut late = server.view("live/a", &stream, "").await;
    stream.push(&[Delta(160)], 0);

    early.expect("d160;").await;
    late.expect("P|C1|K80;d120;d160;").await;
    // Peers may have their bytes before the thread has counted them.
    until("the figures", || {
        let viewers = server.feeds.viewers(&key("live/a"));
        let bytes: Vec<u64> = viewers.iter().map(|viewer| viewer.bytes).collect();
        bytes == ["hello P|C1|K0;d40;K80;d120;d160;".len() as u64, 19]
    })
    .await;
}

#[tokio::test]
async fn a_new_head_goes_in_band_to_readers_and_as_config_to_who_begins() {
    let server = Server::with_threads(1);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);

    let mut straight = server.view("live/a", &stream, "").await;
    straight.expect("P|C1|K0;").await;
    stream.shape();
    stream.push(&[Key(40)], 0);
    straight.expect("c2|K40;").await;
    let mut fresh = server.view("live/a", &stream, "").await;

    fresh.expect("P|C2|K40;").await;
}

#[tokio::test]
async fn readers_get_the_head_of_a_new_packager() {
    let mut server = Server::with_threads(1);
    server.registration = None;
    let format = TextFormat::default();
    format.failures.store(1, std::sync::atomic::Ordering::Relaxed);
    server.registration = Some(server.feeds.register("text", Arc::new(format)).unwrap());
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);

    let mut pair = server.view("live/a", &stream, "").await;
    stream.push(&[Delta(13)], 0);
    stream.push(&[Delta(20), Key(40), Delta(60)], 0);

    pair.expect("P|C1|K0;C1|K40;d60;").await;
}

#[tokio::test]
async fn messages_go_between_packets() {
    let server = Server::with_threads(1);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);

    let mut pair = server.view("live/a", &stream, "").await;
    pair.expect("P|C1|K0;").await;
    pair.viewer.inject(&[b"<pi", b"ng>"]).unwrap();
    pair.expect("<ping>").await;
    stream.push(&[Delta(40)], 0);

    pair.expect("d40;").await;
}

#[tokio::test]
async fn messages_that_wait_are_bounded() {
    let server = Server::with_threads(1);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let pair = server.view("live/a", &stream, "").await;

    let refused = pair.viewer.inject(&[&vec![b'x'; INJECT_BYTES_MAX + 1]]);

    assert!(matches!(refused, Err(Error::Limit)));
    pair.viewer.inject(&[&vec![b'x'; INJECT_BYTES_MAX]]).unwrap();
}

#[tokio::test]
async fn detaches_at_a_boundary_and_attaches_to_another_feed() {
    let server = Server::with_threads(1);
    let (first, second) = (TestStream::new(), TestStream::new());
    first.push(&[Key(0)], 0);
    second.push(&[Key(1000)], 0);

    let mut pair = server.view("live/a", &first, "").await;
    pair.expect("P|C1|K0;").await;
    pair.viewer.detach();
    let detached = pair.detached().await;
    first.push(&[Delta(40)], 0);
    let conn = Arc::clone(pair.viewer.conn());
    let written = std::future::poll_fn(|cx| conn.poll_write(cx, &[IoSlice::new(b"own ")])).await;
    let prepared = server.prepare("live/b", &conn, &second).await;
    let again = server.fanout.attach(&conn, prepared, &[b"again "]).unwrap();

    assert_eq!((detached.reason, detached.bytes, detached.skipped), (Reason::Asked, 8, 0));
    assert_eq!(written.unwrap(), 4);
    assert!(matches!(pair.viewer.inject(&[b"x"]), Err(Error::Detached)));
    pair.expect("own again P|C1|K1000;").await;
    assert_eq!(server.feeds.viewers(&key("live/a")).len(), 0);
    drop(again);
}

#[tokio::test]
async fn the_session_reads_what_the_peer_says() {
    let server = Server::with_threads(1);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pair = server.view("live/a", &stream, "").await;
    let conn = Arc::clone(pair.viewer.conn());
    let message: Vec<u8> = (b'a'..=b'z').cycle().take(PIPE_BYTES_MAX * 5).collect();

    let sent = message.clone();
    let writing = tokio::spawn(async move {
        pair.client.write_all(&sent).await.unwrap();
        pair
    });
    let mut got = Vec::new();
    while got.len() < message.len() {
        let mut buf = [0; 1000];
        let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf));
        let n = within("bytes", read).await.unwrap();
        got.extend_from_slice(&buf[..n]);
    }

    assert!(got == message);
    assert_eq!(conn.bytes_in(), message.len() as u64);
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn a_connection_can_be_attached_once() {
    let server = Server::with_threads(1);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let pair = server.view("live/a", &stream, "").await;

    let prepared = server.prepare("live/a", pair.viewer.conn(), &stream).await;
    let second = server.fanout.attach(pair.viewer.conn(), prepared, &[]);

    assert!(matches!(second, Err(Error::Conn(_))));
}

#[tokio::test]
async fn a_thread_wakes_up_once_per_batch_and_sends_once_per_viewer() {
    const BATCHES: u64 = 20;
    let server = Server::with_threads(2);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(server.view("live/a", &stream, "").await);
    }
    stream.push(&[Delta(1)], 0);
    for pair in &mut pairs {
        pair.expect("P|C1|K0;d1;").await;
    }

    let before = server.fanout.threads();
    for batch in 0..BATCHES {
        stream.push(&[Delta(100 + i64::try_from(batch).unwrap()), Delta(500)], 0);
        for pair in &mut pairs {
            pair.expect(&format!("d{};d500;", 100 + batch)).await;
        }
    }
    let after = server.fanout.threads();

    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.wake_ups - before.wake_ups, BATCHES);
        assert_eq!(after.sends - before.sends, BATCHES * 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_viewers_get_the_same_bytes_with_one_run_of_the_packager() {
    const VIEWERS: usize = 200;
    const BATCHES: i64 = 50;
    let server = Server::with_threads(2);
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    let mut pairs = Vec::new();
    for _ in 0..VIEWERS {
        pairs.push(server.view("live/a", &stream, "").await);
    }

    let mut expected = String::from("P|C1|K0;");
    for i in 1..=BATCHES {
        stream.push(&[Delta(i * 40)], 100);
        expected.push_str(&format!("d{}{};", i * 40, ".".repeat(100)));
    }

    for pair in &mut pairs {
        assert_eq!(read_exactly(&mut pair.client, expected.len()).await, expected);
    }
    let info = &server.feeds.list()[0];
    assert_eq!(info.packager_runs, 1 + BATCHES as u64);
    let threads = server.fanout.threads();
    assert!(threads.iter().all(|thread| thread.viewers == VIEWERS / 2), "{threads:?}");
    drop(pairs);
    until("the viewers to be gone", || server.feeds.list()[0].viewers == 0).await;
}
