//! Clients that send one byte at a time, as little as it takes to look alive: each is closed at the bound of what it does.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::clips::Clip;
use harness::live::{self, Live};
use harness::media::{self, Frames, Until};
use harness::rtmp::feed::{repeated, tags};
use harness::server::Setup;
use harness::tls::Certificate;
use harness::{artifacts, wait};
use serde_json::json;

use crate::{LIMIT, feed};

/// Time from byte to byte.
const STEP: Duration = Duration::from_millis(100);
/// Clients of each kind.
const CLIENTS: usize = 20;
/// What a busy machine may take longer.
const SLACK: Duration = Duration::from_secs(2);
/// What all of them together may cost.
const GROWTH_MAX_KIB: u64 = 20 << 10;

/// As the config below says.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// What the server adds for its coarser time-outs to answer first.
const GRACE: Duration = Duration::from_secs(1);

/// A way to be slow.
struct Drip {
    name: &'static str,
    address: SocketAddr,
    /// Sent at once.
    first: Vec<u8>,
    /// Sent byte by byte, over and over.
    rest: &'static [u8],
    /// When it has to be over.
    bound: Duration,
}

struct Client<'a> {
    drip: &'a Drip,
    socket: TcpStream,
    sent: usize,
    closed: Option<Duration>,
}

impl<'a> Client<'a> {
    fn open(drip: &'a Drip) -> Self {
        let mut socket = live::connect(drip.address);
        socket.write_all(&drip.first).expect("a new connection has room");
        socket.set_nonblocking(true).expect("a socket option");
        Self { drip, socket, sent: 0, closed: None }
    }

    /// Sends a byte and looks whether the server has had enough.
    fn step(&mut self, since: Instant) {
        if self.closed.is_some() {
            return;
        }
        let byte = self.drip.rest[self.sent % self.drip.rest.len()];
        self.sent += 1;
        let written = self.socket.write(&[byte]);
        let mut answer = [0; 8192];
        let is_closed = match self.socket.read(&mut answer) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        if is_closed || written.is_err() {
            self.closed = Some(since.elapsed());
        }
    }
}

#[test]
fn clients_that_drip_are_closed_and_disturb_nobody() {
    let certificate = Certificate::new(30);
    let config = json!({
        "tls": { "site": certificate.profile() },
        "http": {
            "https_listen": "127.0.0.1:0", "tls": "site", "head_timeout": "1s", "keep_alive": "1s",
        },
        "plugins": { "rtmp": {
            "tls_listen": "127.0.0.1:0", "tls": "site", "handshake_timeout": "2s",
        } },
    });
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).config(&config).start();
    let cues = repeated(Clip::BFrames.media().tags(), 20);
    let _feed = feed(&server, "live/x", cues.clone());
    let (http, https) = (server.address("http"), server.address("https"));
    let (rtmp, rtmps) = (server.rtmp(), server.address("rtmps"));
    let viewer = Live::http(http, "/flv/live/x.flv");
    viewer.wait_for_frames(20);
    let memory = server.resident_kib();
    let idle = KEEP_ALIVE + HEAD_TIMEOUT + GRACE;
    let drip = |name, address, first: &[u8], rest, bound| Drip {
        name,
        address,
        first: first.to_vec(),
        rest,
        bound,
    };
    let post = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").into_bytes()
    };
    let drips = [
        drip("head", http, b"GET / HTTP/1.1\r\n", b"X: y\r\n", HEAD_TIMEOUT + GRACE),
        drip("method", http, b"", b"G", HEAD_TIMEOUT + GRACE),
        drip("second head", http, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", b"/", idle),
        drip("refused body", http, &post("/api/v1/streams/x/stop"), b"x", idle),
        drip("body for nobody", http, &post("/nowhere"), b"x", idle),
        drip("body for a player's path", http, &post("/flv/live/x.flv"), b"x", idle),
        drip(
            "chunks",
            http,
            b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
            idle,
        ),
        drip(
            "hello to HTTPS",
            https,
            b"\x16\x03\x01\x3f\xff\x01\0\x3f\xfb",
            b"\x03",
            HEAD_TIMEOUT + GRACE,
        ),
        drip(
            "hello to RTMPS",
            rtmps,
            b"\x16\x03\x01\x3f\xff\x01\0\x3f\xfb",
            b"\x03",
            HANDSHAKE_TIMEOUT,
        ),
        drip("handshake", rtmp, b"\x03", b"\0", HANDSHAKE_TIMEOUT),
        drip(
            "chunk",
            rtmp,
            // C0, C1, C2, and the head of a command of 5,000 bytes.
            &[&[3][..], &[0; 2 * 1536], b"\x03\0\0\0\0\x13\x88\x14\0\0\0\0"].concat(),
            b"\x02",
            HANDSHAKE_TIMEOUT,
        ),
    ];

    let begin = Instant::now();
    let mut clients: Vec<Client<'_>> = Vec::new();
    for drip in &drips {
        clients.extend((0..CLIENTS).map(|_| Client::open(drip)));
    }
    let last = drips.iter().map(|drip| drip.bound).max().unwrap_or_default() + SLACK;
    for step in 1.. {
        wait::pace_until(begin + STEP * step);
        clients.iter_mut().for_each(|client| client.step(begin));
        if begin.elapsed() > last || clients.iter().all(|client| client.closed.is_some()) {
            break;
        }
    }

    for client in &clients {
        let (name, bound) = (client.drip.name, client.drip.bound);
        let closed = client.closed.unwrap_or_else(|| panic!("{name}: open after {last:?}"));
        assert!(closed <= bound + SLACK, "{name}: closed after {closed:?}, not {bound:?}");
    }
    let grown = server.resident_kib().saturating_sub(memory);
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    let lines = server.log_tail(1000).lines().count();
    assert!(lines < 60, "{lines} lines:\n{}", server.log_tail(20));
    let seen = viewer.tags().len();
    viewer.wait_for_frames(seen + 20);
    let source = Frames::of_tags(&tags(&cues));
    media::assert_same("the viewer beside", &source, &viewer.frames(), Until::Cut);
}

#[test]
fn a_websocket_that_stops_in_a_frame_still_gets_its_stream() {
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).start();
    let cues = repeated(Clip::BFrames.media().tags(), 20);
    let _feed = feed(&server, "live/x", cues.clone());
    let mut viewer = Live::websocket(server.address("http"), "/flv/live/x.flv");
    viewer.wait_for_frames(20);

    // A frame of 2^62 bytes, of which one comes.
    viewer.send_raw(b"\x82\xff\x40\0\0\0\0\0\0\0\x01\x02\x03\x04x");

    let seen = viewer.tags().len();
    viewer.wait_for_frames(seen + 50);
    let source = Frames::of_tags(&tags(&cues));
    media::assert_same("the WebSocket", &source, &viewer.frames(), Until::Cut);
}

/// Its pongs fill what the kernel and the server hold for it; the stream comes on top.
#[test]
fn a_websocket_that_pings_and_never_reads_is_closed() {
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).start();
    let _feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 20));
    let mut viewer = Live::websocket(server.address("http"), "/flv/live/x.flv");
    viewer.wait_for_frames(20);
    let memory = server.resident_kib();
    viewer.stop_reading();

    let pings = b"\x89\xfd\0\0\0\0".iter().chain([b'x'; 125].iter()).copied().collect::<Vec<u8>>();
    let begin = Instant::now();
    while viewer.try_send_raw(&pings).is_ok() {
        assert!(begin.elapsed() < LIMIT, "the server takes pings for ever");
    }

    server.wait_for_event("viewer.stop", LIMIT, |_| true);
    let grown = server.resident_kib().saturating_sub(memory);
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
}
