//! RTMPS, HTTPS and proxies in front: the same frames as without, and the right peer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::clips::Clip;
use harness::encoder::{self, END_LIMIT, Pace};
use harness::front::{Front, Header, Hop};
use harness::live::Live;
use harness::media::{self, Frames, Until};
use harness::rtmp::Player;
use harness::rtmp::feed::{repeated, tags};
use harness::server::{Server, Setup};
use harness::tls::Certificate;
use harness::viewer::Ffmpeg;
use harness::{artifacts, http, wait};
use serde_json::{Value, json};

use crate::{LIMIT, feed};

/// RTMP and RTMPS on `ip`, HTTP and HTTPS on IPv4.
fn config(certificate: &Certificate, ip: &str) -> Value {
    json!({
        "tls": { "site": certificate.profile() },
        "http": { "https_listen": "127.0.0.1:0", "tls": "site" },
        "publish": { "republish_window": "0s" },
        "plugins": { "rtmp": {
            "listen": format!("{ip}:0"), "tls_listen": format!("{ip}:0"), "tls": "site",
        } },
    })
}

/// ffmpeg publishes to one URL; a viewer at another waited for it, and a third one comes in the middle.
#[track_caller]
fn carries(server: &Server, clip: Clip, publish: &str, play: &str) {
    let media = clip.media();
    let waiting = Ffmpeg::play(&clip.ffmpeg(), play);
    let mut encoder = encoder::ffmpeg(media, Pace::RealTime, publish);
    server.wait_for_stream("live/x");
    wait::until("two seconds of the stream", LIMIT, || {
        let stream = server.api("/api/v1/streams/live%2Fx");
        stream["uptime_ms"].as_u64().filter(|uptime| *uptime >= 2000)
    });
    let late = Ffmpeg::play(&clip.ffmpeg(), play);
    encoder.wait_success(END_LIMIT + LIMIT);

    let (waiting, late) = (waiting.finish(LIMIT), late.finish(LIMIT));
    media::assert_same("the viewer that waited", media.framehash(), &waiting, Until::End);
    let joined = media::assert_same("the late viewer", media.framehash(), &late, Until::End);
    assert!(joined.first_video.is_some_and(|first| first > 0), "not late: {joined:?}");
}

fn rtmps(server: &Server) -> String {
    format!("rtmps://{}/live/x", server.address("rtmps"))
}

#[test]
fn rtmps_carries_every_frame_over_ipv4() {
    let certificate = Certificate::new(30);
    let server = Server::start(&config(&certificate, "127.0.0.1"));
    carries(&server, Clip::BFrames, &rtmps(&server), &rtmps(&server));
    server.stop();
}

#[test]
fn rtmps_carries_every_frame_over_ipv6() {
    let certificate = Certificate::new(30);
    let server = Server::start(&config(&certificate, "[::1]"));
    carries(&server, Clip::Ntsc, &rtmps(&server), &server.rtmp_url("live/x"));
    server.stop();
}

/// A client of openssl, which trusts everybody, with `request` as its input; what it got.
#[track_caller]
fn over_tls(address: SocketAddr, request: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-ign_eof", "-connect", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    child.stdin.take().expect("piped").write_all(request.as_bytes()).expect("a request is short");
    let output = child.wait_with_output().expect("openssl ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn https_answers_and_the_certificate_is_read_again() {
    let certificate = Certificate::new(30);
    let server = Server::start(&config(&certificate, "127.0.0.1"));
    let request = "GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    let answer = over_tls(server.address("https"), request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let expiry = || {
        let page = http::get(server.address("http"), "/api/metrics", None);
        let line = page
            .text()
            .lines()
            .find(|l| l.contains("expiry") && l.contains("site"))
            .map(str::to_owned);
        line.expect("the expiry of the certificate")
    };
    let before = expiry();
    certificate.renew(10);
    server.wait_for_event("tls.reloaded", LIMIT, |event| event.text("profile") == "site");
    assert_ne!(expiry(), before);
    server.wait_for_event("tls.expiring", LIMIT, |event| event.text("profile") == "site");
    let answer = over_tls(server.address("https"), request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The certificate that a server shows, as openssl prints it.
#[track_caller]
fn shown_certificate(address: SocketAddr) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("openssl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN").unwrap_or_else(|| panic!("no certificate: {text}"));
    let end = text.find("-----END").expect("what begins ends");
    text[begin..end].to_owned()
}

#[test]
fn viewers_live_on_when_the_certificate_changes() {
    let certificate = Certificate::new(30);
    let config = config(&certificate, "127.0.0.1");
    let server = Setup::new().plugin(&artifacts::plugin_library("flv")).config(&config).start();
    let (https, rtmps) = (server.address("https"), server.address("rtmps"));
    let cues = repeated(Clip::BFrames.media().tags(), 20);
    let _feed = feed(&server, "live/x", cues.clone());
    let (https_front, rtmps_front) = (Front::tls(https), Front::tls(rtmps));
    let live = Live::websocket(https_front.addresses()[0], "/flv/live/x.flv");
    let player = Player::open(rtmps_front.addresses()[0], "live/x");
    live.wait_for_frames(20);
    player.wait_for_video(20, LIMIT);
    let before = shown_certificate(https);
    assert_eq!(shown_certificate(rtmps), before);

    certificate.renew(60);
    server.wait_for_event("tls.reloaded", LIMIT, |event| event.text("profile") == "site");

    let after = shown_certificate(https);
    assert_ne!(after, before);
    assert_eq!(shown_certificate(rtmps), after);
    let (seen, seen_by_player) = (live.tags().len(), player.media().len());
    live.wait_for_frames(seen + 50);
    player.wait_for_video(seen_by_player + 50, LIMIT);
    let source = Frames::of_tags(&tags(&cues));
    media::assert_same("the WebSocket", &source, &live.frames(), Until::Cut);
    media::assert_same("the RTMPS player", &source, &player.frames(), Until::Cut);
}

#[test]
fn carries_every_frame_behind_a_proxy() {
    for header in [Header::ProxyV1, Header::ProxyV2] {
        let certificate = Certificate::new(30);
        let mut config = config(&certificate, "127.0.0.1");
        config["limits"] = json!({ "trusted_proxies": ["127.0.0.1"] });
        config["plugins"]["rtmp"]["proxy_protocol"] = json!("required");
        let server = Server::start(&config);
        let hops = [server.rtmp(), server.address("rtmps")].map(|backend| Hop {
            listen: Ipv4Addr::LOCALHOST.into(),
            backend,
            tls: false,
        });
        let front = Front::haproxy(header, &hops);

        let publish = format!("rtmps://{}/live/x", front.addresses()[1]);
        let play = format!("rtmp://{}/live/x", front.addresses()[0]);
        carries(&server, Clip::BFrames, &publish, &play);

        assert!(TcpStream::connect(server.rtmp()).is_ok_and(|mut direct| {
            let _ = direct.write_all(&[3; 1537]);
            direct.set_read_timeout(Some(LIMIT)).is_ok()
                && !matches!(direct.read(&mut [0; 1]), Ok(1))
        }));
        server.stop();
    }
}

#[test]
fn the_peer_is_who_the_proxy_says() {
    let config = json!({
        "limits": { "trusted_proxies": ["127.0.0.1"], "max_handshaking_per_address": 3 },
        "plugins": { "rtmp": { "proxy_protocol": "required" } },
    });
    let server = Server::start(&config);
    let connect = |ip: &str| {
        let mut socket = TcpStream::connect(server.rtmp()).expect("the port is open");
        let header = format!("PROXY TCP4 {ip} 192.0.2.1 4000 1935\r\n");
        socket.write_all(header.as_bytes()).expect("a header is short");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
        socket
    };
    let is_open = |socket: &mut TcpStream| matches!(socket.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);

    let mut open: Vec<TcpStream> = (0..3).map(|_| connect("203.0.113.9")).collect();
    assert!(open.iter_mut().all(is_open));
    assert!(!is_open(&mut connect("203.0.113.9")), "the fourth of one address");
    assert!(is_open(&mut connect("203.0.113.10")), "another address");
    open.pop();
    assert!(
        wait::try_until(LIMIT, || is_open(&mut connect("203.0.113.9")).then_some(())).is_some(),
        "one has gone"
    );
    let refused = server.events("listener.refused");
    assert_eq!(refused.len(), 1, "one line a minute");
    assert_eq!(refused[0].text("peer"), "203.0.113.9");
}
