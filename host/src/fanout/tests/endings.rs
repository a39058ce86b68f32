//! How viewers end, and that nothing else does with them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::{Server, key, until, within};
use crate::hub::Reason;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::TestStream;
use crate::net::CloseReason;

fn running() -> TestStream {
    let stream = TestStream::new();
    stream.push(&[Key(0)], 0);
    stream
}

#[tokio::test]
async fn viewers_get_everything_before_the_stream_ended() {
    let server = Server::with_threads(1);
    let stream = running();
    let mut pair = server.view("live/a", &stream, "").await;

    stream.push(&[Delta(40)], 1_000_000);
    stream.end(Reason::Ended);
    pair.expect(&format!("P|C1|K0;d40{};", ".".repeat(1_000_000))).await;
    let detached = pair.detached().await;

    assert_eq!(detached.reason, Reason::Ended);
    let conn = Arc::clone(pair.viewer.conn());
    std::future::poll_fn(|cx| conn.poll_shutdown(cx)).await.unwrap();
    assert_eq!(within("the end", pair.client.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn viewers_are_detached_when_the_packager_goes() {
    let mut server = Server::with_threads(1);
    let mut pair = server.view("live/a", &running(), "").await;
    pair.expect("P|C1|K0;").await;

    server.registration = None;

    assert_eq!(pair.detached().await.reason, Reason::Stopped);
}

#[tokio::test]
async fn a_peer_that_leaves_is_noticed_and_its_last_words_are_read() {
    let server = Server::with_threads(1);
    let mut pair = server.view("live/a", &running(), "").await;
    pair.expect("P|C1|K0;").await;

    tokio::io::AsyncWriteExt::write_all(&mut pair.client, b"bye").await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut pair.client).await.unwrap();

    assert_eq!(pair.detached().await.reason, Reason::PeerClosed);
    let conn = Arc::clone(pair.viewer.conn());
    let mut buf = [0; 10];
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf)).await.unwrap();
    assert_eq!(&buf[..read], b"bye");
    let end = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf)).await.unwrap();
    assert_eq!(end, 0);
}

#[tokio::test]
async fn a_peer_that_resets_is_noticed() {
    let server = Server::with_threads(1);
    let mut pair = server.view("live/a", &running(), "").await;
    pair.expect("P|C1|K0;").await;

    rustix::net::sockopt::set_socket_linger(&pair.client, Some(Duration::ZERO)).unwrap();
    let (viewer, client) = (pair.viewer, pair.client);
    drop(client);

    assert_eq!(within("the end", viewer.detached()).await.reason, Reason::PeerClosed);
}

#[tokio::test]
async fn closing_from_elsewhere_ends_a_viewer() {
    let server = Server::with_threads(1);
    let mut pair = server.view("live/a", &running(), "").await;
    pair.expect("P|C1|K0;").await;

    pair.viewer.conn().close(CloseReason::Stopped);

    assert_eq!(pair.detached().await.reason, Reason::Stopped);
    assert_eq!(within("the end", pair.client.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_closed_before_its_thread_takes_it_does_not_stay() {
    let server = Server::with_threads(1);
    let stream = running();
    let (conn, mut client) = server.connect().await;
    let prepared = server.prepare("live/a", &conn, &stream).await;

    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
    conn.close(CloseReason::Asked);
    let detached = within("the end", viewer.detached()).await;

    assert_eq!(detached.reason, Reason::Asked);
    let mut rest = Vec::new();
    within("the end", client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(server.fanout.threads()[0].viewers, 0);
}

#[tokio::test]
async fn dropping_the_handle_closes_the_connection() {
    let server = Server::with_threads(1);
    let mut pair = server.view("live/a", &running(), "").await;
    pair.expect("P|C1|K0;").await;

    let (viewer, mut client) = (pair.viewer, pair.client);
    drop(viewer);

    assert_eq!(within("the end", client.read(&mut [0; 1])).await.unwrap(), 0);
    until("the list to be empty", || server.feeds.viewers(&key("live/a")).is_empty()).await;
}

#[tokio::test]
async fn stopping_detaches_everybody_and_refuses_others() {
    let server = Server::with_threads(2);
    let stream = running();
    let mut pair = server.view("live/a", &stream, "").await;
    pair.expect("P|C1|K0;").await;

    let fanout = server.fanout.clone();
    let stopping = tokio::task::spawn_blocking(move || fanout.stop(Duration::from_secs(5)));
    let detached = pair.detached().await;
    within("the threads", stopping).await.unwrap();
    let prepared = server.prepare("live/a", pair.viewer.conn(), &stream).await;
    let late = server.fanout.attach(pair.viewer.conn(), prepared, &[]);

    assert_eq!(detached.reason, Reason::Stopped);
    assert!(matches!(late, Err(super::super::Error::Stopped)));
}

#[tokio::test]
async fn a_panic_closes_the_threads_viewers_and_no_others() {
    let server = Server::with_threads(2);
    let stream = running();
    let mut hit = server.view("live/a", &stream, "").await;
    let mut spared = server.view("live/a", &stream, "").await;
    hit.expect("P|C1|K0;").await;
    spared.expect("P|C1|K0;").await;

    server.fanout.panic_in(0);
    let detached = hit.detached().await;
    stream.push(&[Delta(40)], 0);
    let mut next = server.view("live/a", &stream, "").await;

    assert_eq!(detached.reason, Reason::Error);
    spared.expect("d40;").await;
    next.expect("P|C1|K0;d40;").await;
    let conn = Arc::clone(hit.viewer.conn());
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut [0; 1])).await;
    assert!(read.is_err());
}
