//! Clients that mean no good: what they get, and what they can't make the server do.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use harness::clips::Clip;
use harness::live;
use harness::rtmp::feed::repeated;
use harness::rtmp::{Client, Dialect};
use harness::server::{Server, Setup};
use harness::tls::Certificate;
use harness::{artifacts, http, wait};
use serde_json::json;

use crate::{LIMIT, feed};

/// Lines in the log for failed sessions in a minute, of which a test sees two at most.
const FAILURES_LOGGED_MAX: usize = 60;

/// What the server says to these bytes and then the end.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = live::connect(address);
    socket.set_read_timeout(Some(LIMIT)).expect("a socket option");
    // The server may close before it has read all of it.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The last request of a connection, with these lines behind its first ones.
fn request(first: &str, lines: &str) -> Vec<u8> {
    format!("{first} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n").into_bytes()
}

#[test]
fn requests_that_proxies_read_in_two_ways_are_refused() {
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).start();
    let health = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = |lines: &str| {
        [request("POST /api/health", lines), b"0\r\n\r\n".to_vec(), health.into()].concat()
    };
    let many = "X: y\r\n".repeat(1000);
    let long = format!("X: {}\r\n", "y".repeat(200_000));
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n"), "400"),
        ("a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "400"),
        ("a length with a sign", post("Content-Length: +5\r\n"), "400"),
        ("a length beyond all", post("Content-Length: 99999999999999999999\r\n"), "400"),
        ("an unknown encoding", post("Transfer-Encoding: xchunked\r\n"), "400"),
        ("chunks that are not last", post("Transfer-Encoding: chunked, identity\r\n"), "400"),
        ("a space in front of the colon", post("Transfer-Encoding : chunked\r\n"), "400"),
        ("a folded line", request("GET /api/health", "X: y\r\n z\r\n"), "400"),
        ("a lone CR", request("GET /api/health", "X: y\rZ: z\r\n"), "400"),
        ("a second host", request("GET /api/health", "Host: y\r\n"), "400"),
        ("no host", b"GET /api/health HTTP/1.1\r\n\r\n".to_vec(), "400"),
        ("NUL", request("GET /api/\0health", ""), "400"),
        ("HTTP/0.9", b"GET /api/health\r\n\r\n".to_vec(), "400"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "400"),
        ("RTMP", [&[3][..], &[0; 1536]].concat(), "400"),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(20), "400"),
        ("a thousand headers", request("GET /api/health", &many), "431"),
        ("a long header", request("GET /api/health", &long), "431"),
        ("dots", request("GET /flv/%2e%2e/api/v1/streams", ""), "400"),
        ("NUL in a key", request("GET /flv/live/%00", ""), "400"),
        ("an encoded path to the API", request("GET /%61pi/v1/streams", ""), "401"),
        ("an absolute URL to the API", request("GET http://y/api/v1/streams", ""), "401"),
        ("slashes to the API", request("GET //api/v1/streams", ""), "404"),
    ];
    // Two of them ask for the API without the token, which has a line.
    let lines =
        || server.log_tail(1000).lines().filter(|line| !line.contains("auth.refused")).count();
    let lines_before = lines();

    for (name, bytes, expected) in cases {
        let answer = exchange(server.address("http"), bytes);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == *expected, "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
    }

    assert_eq!(lines(), lines_before, "{}", server.log_tail(50));
}

#[test]
fn a_flood_of_nonsense_leaves_few_lines_in_the_log() {
    let server = Server::start(&json!({}));
    for _ in 0..300 {
        let answer = exchange(server.rtmp(), b"GET / HTTP/1.1\r\n\r\n");
        assert!(answer.is_empty(), "{answer}");
    }

    let lines = server.events("session.end").len();

    assert!((1..=2 * FAILURES_LOGGED_MAX).contains(&lines), "{lines} lines");
    assert_eq!(http::get(server.address("http"), "/api/health", None).status, 200);
}

#[test]
fn nonsense_on_ports_with_tls_is_closed_without_a_word_in_the_log() {
    let certificate = Certificate::new(30);
    let server = Server::start(&json!({
        "tls": { "site": certificate.profile() },
        "http": { "https_listen": "127.0.0.1:0", "tls": "site" },
        "plugins": { "rtmp": { "tls_listen": "127.0.0.1:0", "tls": "site" } },
    }));
    let alert = b"\x15\x03\x03\0\x02\x02\x28";
    let cases: [&[u8]; 5] = [
        b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n",
        // A hello of another version, a record that is too long, an alert, and data before the handshake.
        b"\x16\x02\0\0\x05hello",
        b"\x16\x03\x01\xff\xff\x01",
        alert,
        b"\x17\x03\x03\0\x05hello",
    ];
    let lines_before = server.log_tail(1000).lines().count();

    for port in ["https", "rtmps"] {
        for bytes in cases {
            let answer = exchange(server.address(port), bytes);
            assert!(!answer.contains("HTTP"), "{port}: {bytes:?}: {answer}");
        }
    }

    let lines = server.log_tail(1000).lines().count();
    assert_eq!(lines, lines_before, "{}", server.log_tail(20));
}

#[test]
fn a_player_that_comes_back_in_a_loop_has_few_lines_in_the_log() {
    const TRIES: usize = 800;
    const LOGGED_IN_A_MINUTE: usize = 600;
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).start();
    let _feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 20));
    let address = server.address("http");
    let begin = Instant::now();

    for n in 0..TRIES {
        let mut socket = live::connect(address);
        socket.write_all(&request("GET /flv/live/x.flv", "")).expect("a few bytes have room");
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap_or_else(|error| panic!("viewer {n}: {error}"));
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    let ended = || api_items(&server, "/api/v1/sessions/ended?limit=1000");
    wait::until("all to be remembered", LIMIT, || (ended() == TRIES).then_some(()));
    let minutes = usize::try_from(begin.elapsed().as_secs() / 60).expect("not that long");
    let starts = server.events("viewer.start").len();
    assert!((1..=LOGGED_IN_A_MINUTE * (1 + minutes)).contains(&starts), "{starts} lines");
    assert_eq!(server.events("viewer.stop").len(), starts, "who has one has both");
}

/// How many there are in a list of the API.
fn api_items(server: &Server, path: &str) -> usize {
    server.api(path)["items"].as_array().expect("a list").len()
}

#[test]
fn a_player_that_plays_over_and_over_is_closed() {
    let server = Server::start(&json!({}));
    let _feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 20));
    let mut player = Client::connect(server.rtmp(), "live", Dialect::Enhanced).play("x");

    for _ in 0..200 {
        let before = player.client().statuses().len();
        player.ask("x");
        wait::until("an answer or the end", LIMIT, || {
            (player.client().end().is_some() || player.client().statuses().len() > before)
                .then_some(())
        });
    }

    player.client().wait_for_end(LIMIT);
    let plays = server.events("viewer.start").len();
    assert!(plays <= 60, "{plays} plays in a minute");
    server.wait_for_event("session.end", LIMIT, |event| event.text("reason").contains("too often"));
}
