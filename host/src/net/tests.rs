//! Over loopback: what a session sees of a listener and of a connection, lent and not.

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{
    Borrower, CloseReason, Conn, Error, Limits, ListenOptions, Listener, Net, PIPE_BYTES_MAX,
    ProxyProtocol,
};

const DEADLINE: Duration = Duration::from_secs(10);

async fn pair() -> (Arc<Conn>, TcpStream) {
    let net = Net::new(Handle::current());
    let listener = net.listen("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    (listener.accept().await.unwrap(), client)
}

async fn read(conn: &Conn, len: usize) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0; len];
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf));
    let n = tokio::time::timeout(DEADLINE, read).await.expect("bytes to read")?;
    buf.truncate(n);
    Ok(buf)
}

async fn write(conn: &Conn, bytes: &[u8]) -> Result<usize, Error> {
    std::future::poll_fn(|cx| conn.poll_write(cx, &[IoSlice::new(bytes)])).await
}

#[derive(Default)]
struct Seen {
    resumed: AtomicUsize,
    closed: Mutex<Option<CloseReason>>,
}

impl Borrower for Seen {
    fn resume_reading(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    fn close(&self, reason: CloseReason) {
        *self.closed.lock() = Some(reason);
    }
}

/// As a plugin does on a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_outside_of_the_runtime_accepts() {
    let net = Net::new(Handle::current());
    let listener = net.listen("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr()).unwrap();

    let accepting = std::thread::spawn(move || {
        let deadline = Instant::now() + DEADLINE;
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match listener.poll_accept(&mut cx) {
                Poll::Ready(accepted) => return accepted.map(|conn| conn.peer()),
                Poll::Pending => assert!(Instant::now() < deadline, "no connection"),
            }
            std::thread::yield_now();
        }
    });

    let accepted = accepting.join().expect("no panic");
    assert_eq!(accepted.unwrap(), client.local_addr().unwrap());
}

#[tokio::test]
async fn a_dual_stack_listener_shows_ipv4_peers_as_ipv4() {
    let net = Net::new(Handle::current());
    let listener = net.listen(":0").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().port()));

    let client = TcpStream::connect(address).unwrap();
    let conn = listener.accept().await.unwrap();

    assert_eq!(conn.peer(), client.local_addr().unwrap());
    assert_eq!(conn.local(), address);
}

#[tokio::test]
async fn a_taken_port_names_the_address_and_the_holder() {
    let net = Net::new(Handle::current());
    let first = net.listen("127.0.0.1:0").unwrap();
    let address = first.local_addr();

    let error = net.listen(&address.to_string()).unwrap_err();

    let own_pid = std::process::id();
    assert!(matches!(&error, Error::Conflict { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains(&format!("(pid {own_pid})")), "{text}");
}

#[tokio::test]
async fn connections_have_different_numbers_and_count_bytes() {
    let net = Net::new(Handle::current());
    let listener = net.listen("127.0.0.1:0").unwrap();
    let ours = net.connect(&listener.local_addr().to_string(), DEADLINE).wait().await.unwrap();
    let theirs = listener.accept().await.unwrap();

    write(&ours, b"abc").await.unwrap();

    assert_eq!(read(&theirs, 10).await.unwrap(), b"abc");
    assert_ne!(ours.id(), theirs.id());
    assert_eq!((ours.bytes_out(), theirs.bytes_in()), (3, 3));
}

#[tokio::test]
async fn closing_a_listener_wakes_who_waits() {
    let net = Net::new(Handle::current());
    let listener = Arc::new(net.listen("127.0.0.1:0").unwrap());
    let waiting = tokio::spawn({
        let listener = Arc::clone(&listener);
        async move { listener.accept().await }
    });
    tokio::task::yield_now().await;

    listener.close();

    let result = tokio::time::timeout(DEADLINE, waiting).await.expect("the wake-up").unwrap();
    assert!(matches!(result, Err(Error::State(_))));
}

#[tokio::test]
async fn closing_a_connection_wakes_its_reader() {
    let (conn, mut client) = pair().await;
    let reading = tokio::spawn({
        let conn = Arc::clone(&conn);
        async move { read(&conn, 10).await }
    });
    tokio::task::yield_now().await;

    conn.close(CloseReason::Asked);

    assert!(matches!(reading.await.unwrap(), Err(Error::State(_))));
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

/// Begins to read, with nothing there.
async fn begin_read(conn: &Arc<Conn>) -> JoinHandle<Result<Vec<u8>, Error>> {
    let conn = Arc::clone(conn);
    let reading = tokio::spawn(async move { read(&conn, 10).await });
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    reading
}

#[tokio::test]
async fn a_reader_that_emptied_the_socket_hears_of_later_bytes_and_of_the_end() {
    let (conn, mut client) = pair().await;

    for bytes in [&b"one"[..], b"two", b"three"] {
        let reading = begin_read(&conn).await;
        client.write_all(bytes).unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), bytes);
    }
    let reading = begin_read(&conn).await;
    client.shutdown(Shutdown::Write).unwrap();

    assert_eq!(reading.await.unwrap().unwrap(), b"");
    assert_eq!(read(&conn, 10).await.unwrap(), b"", "and again");
}

#[tokio::test]
async fn what_does_not_fit_into_one_read_is_read_next_and_so_is_an_end_that_is_there() {
    let (conn, mut client) = pair().await;

    client.write_all(b"0123456789").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    for expected in [&b"0123"[..], b"4567", b"89", b""] {
        assert_eq!(read(&conn, 4).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_reset_after_a_read_wakes_the_reader() {
    let (conn, mut client) = pair().await;
    client.write_all(b"one").unwrap();
    assert_eq!(read(&conn, 10).await.unwrap(), b"one");
    let reading = begin_read(&conn).await;

    // Closed with unread input, a socket resets its connection.
    write(&conn, b"unread").await.unwrap();
    client.peek(&mut [0; 1]).unwrap();
    drop(client);

    assert!(matches!(reading.await.unwrap(), Err(Error::Io(_))));
}

#[tokio::test]
async fn shutdown_lets_the_peer_read_to_the_end() {
    let (conn, mut client) = pair().await;

    write(&conn, b"last").await.unwrap();
    std::future::poll_fn(|cx| conn.poll_shutdown(cx)).await.unwrap();

    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"last");
    client.write_all(b"bye").unwrap();
    assert_eq!(read(&conn, 10).await.unwrap(), b"bye");
}

#[tokio::test]
async fn a_lent_connection_reads_through_the_pipe_and_writes_again_afterwards() {
    let (conn, mut client) = pair().await;
    let reading = tokio::spawn({
        let conn = Arc::clone(&conn);
        async move { read(&conn, 10).await }
    });
    tokio::task::yield_now().await;

    let lent = conn.lend(Arc::new(Seen::default())).unwrap();
    lent.pipe.push(b"ping");
    let first = reading.await.unwrap().unwrap();
    let refused = write(&conn, b"x").await;
    lent.pipe.push(b"unread");
    conn.give_back(lent);
    client.write_all(b"fresh").unwrap();

    assert_eq!(first, b"ping");
    assert!(matches!(refused, Err(Error::State(_))));
    assert_eq!(read(&conn, 10).await.unwrap(), b"unread");
    assert_eq!(read(&conn, 10).await.unwrap(), b"fresh");
    write(&conn, b"y").await.unwrap();
    let mut byte = [0; 1];
    client.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"y");
}

#[tokio::test]
async fn nothing_unread_is_lost_over_two_loans() {
    let (conn, _client) = pair().await;

    let lent = conn.lend(Arc::new(Seen::default())).unwrap();
    lent.pipe.push(b"one ");
    conn.give_back(lent);
    let lent = conn.lend(Arc::new(Seen::default())).unwrap();
    lent.pipe.push(b"two");
    conn.give_back(lent);

    assert_eq!(read(&conn, 10).await.unwrap(), b"one two");
}

#[tokio::test]
async fn a_full_pipe_tells_the_borrower_once_there_is_room() {
    let (conn, _client) = pair().await;
    let seen = Arc::new(Seen::default());
    let lent = conn.lend(Arc::clone(&seen) as Arc<dyn Borrower>).unwrap();

    lent.pipe.push(&vec![7; PIPE_BYTES_MAX]);
    assert_eq!(lent.pipe.room(), 0);
    read(&conn, 100).await.unwrap();
    read(&conn, 100).await.unwrap();

    assert_eq!(seen.resumed.load(Ordering::Relaxed), 1);
    assert_eq!(lent.pipe.room(), 200);
}

#[tokio::test]
async fn the_end_comes_after_the_bytes() {
    let (conn, _client) = pair().await;
    let lent = conn.lend(Arc::new(Seen::default())).unwrap();

    lent.pipe.push(b"last");
    lent.pipe.finish();

    assert_eq!(read(&conn, 10).await.unwrap(), b"last");
    assert_eq!(read(&conn, 10).await.unwrap(), b"");
}

#[tokio::test]
async fn closing_a_lent_connection_tells_the_borrower() {
    let (conn, mut client) = pair().await;
    let seen = Arc::new(Seen::default());
    let lent = conn.lend(Arc::clone(&seen) as Arc<dyn Borrower>).unwrap();

    conn.close(CloseReason::Stopped);
    conn.give_back(lent);

    assert_eq!(*seen.closed.lock(), Some(CloseReason::Stopped));
    assert!(matches!(read(&conn, 1).await, Err(Error::State(_))));
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

fn gated(handshaking_per_address: usize) -> Net {
    let limits = Limits {
        handshaking_per_address,
        trusted_proxies: Arc::new(|peer| peer.is_loopback()),
        ..Limits::default()
    };
    Net::with_limits(Handle::current(), limits)
}

fn behind_proxy(net: &Net, proxy_protocol: ProxyProtocol) -> Listener {
    let options = ListenOptions { proxy_protocol, ..ListenOptions::default() };
    net.listen_with("127.0.0.1:0", options).unwrap()
}

fn connect(listener: &Listener, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(listener.local_addr()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(bytes).unwrap();
    client
}

async fn accept(listener: &Listener) -> Arc<Conn> {
    tokio::time::timeout(DEADLINE, listener.accept()).await.expect("a connection").unwrap()
}

async fn is_closed_at_once(listener: &Listener, mut client: TcpStream) -> bool {
    let reading = tokio::task::spawn_blocking(move || client.read(&mut [0; 1]));
    let accepting = async {
        loop {
            listener.accept().await.unwrap();
        }
    };
    tokio::select! {
        read = reading => matches!(read.unwrap(), Ok(0) | Err(_)),
        () = accepting => false,
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_its_peer_is() {
    let net = gated(64);
    for proxy_protocol in [ProxyProtocol::Optional, ProxyProtocol::Required] {
        let listener = behind_proxy(&net, proxy_protocol);

        let _client = connect(&listener, b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 1935\r\nC0C1");
        let conn = accept(&listener).await;

        assert_eq!(conn.peer().to_string(), "203.0.113.9:4000");
        assert_eq!(read(&conn, 100).await.unwrap(), b"C0C1");
    }
}

#[tokio::test]
async fn a_header_may_be_left_out_or_must_not() {
    let net = gated(64);
    let optional = behind_proxy(&net, ProxyProtocol::Optional);
    let required = behind_proxy(&net, ProxyProtocol::Required);
    let off = behind_proxy(&net, ProxyProtocol::Off);
    let header = b"PROXY UNKNOWN\r\n";

    let client = connect(&optional, b"\x03CCC");
    let conn = accept(&optional).await;
    assert_eq!(conn.peer(), client.local_addr().unwrap());
    assert_eq!(read(&conn, 100).await.unwrap(), b"\x03CCC");

    assert!(is_closed_at_once(&required, connect(&required, b"\x03CCC")).await);

    let _client = connect(&off, header);
    assert_eq!(read(&*accept(&off).await, 100).await.unwrap(), header);
    assert_eq!(net.refused().proxy_header, 1);
}

#[tokio::test]
async fn others_may_not_send_a_header() {
    let net = Net::new(Handle::current());
    let optional = behind_proxy(&net, ProxyProtocol::Optional);
    let required = behind_proxy(&net, ProxyProtocol::Required);
    let header = b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 1935\r\n";

    let client = connect(&optional, header);
    let conn = accept(&optional).await;
    assert_eq!(conn.peer(), client.local_addr().unwrap());
    assert_eq!(read(&conn, 100).await.unwrap(), header, "it is the protocol's first bytes");

    assert!(is_closed_at_once(&required, connect(&required, header)).await);
}

#[tokio::test]
async fn a_silent_proxy_holds_up_nobody() {
    let net = gated(64);
    let listener = behind_proxy(&net, ProxyProtocol::Required);

    let _silent = connect(&listener, b"PROXY TCP4 ");
    let _client = connect(&listener, b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 1935\r\n");

    assert_eq!(accept(&listener).await.peer().to_string(), "203.0.113.9:4000");
}

#[tokio::test]
async fn one_address_has_few_connections_that_say_nothing() {
    let net = gated(2);
    let listener = behind_proxy(&net, ProxyProtocol::Required);
    let header = |ip: &str| format!("PROXY TCP4 {ip} 192.0.2.1 4000 1935\r\n");
    let first = connect(&listener, header("203.0.113.9").as_bytes());
    let second = connect(&listener, header("203.0.113.9").as_bytes());
    let (one, two) = (accept(&listener).await, accept(&listener).await);

    let third = connect(&listener, header("203.0.113.9").as_bytes());
    assert!(is_closed_at_once(&listener, third).await);
    assert_eq!(net.refused().handshaking, 1);

    let _other = connect(&listener, header("203.0.113.10").as_bytes());
    assert_eq!(accept(&listener).await.peer().ip().to_string(), "203.0.113.10");
    one.established();
    let _fourth = connect(&listener, header("203.0.113.9").as_bytes());
    assert_eq!(accept(&listener).await.peer().ip().to_string(), "203.0.113.9");
    drop((first, second, two));
}
