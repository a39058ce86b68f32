//! The operator's hand in a running server: stop, block, kick, and what is told of it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use harness::artifacts::plugin_library;
use harness::clips::Clip;
use harness::encoder::{self, Pace};
use harness::http::{self, Events};
use harness::rtmp::feed::{Feed, repeated};
use harness::rtmp::{Player, Publisher};
use harness::server::{Server, Setup, items};
use harness::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{LIMIT, crash, feed};

#[track_caller]
fn ended(server: &Server, role: &str) -> Vec<Value> {
    let sessions = items(&server.api("/api/v1/sessions/ended"));
    sessions.into_iter().filter(|session| session["role"] == role).collect()
}

#[test]
fn a_stopped_publisher_is_kept_out_for_a_while() {
    let server = Server::start(&json!({}));
    let url = server.rtmp_url("live/x");
    let media = Clip::BFrames.media();
    let mut encoder = encoder::ffmpeg(media, Pace::RealTime, &url);
    server.wait_for_stream("live/x");
    let conn = server.api("/api/v1/streams/live%2Fx")["publisher"]["conn"].clone();

    let asked = Instant::now();
    let status = server.change("POST", "/api/v1/streams/live%2Fx/stop", r#"{"block_for": "4s"}"#);

    assert_eq!(status, 204);
    encoder.wait(LIMIT);
    // A blocked encoder is refused, with the reason.
    let refusal = Publisher::try_open(server.rtmp(), "live/x").unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(4), "too slow to see the block");
    assert!(format!("{refusal:?}").contains("stopped by the operator"), "{refusal:?}");
    let mut again = encoder::ffmpeg(media, Pace::RealTime, &url);
    assert!(!again.wait(LIMIT).success(), "ffmpeg was let in");
    // Another key is free.
    drop(Publisher::open(server.rtmp(), "live/y"));

    let back = wait::until("the end of the block", LIMIT, || {
        Publisher::try_open(server.rtmp(), "live/x").ok()
    });
    assert!(asked.elapsed() >= Duration::from_secs(4), "{:?}", asked.elapsed());
    back.finish();

    let session = ended(&server, "publisher")
        .into_iter()
        .find(|session| session["reason"] == "stopped")
        .expect("the stopped session is remembered");
    assert_eq!(session["key"], "live/x");
    assert_eq!(session["conn"], conn);
    assert_eq!(session["protocol"], "rtmp");
    assert!(session["bytes"].as_u64().unwrap() > 0, "{session}");
    assert!(session["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{session}");
    assert_eq!(server.change("POST", "/api/v1/streams/live%2Fnone/stop", ""), 404);
}

#[test]
fn a_kicked_viewer_goes_and_its_neighbour_stays() {
    let server = Server::start(&json!({}));
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 4));
    let kicked = Player::open(server.rtmp(), "live/x");
    kicked.wait_for_video(5, LIMIT);
    let conn = items(&server.api("/api/v1/viewers"))[0]["conn"].as_str().unwrap().to_owned();
    let neighbour = Player::open(server.rtmp(), "live/x");
    neighbour.wait_for_video(5, LIMIT);
    assert_eq!(items(&server.api("/api/v1/viewers")).len(), 2);

    assert_eq!(server.change("DELETE", &format!("/api/v1/viewers/{conn}"), ""), 204);

    kicked.client().wait_for_end(LIMIT);
    let stop = server.wait_for_event("viewer.stop", LIMIT, |event| event.text("conn") == conn);
    assert_eq!(stop.text("reason"), "stopped");
    let seen = neighbour.frames().video.len();
    neighbour.wait_for_video(seen + 10, LIMIT);
    let viewers = items(&server.api("/api/v1/viewers"));
    assert_eq!(viewers.len(), 1, "{viewers:?}");
    assert_eq!(viewers[0]["key"], "live/x");
    let session = &ended(&server, "viewer")[0];
    assert_eq!((&session["conn"], &session["reason"]), (&json!(conn), &json!("stopped")));
    assert!(session["bytes"].as_u64().unwrap() > 0, "{session}");
    assert_eq!(server.change("DELETE", &format!("/api/v1/viewers/{conn}"), ""), 404);
    drop(feed);
}

#[test]
fn a_session_is_stopped_by_its_task() {
    let server = Server::start(&json!({}));
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 4));
    let tasks = items(&server.api("/api/v1/tasks"));
    let session = tasks
        .iter()
        .find(|task| task["owner"] == "rtmp" && task["kind"] == "session")
        .unwrap_or_else(|| panic!("no session among {tasks:#?}"));
    let path = format!("/api/v1/tasks/{}", session["id"].as_str().unwrap());
    assert_eq!(server.api(&path)["kind"], "session");

    assert_eq!(server.change("POST", &format!("{path}/restart"), ""), 409);
    assert_eq!(server.change("POST", &format!("{path}/stop"), ""), 202);

    feed.join().client().wait_for_end(LIMIT);
    assert_eq!(server.change("POST", "/api/v1/tasks/1/stop", ""), 409);
}

#[test]
fn events_are_told_in_order() {
    let server = Server::start(&json!({}));
    let events = |query: &str| {
        let path = format!("/api/v1/events{query}");
        Events::open(server.address("http"), &path, &server.token())
    };
    let all = events("");
    let viewers = events("?topic=viewer.&stream=live/*");
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 4));
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(5, LIMIT);
    drop(player);
    server.wait_for_event("viewer.stop", LIMIT, |event| event.text("key") == "live/x");
    feed.stop().finish();

    let names = |events: &Events| -> Vec<String> {
        events.seen().into_iter().map(|event| event.name).collect()
    };
    wait::until("the end of the stream", LIMIT, || {
        names(&all).contains(&"stream.stop".to_owned()).then_some(())
    });

    let mut of_the_stream = names(&all);
    of_the_stream.retain(|name| name.starts_with("stream.") || name.starts_with("viewer."));
    assert_eq!(of_the_stream, ["stream.start", "viewer.start", "viewer.stop", "stream.stop"]);
    assert_eq!(names(&viewers), ["viewer.start", "viewer.stop"]);
    let stop: Value = serde_json::from_str(&viewers.seen()[1].data).unwrap();
    assert_eq!((&stop["key"], &stop["reason"]), (&json!("live/x"), &json!("peer_closed")));
    let logged = server.wait_for_event("viewer.stop", LIMIT, |_| true);
    assert_eq!(logged.field("conn"), &stop["conn"], "another id than in the log");
    // An answer that goes on does not hold up the stop.
    server.stop();
}

#[test]
fn the_log_is_read_and_turned_up_while_running() {
    let mut server = Server::start(&json!({ "log": { "dir": "../logs" } }));
    let tail = Events::open(server.address("http"), "/api/v1/logs/tail", &server.token());
    let has = |text: &str| tail.seen().iter().any(|line| line.data.contains(text));
    wait::until("the lines from before", LIMIT, || has("server.ready").then_some(()));

    let levels = json!({ "level": "error", "targets": { "rtmp": "trace" } });
    assert_eq!(server.change("PUT", "/api/v1/log/levels", &levels.to_string()), 200);
    assert_eq!(server.api("/api/v1/log/levels"), levels);
    // A connection that says nothing is a detail.
    drop(TcpStream::connect(server.rtmp()).unwrap());

    wait::until("a detail of the plugin", LIMIT, || {
        let lines = tail.seen();
        let details = |line: &&http::Event| {
            let line: Value = serde_json::from_str(&line.data).unwrap();
            line["target"].as_str().unwrap().starts_with("rtmp")
                && ["DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap())
        };
        lines.iter().find(details).map(|_| ())
    });
    let publisher = Publisher::open(server.rtmp(), "live/x");
    let feed = Feed::start(publisher, repeated(Clip::BFrames.media().tags(), 1));
    wait::until("the stream", LIMIT, || {
        let streams = items(&server.api("/api/v1/streams"));
        streams.iter().find(|stream| stream["frames"].as_u64() > Some(20)).map(|_| ())
    });
    assert!(!has("stream.start"), "the host logs at info");
    drop(feed);
    server.terminate();
    assert!(server.wait(LIMIT).success());
    // The file is the same log.
    let file = fs::read_to_string(server.folder().join("logs/plugcast.log")).unwrap();
    assert_eq!(file.lines().count(), server.log_tail(usize::MAX).lines().count());
    assert!(!file.contains("stream.start") && file.contains(r#""level":"DEBUG","target":"rtmp"#));
}

#[test]
fn the_system_and_a_stream_tell_all() {
    let server = Server::start(&json!({ "memory": { "limit": "256MiB" } }));
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 4));
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(5, LIMIT);

    let system = server.api("/api/v1/system");
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(system["memory"]["media_limit_bytes"], 256 << 20);
    for figure in ["/uptime_ms", "/threads", "/memory/resident_bytes", "/memory/media_bytes"] {
        assert!(system.pointer(figure).unwrap().as_u64().unwrap() > 0, "{figure} of {system}");
    }
    assert!(system["descriptors"]["open"].as_u64() < system["descriptors"]["limit"].as_u64());
    let viewers: u64 =
        items(&system["fanout"]).iter().map(|it| it["viewers"].as_u64().unwrap()).sum();
    assert_eq!(viewers, 1);
    let rtmp = items(&system["listeners"]).into_iter().find(|it| it["instance"] == "rtmp").unwrap();
    assert_eq!(rtmp["play"], format!("rtmp://{}/{{key}}", server.rtmp()));

    let stream = wait::until("measured rates and a whole GOP", LIMIT, || {
        let stream = server.api("/api/v1/streams/live%2Fx");
        let is_measured = stream["fps"].as_f64() > Some(20.0) && stream["gop_ms"].is_u64();
        is_measured.then_some(stream)
    });
    let figure = |place: &str| {
        let value = stream.pointer(place).unwrap_or_else(|| panic!("no {place} in {stream:#}"));
        value.as_f64().unwrap_or_else(|| panic!("{place} is {value}"))
    };
    let text = |place: &str| stream.pointer(place).and_then(Value::as_str).unwrap_or_default();
    assert_eq!((text("/key"), text("/state")), ("live/x", "publishing"));
    let tracks = items(&stream["tracks"]);
    let track = |kind: &str| tracks.iter().find(|track| track["kind"] == kind).unwrap();
    let (video, audio) = (track("video"), track("audio"));
    assert_eq!((&video["width"], &video["height"]), (&json!(192), &json!(144)));
    assert!(video["codec_string"].as_str().unwrap().starts_with("avc1."), "{video}");
    assert_eq!(
        (&audio["sample_rate"], &audio["codec_string"]),
        (&json!(44_100), &json!("mp4a.40.2"))
    );
    for track in [video, audio] {
        for name in ["frames", "bytes", "bits_per_second", "fps"] {
            assert!(track[name].as_f64() > Some(0.0), "{name} of {track}");
        }
    }
    assert!((24.0..27.0).contains(&figure("/fps")), "{}", figure("/fps"));
    assert_eq!(figure("/gop_ms"), 1000.0);
    for place in ["/uptime_ms", "/bits_per_second", "/bytes", "/frames", "/publisher/bytes"] {
        assert!(figure(place) > 0.0, "{place}");
    }
    assert!(
        text("/publisher/peer").starts_with("127.0.0.1:") && !text("/publisher/agent").is_empty()
    );
    assert_eq!((text("/publisher/protocol"), text("/publisher/instance")), ("rtmp", "rtmp"));
    assert_eq!((text("/viewers/0/protocol"), text("/viewers/0/format")), ("rtmp", "rtmp"));
    assert!(text("/viewers/0/peer").starts_with("127.0.0.1:"));
    assert!(figure("/viewers/0/bytes") > 0.0 && figure("/viewers/0/uptime_ms") > 0.0);
    for place in ["/viewers/0/lag_ms", "/viewers/0/skipped", "/dropped_frames", "/lost_frames"] {
        figure(place);
    }
    let conn = text("/viewers/0/conn").parse::<u64>();
    assert!(conn.is_ok_and(|conn| conn > 0), "the id is a text");

    let plugin = server.plugin("rtmp");
    let resources = &plugin["resources"];
    let counts = ["listeners", "connections", "publishers", "viewers"].map(|name| &resources[name]);
    assert_eq!(counts, [1, 2, 1, 1], "{plugin}");
    assert!(
        resources["tasks"].as_u64() >= Some(3) && resources["handles"].as_u64() > Some(4),
        "{plugin}"
    );
    assert_eq!((&plugin["state"], &plugin["reason"]), (&json!("running"), &json!("")));
    assert!(plugin["file"].as_str().unwrap().ends_with(".so") && plugin["version"].is_string());

    assert_eq!(stream["urls"][0]["play"], server.rtmp_url("live/x"));
    let rtmp = items(&stream["formats"]).into_iter().find(|it| it["format"] == "rtmp").unwrap();
    assert_eq!((&rtmp["playable"], &rtmp["reason"]), (&json!(true), &Value::Null));
    drop(feed);
}

/// Asks without the right token, `n` times.
fn intrude(server: &Server, n: usize) {
    let address = server.address("http");
    for at in 0..n {
        let token = (at % 2 == 0).then_some(MARKER);
        let path = format!("/api/v1/streams/live%2Fx?token={MARKER}");
        assert_eq!(http::get(address, &path, token).status, 401);
    }
}

#[test]
fn who_has_no_token_is_logged_once_a_second_and_counted() {
    const TRIES: usize = 60;
    let server = Server::start(&json!({}));
    let events = Events::open(server.address("http"), "/api/v1/events", &server.token());
    let begun = Instant::now();

    intrude(&server, TRIES);

    let seconds = begun.elapsed().as_secs() + 1;
    let first = server.wait_for_event("auth.refused", LIMIT, |_| true);
    assert_eq!(first.text("route"), "/api/v1/streams/{key}");
    assert_eq!((first.text("peer"), first.text("method")), ("127.0.0.1".into(), "GET".into()));
    assert_eq!(
        (first.text("action"), first.text("reason")),
        ("admin".into(), "a wrong token".into())
    );
    let lines = server.events("auth.refused").len() as u64;
    assert!(lines <= seconds, "{lines} lines within {seconds} s");
    let metrics = http::get(server.address("http"), "/api/metrics", None).text();
    let counted = format!("plugcast_http_auth_refused_total {TRIES}\n");
    assert!(metrics.contains(&counted), "{metrics}");
    // The next line that is due tells how many had none.
    let made_up = "BREW".repeat(500);
    let left_out = wait::until("the next line", LIMIT, || {
        let answer = http::request(server.address("http"), &made_up, "/api/v1/streams", "");
        assert_eq!(answer.status, 401);
        let lines = server.events("auth.refused");
        let left_out = lines.iter().map(|line| line.field("left_out").as_u64().unwrap_or(0));
        let left_out: u64 = left_out.sum();
        (left_out > 0).then_some((left_out, lines.len() as u64))
    });
    assert!(left_out.0 + left_out.1 >= TRIES as u64, "{left_out:?}");
    let last = server.events("auth.refused").pop().expect("the line");
    assert_eq!(last.text("method"), "BREW".repeat(4), "a name that anybody may make up is cut");
    wait::until("the event", LIMIT, || {
        events.seen().iter().any(|event| event.name == "auth.refused").then_some(())
    });
    assert!(!server.log_tail(usize::MAX).contains(MARKER));
}

#[test]
fn the_description_has_the_routes_of_plugins() {
    let server = Setup::new().plugin(&plugin_library("flv")).start();

    let document = server.api("/api/v1/openapi.json");

    let play = &document["paths"]["/flv/{key...}"]["get"];
    assert_eq!((&play["x-plugin"], &play["x-class"]), (&json!("flv"), &json!("media")), "{play}");
}

/// A secret that is put wherever a secret may stand.
const MARKER: &str = "MARKER7f3a";

#[test]
fn a_secret_shows_up_nowhere() {
    let rules = json!([
        { "stream": "live/**", "allow": "publish", "key": MARKER },
        { "stream": "**", "allow": "play" },
    ]);
    let log = json!({ "level": "trace", "dir": "../data/logs" });
    let mut server = Server::start(&json!({ "auth": rules, "log": log }));
    let address = server.address("http");
    let token = server.token();
    let tail = Events::open(address, "/api/v1/logs/tail", &token);
    let events = Events::open(address, "/api/v1/events", &token);

    // In URLs: the right key, the wrong one, and one where none is asked for.
    let url = format!("live/x?key={MARKER}&token={MARKER}");
    let publisher = Publisher::open(server.rtmp(), &url);
    let feed = Feed::start(publisher, repeated(Clip::BFrames.media().tags(), 4));
    server.wait_for_stream("live/x");
    Publisher::try_open(server.rtmp(), &format!("live/y?key=not-{MARKER}")).map(drop).unwrap_err();
    let player = Player::open(server.rtmp(), &url);
    player.wait_for_video(5, LIMIT);
    let with_secret = format!("rtmp://{}/{url}", server.rtmp());
    let mut refused = encoder::ffmpeg(Clip::BFrames.media(), Pace::RealTime, &with_secret);
    refused.wait(LIMIT);

    // In headers and arguments of the API.
    for header in ["Authorization: Bearer", "X-Auth-Token:", "Cookie: token="] {
        let header = format!("{header} {MARKER}");
        let path = format!("/api/v1/streams?token={MARKER}");
        let answer = http::get_with(address, &path, None, &header);
        assert!(!answer.text().contains(MARKER), "{header}: {}", answer.text());
        assert_eq!(answer.status, 401);
    }

    let document = server.api("/api/v1/openapi.json");
    let ends = |path: &str| !path.ends_with("/events") && !path.ends_with("/tail");
    let mut read = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item["get"].is_object() && ends(path) {
            let path = path.replace("{key}", "live%2Fx").replace("{id}", "1");
            let answer = http::get(address, &path, Some(&token));
            assert_eq!(answer.status, 200, "{path}");
            assert!(!answer.text().contains(MARKER), "{path}: {}", answer.text());
            read += 1;
        }
    }
    assert!(read > 8, "{read} answers");
    feed.stop().finish();
    server.wait_for_event("stream.stop", LIMIT, |event| event.text("key") == "live/x");
    let ended = http::get(address, "/api/v1/sessions/ended", Some(&token)).text();
    assert!(ended.contains("live/x") && !ended.contains(MARKER), "{ended}");
    for followed in [&tail, &events] {
        let seen = followed.seen();
        assert!(!seen.is_empty());
        let leaks: Vec<_> = seen.iter().filter(|event| event.data.contains(MARKER)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
    let log = server.log_tail(usize::MAX);
    let leaks: Vec<&str> = log.lines().filter(|line| line.contains(MARKER)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(!log.contains(&token), "the token is in the log");

    // In what is left on the disk, a crash included. `admin.token` is where the token belongs.
    server.signal(Signal::SEGV);
    assert_eq!(server.wait(LIMIT).signal(), Some(Signal::SEGV.as_raw()));
    let report = crash::report(&server);
    assert!(report.starts_with("reason: SIGSEGV sent by process "), "{report}");
    assert!(report.contains("\nauth: [") && report.contains(r#"":"TRACE""#), "{report}");
    let file = fs::read_to_string(server.folder().join("data/logs/plugcast.log")).unwrap();
    assert!(file.contains("live/x"), "{file}");
    for text in [&report, &file] {
        let leaks = |line: &&str| line.contains(MARKER) || line.contains(&token);
        assert_eq!(text.lines().find(leaks), None);
    }
}
