//! Viewers over TLS: the same bytes, however little the kernel takes at a time.

use std::io::{IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;

use super::{Server, within};
use crate::fanout::Settings;
use crate::hub::Reason;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::TestStream;
use crate::net::tls::Profile;
use crate::net::tls::tests::{Client, client, write_pair};
use crate::net::{Conn, ListenOptions, Net};

/// Bytes of a frame's payload: more than a TLS record, and all frames more than all buffers on the way.
const FILL: usize = 50_000;
const FRAMES: i64 = 40;

/// A connection whose handshake is through, to a peer whose kernel holds little.
async fn connect(folder: &TempDir) -> (Arc<Conn>, Client) {
    let settings = write_pair(folder.path(), 2100);
    let profile = Profile::load("site", settings.clone()).unwrap();
    let options = ListenOptions { tls: Some(Arc::new(profile)), ..ListenOptions::default() };
    let listener = Net::new(Handle::current()).listen_with("127.0.0.1:0", options).unwrap();
    let address: SocketAddr = listener.local_addr();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let socket = socket.connect(address).await.unwrap().into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    let conn = listener.accept().await.unwrap();
    let mut client = client(&settings, socket);
    let theirs = tokio::task::spawn_blocking(move || {
        client.write_all(b"play").unwrap();
        client
    });
    assert_eq!(read(&conn).await, b"play");
    (conn, theirs.await.unwrap())
}

async fn read(conn: &Conn) -> Vec<u8> {
    let mut buf = vec![0; 100];
    let n = within("bytes", std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf))).await.unwrap();
    buf.truncate(n);
    buf
}

fn settings() -> Settings {
    Settings {
        threads: Some(1),
        send_buffer: Some(16 << 10),
        stall_timeout: Duration::from_millis(700),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_peer_gets_every_byte_and_the_connection_comes_back() {
    let server = Server::start(&settings());
    let stream = TestStream::new();
    stream.push(&[Key(0)], FILL);
    let folder = TempDir::new().unwrap();
    let (conn, mut client) = connect(&folder).await;
    let prepared = server.prepare("live/a", &conn, &stream).await;
    let viewer = server.fanout.attach(&conn, prepared, &[b"first "]).unwrap();
    (1..FRAMES).for_each(|n| stream.push(&[Delta(n * 40)], FILL));

    let mut expected = format!("first P|C1|K0{};", ".".repeat(FILL));
    (1..FRAMES).for_each(|n| expected.push_str(&format!("d{}{};", n * 40, ".".repeat(FILL))));
    let theirs = tokio::task::spawn_blocking(move || {
        client.write_all(b"ack").unwrap();
        let mut got = vec![0; expected.len()];
        for (n, piece) in got.chunks_mut(3001).enumerate() {
            if n.is_multiple_of(100) {
                std::thread::sleep(Duration::from_millis(100));
            }
            client.read_exact(piece).unwrap();
        }
        assert!(got == expected.as_bytes());
        let mut bye = String::new();
        client.read_to_string(&mut bye).unwrap();
        bye
    });

    assert_eq!(read(&conn).await, b"ack");
    stream.end(Reason::Ended);
    let detached = within("the end", viewer.detached()).await;
    assert_eq!((detached.reason, detached.skipped), (Reason::Ended, 0));
    let bye = std::future::poll_fn(|cx| conn.poll_write(cx, &[IoSlice::new(b"bye")]));
    assert_eq!(within("room", bye).await.unwrap(), 3);
    within("an end", std::future::poll_fn(|cx| conn.poll_shutdown(cx))).await.unwrap();
    assert_eq!(theirs.await.unwrap(), "bye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_nothing_is_closed() {
    let server = Server::start(&settings());
    let stream = TestStream::new();
    stream.push(&[Key(0)], FILL);
    let folder = TempDir::new().unwrap();
    let (conn, client) = connect(&folder).await;
    let prepared = server.prepare("live/a", &conn, &stream).await;
    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();

    (1..FRAMES).for_each(|n| stream.push(&[Delta(n * 40)], FILL));

    assert_eq!(within("the end", viewer.detached()).await.reason, Reason::Stalled);
    drop(client);
}
