//! Viewers that don't keep up, beside one that does.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{DEADLINE, Server, read_exactly, within};
use crate::fanout::Settings;
use crate::hub::Reason;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::TestStream;

/// Bytes of a frame's payload: a GOP is more than the kernel holds for a narrow peer.
const FILL: usize = 20_000;
const GOPS: i64 = 60;
const LAST: i64 = GOPS * 200 - 40;

fn push_gop(stream: &TestStream, gop: i64) {
    let at = gop * 200;
    stream.push(&[Key(at)], FILL);
    stream.push(&[Delta(at + 40), Delta(at + 80)], FILL);
    stream.push(&[Delta(at + 120), Delta(at + 160)], FILL);
}

fn whole_feed() -> String {
    let mut text = String::from("P|C1|");
    for at in (0..=LAST).step_by(40) {
        let kind = if at % 200 == 0 { 'K' } else { 'd' };
        text.push_str(&format!("{kind}{at}{};", ".".repeat(FILL)));
    }
    text
}

/// The packets up to the last of the stream, each checked to be whole.
async fn read_packets(client: &mut TcpStream) -> Vec<(bool, i64)> {
    let mut text = String::new();
    let end = format!("d{LAST}{};", ".".repeat(FILL));
    let mut buf = vec![0; 64 << 10];
    while !text.ends_with(&end) {
        let n = within("bytes", client.read(&mut buf)).await.unwrap();
        assert!(n > 0, "closed");
        text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
    }
    let packets = text.strip_prefix("P|C1|").unwrap().split_terminator(';');
    let parsed = packets.map(|packet| {
        let (name, fill) = packet.split_at(packet.len() - FILL);
        assert!(fill.bytes().all(|byte| byte == b'.'), "{name} is not whole");
        (name.starts_with('K'), name[1..].parse().unwrap())
    });
    parsed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_viewer_jumps_to_start_points_and_others_lose_nothing() {
    let server = Server::start(&Settings {
        threads: Some(1),
        max_lag: Duration::from_millis(300),
        send_buffer: Some(16 << 10),
        ..Settings::default()
    });
    let stream = TestStream::new();
    push_gop(&stream, 0);
    let (conn, mut slow) = server.connect_narrow().await;
    let prepared = server.prepare("live/a", &conn, &stream).await;
    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
    let mut healthy = server.view("live/a", &stream, "").await;

    let expected = whole_feed();
    let mut seen = read_exactly(&mut healthy.client, "P|C1|".len()).await;
    for gop in 0..GOPS {
        if gop > 0 {
            push_gop(&stream, gop);
        }
        let len = (expected.len() * usize::try_from(gop + 1).unwrap()).div_ceil(60);
        let due = len.min(expected.len()).saturating_sub(seen.len() + FILL);
        seen.push_str(&read_exactly(&mut healthy.client, due).await);
    }
    let packets = read_packets(&mut slow).await;
    seen.push_str(&read_exactly(&mut healthy.client, expected.len() - seen.len()).await);

    assert!(seen == expected);
    let mut last = -40;
    let mut missing = 0;
    for (is_key, at) in packets {
        assert!(at > last);
        assert!(at == last + 40 || is_key, "resumed at {at}, not a start point");
        missing += at / 40 - last / 40 - 1;
        last = at;
    }
    viewer.detach();
    let detached = within("the end", viewer.detached()).await;
    assert!(missing > 0);
    assert_eq!(detached.skipped, u64::try_from(missing).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_takes_nothing_is_closed() {
    let settings =
        Settings { threads: Some(1), send_buffer: Some(16 << 10), ..Settings::default() };
    let server = Server::start(&settings);
    let stall_timeout = Duration::from_millis(50);
    server.fanout.set_limits(&Settings { stall_timeout, ..settings });
    let stream = TestStream::new();
    push_gop(&stream, 0);
    let (conn, mut client) = server.connect_narrow().await;
    let prepared = server.prepare("live/a", &conn, &stream).await;

    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
    push_gop(&stream, 1);
    let detached = within("the end", viewer.detached()).await;

    assert_eq!(detached.reason, Reason::Stalled);
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut [0; 1])).await;
    assert!(read.is_err());
    // The kernel has thrown away what it held: the peer sees a reset.
    let rest = tokio::time::timeout(DEADLINE, client.read_to_end(&mut Vec::new())).await.unwrap();
    assert!(rest.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detaching_a_full_viewer_finishes_the_packet_begun() {
    let server = Server::start(&Settings {
        threads: Some(1),
        send_buffer: Some(16 << 10),
        ..Settings::default()
    });
    let stream = TestStream::new();
    stream.push(&[Key(0)], 2_000_000);
    stream.push(&[Delta(40)], 10);
    let (conn, mut client) = server.connect_narrow().await;
    let prepared = server.prepare("live/a", &conn, &stream).await;
    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
    let first = read_exactly(&mut client, 10).await;

    viewer.inject(&[b"<pong>"]).unwrap();
    viewer.detach();
    let rest = read_exactly(&mut client, "P|C1|K0;<pong>".len() + 2_000_000 - 10).await;

    let all = first + &rest;
    assert!(all.starts_with("P|C1|K0.."));
    assert!(all.ends_with("..;<pong>"));
    assert_eq!(within("the end", viewer.detached()).await.reason, Reason::Asked);
    let conn = Arc::clone(viewer.conn());
    assert!(!conn.is_closed());
}
