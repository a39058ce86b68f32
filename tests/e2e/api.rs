//! The operator's hand in a running server: stop, block, kick, and what is told of it.

use std::time::{Duration, Instant};

use harness::clips::Clip;
use harness::encoder::{self, Pace};
use harness::rtmp::feed::repeated;
use harness::rtmp::{Player, Publisher};
use harness::server::{Server, items};
use harness::wait;
use serde_json::{Value, json};

use crate::{LIMIT, feed};

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
