//! FLV over HTTP and WebSocket: the same frames as over RTMP, every status, and nothing that stays behind.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use harness::clips::Clip;
use harness::encoder::{self, END_LIMIT, Pace};
use harness::flv::{self as tags, Tag};
use harness::front::Front;
use harness::live::{self, Live};
use harness::media::{self, Until};
use harness::rtmp::Publisher;
use harness::rtmp::feed::{Feed, repeated};
use harness::server::{Server, Setup, items};
use harness::tls::Certificate;
use harness::viewer::Ffmpeg;
use harness::{artifacts, http, wait};
use serde_json::{Value, json};

use crate::{LIMIT, feed};

/// RTMP in, FLV out.
fn start(change: &Value) -> Server {
    Setup::new().plugin(&artifacts::plugin_library("flv")).config(change).start()
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address("http"))
}

/// A stream that goes on for longer than any test that has one.
fn endless(server: &Server, key: &str) -> Feed {
    feed(server, key, repeated(Clip::BFrames.media().tags(), 20))
}

/// ffmpeg publishes; one ffmpeg has been waiting for it, another and clients of ours come in the middle.
#[track_caller]
fn carries(clip: Clip, join_at_frame: usize, listen: &str) {
    let server = start(&json!({ "http": { "listen": listen } }));
    let media = clip.media();
    let address = server.address("http");
    let path = "/flv/live/x.flv";

    let waiting = Ffmpeg::play(&clip.ffmpeg(), &url(&server, path));
    let early = Live::websocket(address, path);
    let mut encoder = encoder::ffmpeg(media, Pace::RealTime, &server.rtmp_url("live/x"));
    server.wait_for_stream("live/x");
    let probe = Live::http(address, "/flv/live/x");
    probe.wait_for_frames(join_at_frame);
    let late = Ffmpeg::play(&clip.ffmpeg(), &url(&server, path));
    let late_websocket = Live::websocket(address, path);
    encoder.wait_success(END_LIMIT + LIMIT);

    media::assert_same(
        "the viewer that waited",
        media.framehash(),
        &waiting.finish(LIMIT),
        Until::End,
    );
    let joined =
        media::assert_same("the late viewer", media.framehash(), &late.finish(LIMIT), Until::End);
    let is_late = joined.first_video.or(joined.first_audio).is_some_and(|first| first > 0);
    assert!(is_late, "the late viewer was not late: {joined:?}");
    for (name, client) in
        [("HTTP", &probe), ("the early WebSocket", &early), ("the late WebSocket", &late_websocket)]
    {
        client.wait_for_end(LIMIT);
        media::assert_same(name, media.frames(), &client.frames(), Until::End);
    }
    let answer = probe.answer();
    assert_eq!(answer.header("content-type"), Some("video/x-flv"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(
        (answer.header("content-length"), answer.header("connection")),
        (None, Some("close"))
    );
    let messages = early.messages();
    assert_eq!(messages.close, Some(1000), "the stream has ended");
    assert_eq!(messages.data[0].len(), 13, "the header of FLV is a message");
    server.stop();
}

#[test]
fn carries_h264_with_b_frames_and_aac() {
    carries(Clip::BFrames, 150, "127.0.0.1:0");
}

#[test]
fn carries_h265_over_ipv6() {
    carries(Clip::Hevc, 150, "[::1]:0");
}

#[test]
fn carries_audio_only() {
    carries(Clip::AudioOnly, 100, "127.0.0.1:0");
}

#[test]
fn carries_video_only() {
    carries(Clip::VideoOnly, 80, "127.0.0.1:0");
}

#[test]
fn carries_over_https() {
    let certificate = Certificate::new(30);
    let server = start(&json!({
        "tls": { "site": certificate.profile() },
        "http": { "https_listen": "127.0.0.1:0", "tls": "site" },
    }));
    let media = Clip::BFrames.media();
    let url = format!("https://{}/flv/live/x.flv", server.address("https"));

    let waiting = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &url);
    let mut encoder = encoder::ffmpeg(media, Pace::RealTime, &server.rtmp_url("live/x"));
    encoder.wait_success(END_LIMIT);

    let received = waiting.finish(LIMIT);
    media::assert_same("over HTTPS", media.framehash(), &received, Until::End);
}

#[test]
fn says_why_there_is_no_stream() {
    let server = start(&json!({
        "subscribe": { "wait_timeout": "300ms" },
        "limits": { "max_viewers": 1 },
        "auth": [{ "stream": "staff/**", "deny": "play" }],
    }));
    let address = server.address("http");
    let status = |path: &str| {
        let answer = http::get(address, path, None);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        (answer.status, answer.header("retry-after").is_some())
    };

    let asked = std::time::Instant::now();
    assert_eq!(status("/flv/live/none.flv?wait=0"), (404, false));
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
    let asked = std::time::Instant::now();
    assert_eq!(status("/flv/live/none.flv"), (404, false));
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
    assert_eq!(status("/flv/staff/x.flv"), (403, false));
    assert_eq!(status("/flv/live/%00.flv"), (400, false));

    let foreign = Publisher::open(server.rtmp(), "live/vp9");
    for (time_ms, body) in [(0, &b"\x90vp09config"[..]), (0, b"\x91vp09key"), (40, b"\xa1vp09")] {
        foreign.send(&Tag { kind: tags::VIDEO, time_ms, body: body.to_vec() }).unwrap();
    }
    server.wait_for_stream("live/vp9");
    let unsupported = http::get(address, "/flv/live/vp9?hevc=legacy", None);
    assert_eq!((unsupported.status, &*unsupported.text()), (406, "FLV can't carry any of: vp09\n"));

    let _stream = endless(&server, "live/x");
    let viewer = Live::http(address, "/flv/live/x.flv");
    viewer.wait_for_frames(1);
    assert_eq!(status("/flv/live/x.flv"), (503, true));
}

#[test]
fn answers_head_and_options() {
    let server = start(&json!({ "subscribe": { "wait_timeout": "300ms" } }));
    let address = server.address("http");
    let _stream = endless(&server, "live/x");

    let head = http::request(address, "HEAD", "/flv/live/x.flv", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), Some("video/x-flv"));
    assert_eq!(http::request(address, "HEAD", "/flv/live/none.flv", "").status, 404);
    let options =
        http::request(address, "OPTIONS", "/flv/live/x.flv", "Origin: http://a.example\r\n");
    assert_eq!(options.status, 204);
    assert_eq!(options.header("access-control-allow-origin"), Some("*"));
    assert_eq!(http::request(address, "POST", "/flv/live/x.flv", "").status, 405);
}

/// Reads one answer whose length is known.
fn read_answer(socket: &mut std::net::TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("an answer");
        text.push(byte[0].into());
    }
    let lower = text.to_ascii_lowercase();
    let len = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let len = len.and_then(|len| len.parse().ok()).expect("an answer of known length");
    let mut body = vec![0; len];
    socket.read_exact(&mut body).expect("the whole answer");
    text + &String::from_utf8_lossy(&body)
}

#[test]
fn a_connection_goes_from_the_api_to_a_stream() {
    let certificate = Certificate::new(30);
    let server = start(&json!({
        "tls": { "site": certificate.profile() },
        "http": { "https_listen": "127.0.0.1:0", "tls": "site" },
    }));
    let tls = Front::tls(server.address("https"));
    let _stream = endless(&server, "live/x");
    for (address, is_websocket) in [
        (server.address("http"), false),
        (server.address("http"), true),
        (tls.addresses()[0], false),
        (tls.addresses()[0], true),
    ] {
        let mut socket = live::connect(address);
        let authorization = format!("Authorization: Bearer {}", server.token());
        for (path, expected) in [("/api/v1/streams", "live/x"), ("/flv/live/none?wait=0", "404")] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n\r\n");
            socket.write_all(request.as_bytes()).unwrap();
            let answer = read_answer(&mut socket);
            assert!(answer.contains(expected), "{path}: {answer}");
        }

        let viewer = Live::on(socket, address, "/flv/live/x.flv", is_websocket);

        viewer.wait_for_frames(50);
        let media = Clip::BFrames.media();
        let source =
            media::Frames::of_tags(&harness::rtmp::feed::tags(&repeated(media.tags(), 20)));
        media::assert_same("after the API", &source, &viewer.frames(), Until::Cut);
    }
}

#[test]
fn a_websocket_is_answered_while_media_flows() {
    let server = start(&json!({}));
    let _stream = endless(&server, "live/x");
    let mut viewer = Live::websocket(server.address("http"), "/flv/live/x.flv");
    viewer.wait_for_frames(20);

    viewer.send(0x89, b"are you there");
    viewer.send(0x82, b"nobody reads this");
    viewer.send(0x89, b"");
    wait::until("two pongs", LIMIT, || (viewer.messages().pongs.len() == 2).then_some(()));
    let before = viewer.tags().len();
    viewer.wait_for_frames(before + 20);
    viewer.send(0x88, &4000_u16.to_be_bytes());
    viewer.wait_for_end(LIMIT);

    let messages = viewer.messages();
    assert_eq!(messages.pongs, [&b"are you there"[..], b""]);
    assert_eq!(messages.close, Some(4000), "the code is echoed");
}

/// What is open, as the server counts it.
fn open(server: &Server, address: SocketAddr) -> (u64, usize, usize) {
    let metrics = http::get(address, "/api/metrics", None).text();
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse::<f64>().expect("a number")
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    // Without the connection that asks.
    let connections = value("plugcast_http_connections") as u64 - 1;
    let tasks = items(&server.api("/api/v1/tasks?limit=1000"));
    let of_kind = |kind: &str| tasks.iter().filter(|task| task["kind"] == kind).count();
    (connections, of_kind("viewer"), of_kind("request"))
}

#[test]
fn viewers_that_leave_leave_nothing_behind() {
    let server = start(&json!({}));
    let address = server.address("http");
    let _stream = endless(&server, "live/x");
    let descriptors = || {
        let folder = format!("/proc/{}/fd", server.process_id());
        std::fs::read_dir(folder).unwrap().count()
    };
    let probe = Live::http(address, "/flv/live/x");
    probe.wait_for_frames(1);
    let before = descriptors();
    for round in 0..3 {
        let viewers: Vec<Live> = (0..20)
            .map(|n| match n % 2 {
                0 => Live::http(address, "/flv/live/x.flv"),
                _ => Live::websocket(address, "/flv/live/x.flv"),
            })
            .collect();
        let waiting: Vec<Live> = (0..5).map(|_| Live::http(address, "/flv/live/none")).collect();
        viewers.iter().for_each(|viewer| viewer.wait_for_frames(5));
        wait::until("all to be there", LIMIT, || {
            (open(&server, address) == (5, 21, 5)).then_some(())
        });

        drop((viewers, waiting));

        let gone = wait::try_until(LIMIT, || (open(&server, address) == (0, 1, 0)).then_some(()));
        assert!(gone.is_some(), "round {round}: {:?}", open(&server, address));
    }
    let same = wait::try_until(LIMIT, || (descriptors() <= before).then_some(()));
    assert!(same.is_some(), "{} descriptors, {before} before", descriptors());
    let stream = server.api("/api/v1/streams/live%2Fx");
    let viewers = stream["viewers"].as_array().unwrap();
    assert_eq!(viewers.len(), 1, "{stream}");
    assert_eq!(viewers[0]["protocol"], "http-flv");
    let urls: Vec<&str> =
        stream["urls"].as_array().unwrap().iter().filter_map(|url| url["play"].as_str()).collect();
    for scheme in ["http", "ws"] {
        let expected = format!("{scheme}://{address}/flv/live/x.flv");
        assert!(urls.contains(&&*expected), "{expected} is not among {urls:?}");
    }
}

#[test]
fn the_server_stops_while_viewers_watch() {
    let server = start(&json!({}));
    let address = server.address("http");
    let _stream = endless(&server, "live/x");
    let viewer = Live::http(address, "/flv/live/x.flv");
    let websocket = Live::websocket(address, "/flv/live/x.flv");
    viewer.wait_for_frames(20);
    websocket.wait_for_frames(20);

    server.stop();

    viewer.wait_for_end(LIMIT);
    websocket.wait_for_end(LIMIT);
    assert!(websocket.messages().close.is_some());
}

/// Half a request, and a client that has closed its half.
#[test]
fn a_client_that_has_closed_its_half_is_gone() {
    let server = start(&json!({}));
    let address = server.address("http");
    let mut socket = live::connect(address);
    socket.write_all(b"GET /flv/live/none HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait::until("the request", LIMIT, || (open(&server, address).2 == 1).then_some(()));

    socket.shutdown(Shutdown::Write).unwrap();

    wait::until("its end", LIMIT, || (open(&server, address) == (0, 0, 0)).then_some(()));
}
