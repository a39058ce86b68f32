//! Start and stop: the log's promises, the API's, and an end that every peer can tell from a crash.

use std::time::{Duration, Instant};

use harness::clips::Clip;
use harness::http;
use harness::media::{self, Frames, Until};
use harness::rtmp::feed::{repeated, tags};
use harness::rtmp::{End, Player};
use harness::server::{STOP_LIMIT, Server, items};
use harness::viewer::Ffmpeg;
use serde_json::json;

use crate::{LIMIT, feed};

#[test]
fn sigterm_with_viewers_attached_closes_everybody_in_time() {
    let mut server = Server::start(&json!({}));
    let address = server.rtmp();
    let cues = repeated(Clip::BFrames.media().tags(), 4);
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues);
    let players: Vec<Player> = (0..3).map(|_| Player::open(address, "live/x")).collect();
    let mut ffmpeg = Ffmpeg::play(&Clip::BFrames.ffmpeg(), &server.rtmp_url("live/x"));
    let waiting = Player::open(address, "live/nobody");
    players.iter().for_each(|player| player.wait_for_video(50, LIMIT));
    harness::wait::until("ffmpeg to play", LIMIT, || {
        (ffmpeg.frames().video.len() > 20).then_some(())
    });

    let asked = Instant::now();
    server.terminate();
    let status = server.wait(STOP_LIMIT);
    let took = asked.elapsed();

    assert!(status.success(), "{status}");
    assert!(took <= STOP_LIMIT, "{took:?}");
    for player in &players {
        assert_eq!(player.client().wait_for_end(LIMIT), End::Closed);
        media::assert_same("a viewer until the stop", &source, &player.frames(), Until::Cut);
    }
    assert_eq!(waiting.client().wait_for_end(LIMIT), End::Closed);
    let publisher = feed.stop();
    publisher.client().wait_for_end(LIMIT);
    ffmpeg.process().wait_success(LIMIT);
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is still open");
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start(&json!({}));
    let asked = Instant::now();
    server.terminate();

    assert!(server.wait(STOP_LIMIT).success());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn health_is_open_and_the_rest_wants_the_token() {
    let server = Server::start(&json!({ "metrics": { "allow": [] } }));
    let address = server.address("http");
    let token = server.token();

    assert_eq!(http::get(address, "/api/health", None).status, 200);
    assert_eq!(http::get(address, "/api/health?ready=1", None).status, 200);
    for path in ["/api/v1/streams", "/api/v1/plugins", "/api/v1/tasks", "/api/metrics"] {
        assert_eq!(http::get(address, path, None).status, 401, "{path} without a token");
        assert_eq!(
            http::get(address, path, Some("wrong")).status,
            401,
            "{path} with a wrong token"
        );
        assert_eq!(http::get(address, path, Some(&token)).status, 200, "{path} with the token");
    }
    let refusal = http::get(address, "/api/v1/streams", None);
    assert_eq!(refusal.header("content-type"), Some("application/problem+json"));
    assert!(!server.log_tail(1000).contains(&token), "the token is in the log");
}

#[test]
fn the_api_shows_the_stream_its_viewers_and_the_plugin() {
    let server = Server::start(&json!({}));
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 2));
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(30, LIMIT);

    let streams = items(&server.api("/api/v1/streams"));
    let plugin = server.plugin("rtmp");
    let tasks = server.api("/api/v1/tasks");

    assert!(streams.iter().any(|stream| stream["key"] == "live/x"), "{streams:#?}");
    assert_eq!(plugin["state"], "running", "{plugin:#}");
    assert!(tasks.to_string().contains("rtmp"), "{tasks:#}");
    feed.stop().finish();
    server.wait_for_event("stream.stop", LIMIT, |event| event.text("key") == "live/x");
}

#[test]
fn secrets_show_nowhere() {
    let server = Server::start(&json!({
        "auth": [{ "stream": "live/**", "allow": "publish", "key": "MARKER-of-rule" }, { "allow": "play" }],
    }));
    let refused = harness::rtmp::Publisher::try_open(server.rtmp(), "live/x?key=MARKER-wrong");
    let feed = feed_with_key(&server);
    let player = Player::open(server.rtmp(), "live/x?token=MARKER-of-viewer");
    player.wait_for_video(10, LIMIT);

    let refusal = refused.expect_err("a wrong key");
    assert!(!format!("{refusal:?}").contains("MARKER"), "{refusal:?}");
    for path in ["/api/v1/streams", "/api/v1/plugins", "/api/v1/tasks"] {
        assert!(!server.api(path).to_string().contains("MARKER"), "{path} shows a secret");
    }
    let metrics = http::get(server.address("http"), "/api/metrics", Some(&server.token()));
    assert!(!metrics.text().contains("MARKER"), "the metrics show a secret");
    assert!(!server.log_tail(10_000).contains("MARKER"), "the log shows a secret");
    feed.stop().finish();
}

#[track_caller]
fn feed_with_key(server: &Server) -> harness::rtmp::feed::Feed {
    let publisher = harness::rtmp::Publisher::open(server.rtmp(), "live/x?key=MARKER-of-rule");
    let feed =
        harness::rtmp::feed::Feed::start(publisher, repeated(Clip::BFrames.media().tags(), 1));
    server.wait_for_stream("live/x");
    feed
}
