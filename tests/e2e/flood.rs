//! Many clients that connect and say nothing, or half of something: they cost little, and nobody notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::clips::Clip;
use harness::front::Front;
use harness::live::Live;
use harness::rtmp::feed::repeated;
use harness::rtmp::{Client, Dialect, Player};
use harness::server::{Server, Setup};
use harness::socket::connect_from;
use harness::tls::Certificate;
use harness::{artifacts, http, wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::{LIMIT, feed};

/// Connections at a time.
const HALF_OPEN: usize = 10_000;
/// One every so often, 2,500 a second: client and server share the machine with the viewers.
const PACE: Duration = Duration::from_micros(400);
/// Descriptors that server and test need besides.
const OTHERS: usize = 500;
/// From addresses of their own, so that no port of the client runs out: 127.0.1.1 and up.
const ADDRESSES: usize = 200;
/// What all of them may cost.
const GROWTH_MAX_KIB: u64 = 200 << 10;
/// For how long viewers are watched without and with them.
const WATCHED: Duration = Duration::from_secs(3);
/// How much longer the longest pause between packets may become.
const GAP_MORE_MAX: Duration = Duration::from_millis(40);
/// How often it is tried at most.
const ROUNDS_MAX: usize = 3;
/// How long a new client may wait.
const ACCEPT_MAX: Duration = Duration::from_secs(1);

/// The begin of a ClientHello that announces 512 bytes.
const HALF_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02";

/// As many as the limit of descriptors allows: each process has one of its own, server and test the same.
fn how_many() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .expect("up to the hard limit is allowed");
    // The kernel's table, as large as it will be: when it grows, threads of the test wait too.
    let highest = i32::try_from(HALF_OPEN + OTHERS).expect("a small number");
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest));
    let hard = limit.maximum.map_or(usize::MAX, |hard| usize::try_from(hard).unwrap_or(usize::MAX));
    let count = HALF_OPEN.min(hard.saturating_sub(OTHERS));
    if count < HALF_OPEN {
        // Not by a macro: those are captured when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "*** {count} half-open connections and not {HALF_OPEN}: the hard limit of descriptors is {hard} ***"
        );
    }
    count
}

/// Opens connections to all ports in turn, every second one with the begin of what the port expects.
fn open_half(server: &Server, count: usize) -> Vec<TcpStream> {
    let half_handshake = [&[3][..], &[7; 700]].concat();
    let ports: [(SocketAddr, &[u8]); 4] = [
        (server.rtmp(), &half_handshake),
        (server.address("rtmps"), HALF_HELLO),
        (server.address("http"), b"GET /flv/live/x.flv HTTP/1.1\r\nHos"),
        (server.address("https"), HALF_HELLO),
    ];
    let open = |n: usize| {
        let (address, half) = ports[n % ports.len()];
        let last = u8::try_from(1 + n % ADDRESSES).expect("few addresses");
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, last));
        let mut socket = connect_from(source, address)
            .unwrap_or_else(|error| panic!("connection {n} to {address}: {error}"));
        if n / ports.len() % 2 == 1 {
            socket.write_all(half).expect("a few bytes have room");
        }
        socket
    };
    let begin = Instant::now();
    let paced = |n: usize| {
        wait::pace_until(begin + PACE * u32::try_from(n).expect("not that many"));
        open(n)
    };
    (0..count).map(paced).collect()
}

fn descriptors(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.process_id());
    std::fs::read_dir(folder).expect("the server runs").count()
}

/// Viewers whose packets are timed.
struct Watchers {
    live: Vec<Live>,
    player: Player,
}

impl Watchers {
    fn open(server: &Server) -> Self {
        let address = server.address("http");
        let live = vec![
            Live::http(address, "/flv/live/x.flv"),
            Live::websocket(address, "/flv/live/x.flv"),
        ];
        let player = Player::open(server.rtmp(), "live/x");
        live.iter().for_each(|live| live.wait_for_frames(20));
        player.wait_for_video(20, LIMIT);
        Self { live, player }
    }

    /// The longest time for which one of them got nothing, from `begin` on.
    fn longest_gap(&self, begin: Instant) -> Duration {
        let mut arrivals: Vec<Vec<Instant>> = self.live.iter().map(Live::arrivals).collect();
        arrivals.push(self.player.media().iter().map(|message| message.at).collect());
        let end = Instant::now();
        let longest = |moments: Vec<Instant>| {
            let moments = moments.into_iter().filter(|at| *at > begin).chain([end]);
            let gaps = moments.scan(begin, |before, at| {
                let gap = at - *before;
                *before = at;
                Some(gap)
            });
            gaps.max().unwrap_or_default()
        };
        arrivals.into_iter().map(longest).max().unwrap_or_default()
    }
}

/// How long the slowest of three new clients, one for each kind of port, waits for its first answer.
#[track_caller]
fn newcomers_wait(server: &Server, https: &Front) -> Duration {
    let timed = |ask: &dyn Fn()| {
        let begin = Instant::now();
        ask();
        begin.elapsed()
    };
    let over_http = |address: SocketAddr| {
        timed(&|| assert_eq!(http::get(address, "/api/health", None).status, 200))
    };
    let rtmp = timed(&|| drop(Client::connect(server.rtmp(), "live", Dialect::Enhanced)));
    rtmp.max(over_http(server.address("http"))).max(over_http(https.addresses()[0]))
}

/// What viewers and newcomers notice of half-open connections.
#[derive(Debug)]
struct Noticed {
    gap_without: Duration,
    gap_with: Duration,
    newcomers: Duration,
}

impl Noticed {
    fn is_little(&self) -> bool {
        self.gap_with <= self.gap_without + GAP_MORE_MAX && self.newcomers <= ACCEPT_MAX
    }
}

/// Opens them beside viewers, and lets go of them. Also gives the memory that they took, in KiB.
#[track_caller]
fn round(server: &Server, https: &Front, watchers: &Watchers, count: usize) -> (Noticed, u64) {
    let begin = Instant::now();
    wait::pace_until(begin + WATCHED);
    let gap_without = watchers.longest_gap(begin);
    let (memory, open) = (server.resident_kib(), descriptors(server));

    let begin = Instant::now();
    let half_open = open_half(server, count);
    // Accepted after all of them.
    let during = newcomers_wait(server, https);
    let watched_until = Instant::now() + WATCHED;
    wait::until("all to be there", LIMIT, || (descriptors(server) >= open + count).then_some(()));
    wait::pace_until(watched_until);
    let gap_with = watchers.longest_gap(begin);
    let grown = server.resident_kib().saturating_sub(memory);

    drop(half_open);
    wait::until("all to be gone", LIMIT, || (descriptors(server) <= open + OTHERS).then_some(()));
    let newcomers = during.max(newcomers_wait(server, https));
    (Noticed { gap_without, gap_with, newcomers }, grown)
}

#[test]
fn ten_thousand_half_open_connections_disturb_nobody() {
    let count = how_many();
    let certificate = Certificate::new(30);
    let config = json!({
        "tls": { "site": certificate.profile() },
        // Longer than connecting takes on a slow machine: all are to be open at once.
        "http": { "https_listen": "127.0.0.1:0", "tls": "site", "head_timeout": "30s" },
        "plugins": { "rtmp": {
            "tls_listen": "127.0.0.1:0", "tls": "site", "handshake_timeout": "30s",
        } },
    });
    let setup = Setup::new().plugin(&artifacts::plugin_library("flv")).config(&config);
    let server = setup.start_alone();
    let https = Front::tls(server.address("https"));
    let _feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 20));
    let watchers = Watchers::open(&server);

    let (first, grown) = round(&server, &https, &watchers, count);
    let mut rounds = vec![first];
    // What else the machine does only adds: what the server does to its viewers shows in each round.
    while rounds.len() < ROUNDS_MAX && !rounds.iter().any(Noticed::is_little) {
        rounds.push(round(&server, &https, &watchers, count).0);
    }

    eprintln!("{count} connections, {grown} KiB, {rounds:?}");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB for {count} connections");
    assert!(rounds.iter().any(Noticed::is_little), "{rounds:?}");
    let lines = server.log_tail(1000).lines().count();
    assert!(lines < 100, "{lines} lines for clients that never spoke:\n{}", server.log_tail(20));
    server.stop();
}

/// A connection that the server takes for one of `peer`, and has nothing to say.
fn handshaking(address: SocketAddr, peer: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("the port is open");
    let family = if peer.contains(':') { "TCP6" } else { "TCP4" };
    let local = if peer.contains(':') { "::1" } else { "192.0.2.1" };
    let header = format!("PROXY {family} {peer} {local} 4000 1935\r\n");
    socket.write_all(header.as_bytes()).expect("a header is short");
    socket.set_nonblocking(true).expect("a socket option");
    socket
}

fn is_open(mut socket: &TcpStream) -> bool {
    matches!(socket.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// A connection of `peer` that asks once.
fn ask(address: SocketAddr, peer: &str, path: &str) -> TcpStream {
    let mut socket = handshaking(address, peer);
    socket.set_nonblocking(false).expect("a socket option");
    socket.set_read_timeout(Some(ACCEPT_MAX)).expect("a socket option");
    // The server may have closed it.
    let _ = write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    socket
}

fn is_answered(mut socket: &TcpStream) -> bool {
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 200"
}

#[test]
fn an_address_that_takes_what_it_can_of_the_http_port_keeps_nobody_out() {
    const CONNECTIONS: usize = 400;
    let config = json!({
        "limits": { "trusted_proxies": ["127.0.0.1"] },
        "http": { "proxy_protocol": "required", "max_connections": CONNECTIONS },
        "subscribe": { "wait_timeout": "30s" },
    });
    let setup = Setup::new().plugin(&artifacts::plugin_library("flv")).config(&config);
    let server = setup.start();
    let port = server.address("http");
    // Idle after an answer, and waiting for one.
    for path in ["/api/health", "/flv/live/nobody.flv"] {
        let greedy = |_: usize| {
            let socket = ask(port, "203.0.113.9", path);
            if path == "/api/health" {
                is_answered(&socket);
            }
            socket
        };
        let taken: Vec<TcpStream> = (0..CONNECTIONS).map(greedy).collect();

        let newcomer = ask(port, "203.0.113.10", "/api/health");

        assert!(is_answered(&newcomer), "{path}: {} connections", taken.len());
    }
    let refused = server.events("listener.refused");
    assert!(refused.len() <= 2, "a line a minute for each limit: {refused:?}");
}

#[test]
fn an_address_has_64_handshakes_and_so_has_an_ipv6_network() {
    const PER_ADDRESS: usize = 64;
    const TOO_MANY: usize = 6;
    let server = Server::start(&json!({
        "limits": { "trusted_proxies": ["127.0.0.1"] },
        "http": { "proxy_protocol": "required", "head_timeout": "30s" },
        "plugins": { "rtmp": { "proxy_protocol": "required", "handshake_timeout": "30s" } },
    }));
    // One count for both ports.
    let ports = [server.rtmp(), server.address("http")];
    let v4 = |_: usize| "203.0.113.9".to_owned();
    let v6 = |n: usize| format!("2001:db8:0:9::{:x}", n + 1);
    let cases: [(&dyn Fn(usize) -> String, &str); 2] =
        [(&v4, "203.0.113.10"), (&v6, "2001:db8:0:a::1")];

    for (own, other) in cases {
        let sockets: Vec<TcpStream> = (0..PER_ADDRESS + TOO_MANY)
            .map(|n| handshaking(ports[n % ports.len()], &own(n)))
            .collect();
        let open = || sockets.iter().filter(|socket| is_open(socket)).count();
        wait::until("those above the limit to be closed", LIMIT, || {
            (open() == PER_ADDRESS).then_some(())
        });

        assert!(is_answered(&ask(ports[1], other, "/api/health")), "the other one is let in");
        assert_eq!(open(), PER_ADDRESS, "the others stay");
    }
    assert_eq!(server.events("listener.refused").len(), 2, "one line for each address");
}
