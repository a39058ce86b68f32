//! Start and stop: the log's promises, the API's, and an end that every peer can tell from a crash.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::artifacts::plugin_library;
use harness::clips::Clip;
use harness::http;
use harness::media::{self, Frames, Until};
use harness::rtmp::feed::{repeated, tags};
use harness::rtmp::{End, Player};
use harness::server::{Event, STOP_LIMIT, Server, Setup, items};
use harness::viewer::Ffmpeg;
use harness::wait;
use serde_json::{Value, json};

use crate::faults::provoke;
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
    wait::until("ffmpeg to play", LIMIT, || (ffmpeg.frames().video.len() > 20).then_some(()));

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
    assert!(TcpStream::connect(address).is_err(), "the port is still open");
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

/// What `/api/health?ready=1` says; liveness is not touched by it.
fn readiness(server: &Server) -> (u16, String) {
    let address = server.address("http");
    assert_eq!(http::get(address, "/api/health", None).status, 200);
    let answer = http::get(address, "/api/health?ready=1", None);
    assert_eq!(answer.header("retry-after").is_some(), answer.status == 503, "{answer:?}");
    (answer.status, answer.text())
}

#[track_caller]
fn wait_for_readiness(server: &Server, status: u16, text: &str) {
    let what = format!("{status} {text}");
    wait::until(&what, LIMIT, || {
        let (is, says) = readiness(server);
        (is == status && says.contains(text)).then_some(())
    });
}

fn with_misbehaving(section: Value) -> Setup {
    let setup = Setup::new().plugin(&plugin_library("misbehave"));
    setup.config(&json!({ "plugins": { "misbehave": section } }))
}

#[test]
fn a_server_that_is_starting_is_not_ready() {
    let server = with_misbehaving(json!({ "mode": "wait_in_activate" })).spawn();
    let address = server.address("misbehave");

    assert_eq!(readiness(&server), (503, "starting\n".to_owned()));

    drop(TcpStream::connect(address).expect("the plugin listens"));
    wait_for_readiness(&server, 200, "ok");
}

#[test]
fn a_server_whose_required_plugin_is_down_is_not_ready() {
    let section = json!({ "mode": "panic_in_session", "required": true });
    let server = with_misbehaving(section).start();
    wait_for_readiness(&server, 200, "ok");

    for _ in 0..20 {
        provoke(server.address("misbehave"));
    }

    wait_for_readiness(&server, 503, "a required plugin is down\n");
    wait_for_readiness(&server, 200, "ok");
}

#[test]
fn a_server_that_stops_is_not_ready_and_says_which_ports_it_closed() {
    let mut server = with_misbehaving(json!({ "mode": "hang_in_deactivate" })).start();

    server.terminate();

    wait_for_readiness(&server, 503, "draining\n");
    server.wait(STOP_LIMIT + Duration::from_secs(1));
    let closed = server.events("listener.close");
    for opened in server.events("listener.open") {
        let same = |event: &&Event| {
            ["instance", "protocol", "address"]
                .iter()
                .all(|key| event.text(key) == opened.text(key))
        };
        assert_eq!(closed.iter().filter(same).count(), 1, "{opened:?} in {closed:?}");
    }
    assert_eq!(closed.len(), 3, "{closed:?}");
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
