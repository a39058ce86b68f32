//! Plugins that break their promises, while viewers of another plugin watch: those lose no frame.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use harness::artifacts::{compile_c_plugin, plugin_library};
use harness::clips::Clip;
use harness::media::{self, Frames, Until};
use harness::rtmp::feed::{Feed, cut, in_real_time, repeated, tags};
use harness::rtmp::{End, Player};
use harness::server::{STOP_LIMIT, Server, Setup};
use harness::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{LIMIT, feed};

/// A server with a stream by RTMP, a viewer of it, and a plugin that will misbehave.
struct Scene {
    server: Server,
    feed: Feed,
    player: Player,
    source: Frames,
}

impl Scene {
    #[track_caller]
    fn with(instances: &Value) -> Self {
        let setup = Setup::new().plugin(&plugin_library("misbehave"));
        let server = setup.config(&json!({ "plugins": instances })).start();
        let cues = repeated(&cut(Clip::BFrames.media().tags(), 5000), 2);
        let source = Frames::of_tags(&tags(&cues));
        let feed = feed(&server, "live/x", cues);
        let player = Player::open(server.rtmp(), "live/x");
        player.wait_for_video(10, LIMIT);
        Self { server, feed, player, source }
    }

    #[track_caller]
    fn with_mode(mode: &str) -> Self {
        Self::with(&json!({ "misbehave": { "mode": mode } }))
    }

    /// The viewer sees `count` more frames, then a new one can still come; none has been lost.
    #[track_caller]
    fn assert_unharmed(self, frames: usize) -> Server {
        let Self { mut server, feed, player, source } = self;
        player.wait_for_video(frames, LIMIT);
        let late = Player::open(server.rtmp(), "live/x");
        late.wait_for_video(5, LIMIT);
        media::assert_same("the viewer", &source, &player.frames(), Until::Cut);
        media::assert_smooth("the viewer", &player.frames(), 120);
        media::assert_same("the late viewer", &source, &late.frames(), Until::Cut);
        assert!(server.is_running());
        assert_eq!(server.plugin("rtmp")["state"], "running");
        feed.stop().finish();
        server
    }
}

#[test]
fn plugins_that_fail_to_start_are_listed_with_their_reason() {
    let modes = ["error_in_create", "panic_in_create", "error_in_activate", "panic_in_activate"];
    let instances: serde_json::Map<String, Value> = modes
        .iter()
        .map(|mode| (mode.replace('_', "-"), json!({ "plugin": "misbehave", "mode": mode })))
        .collect();
    let scene = Scene::with(&Value::Object(instances));

    for mode in modes {
        let plugin = scene.server.plugin(&mode.replace('_', "-"));
        assert_eq!(plugin["state"], "failed", "{plugin:#}");
        let reason = plugin["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("was told to"), "{mode}: {reason:?}");
    }
    scene.assert_unharmed(50).stop();
}

/// The plugin's bomb goes off 1.5 s after the start; the viewer watches for 4 s.
#[track_caller]
fn is_contained(mode: &str) {
    is_contained_for(mode, 100);
}

#[track_caller]
fn is_contained_for(mode: &str, frames: usize) {
    Scene::with_mode(mode).assert_unharmed(frames).stop();
}

#[test]
fn a_panic_in_a_future_is_contained() {
    is_contained("panic_in_future");
}

#[test]
fn an_error_of_a_future_is_contained() {
    is_contained("error_in_future");
}

#[test]
fn a_panic_in_a_thread_is_contained() {
    is_contained("panic_in_thread");
}

/// The other plugin's sessions may stand still as long as the worker does; what they take in then must all arrive.
#[test]
fn a_future_that_blocks_its_worker_costs_no_frame() {
    is_contained_for("block_in_future", 150);
}

/// A peer that makes its session panic, and sees its connection closed.
#[track_caller]
pub(crate) fn provoke(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).expect("the plugin listens");
    socket.write_all(b"x").expect("a socket to write to");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket option");
    // The end or a reset: what counts is that it does not hang.
    if let Err(error) = socket.read(&mut [0]) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn a_plugin_that_faults_again_and_again_is_stopped_and_started_later() {
    let scene = Scene::with_mode("panic_in_session");
    let server = &scene.server;

    for _ in 0..20 {
        provoke(server.address("misbehave"));
    }
    let in_state = |state: &str| {
        wait::until(state, LIMIT, || {
            Some(server.plugin("misbehave")).filter(|plugin| plugin["state"] == state)
        })
    };
    let faulted = in_state("faulted");
    in_state("running");

    let reason = faulted["reason"].as_str().unwrap_or_default();
    assert_eq!(reason, "20 faults within 60s; it is started again in 1s");
    scene.assert_unharmed(100).stop();
}

/// Watches `live/x` in the format of the plugin that misbehaves; returns what came until the server closed, or nothing more
/// came for a while.
#[track_caller]
fn watch_misbehaving(server: &Server) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.address("misbehave")).expect("the plugin listens");
    socket.write_all(b"live/x\n").expect("a socket to write to");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket option");
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    // A timeout ends this as well as a close: what matters to the test is what happens to the others.
    while let Ok(n @ 1..) = socket.read(&mut buffer) {
        received.extend(&buffer[..n]);
        if received.len() > 1000 {
            break;
        }
    }
    received
}

/// Three viewers of a broken packager in turn, so that it fails more often than the host forgives.
#[track_caller]
fn packager_is_contained(mode: &str) {
    let scene = Scene::with_mode(mode);
    for _ in 0..3 {
        let received = watch_misbehaving(&scene.server);
        assert!(received.len() < 200, "{mode} sent {} bytes", received.len());
    }
    scene.assert_unharmed(100).stop();
}

#[test]
fn a_packager_that_behaves_is_served() {
    let scene = Scene::with_mode("nothing");
    let received = watch_misbehaving(&scene.server);

    assert!(
        received.starts_with(b"hello\npreamble\nconfig\n"),
        "{:?}",
        String::from_utf8_lossy(&received)
    );
    assert!(received.len() > 100);
    scene.assert_unharmed(50).stop();
}

#[test]
fn a_panic_in_a_packagers_open_is_contained() {
    packager_is_contained("panic_in_open");
}

#[test]
fn an_error_of_a_packagers_open_is_contained() {
    packager_is_contained("error_in_open");
}

#[test]
fn a_panic_in_a_packagers_frames_is_contained() {
    packager_is_contained("panic_in_frames");
}

#[test]
fn an_error_of_a_packagers_frames_is_contained() {
    packager_is_contained("error_in_frames");
}

#[test]
fn a_packager_without_a_head_is_refused() {
    packager_is_contained("no_head");
}

#[test]
fn a_packager_with_a_wrong_head_is_refused() {
    packager_is_contained("wrong_head");
}

#[test]
fn a_panic_at_a_change_of_shape_is_contained() {
    let setup = Setup::new().plugin(&plugin_library("misbehave"));
    let server =
        setup.config(&json!({ "plugins": { "misbehave": { "mode": "panic_in_shape" } } })).start();
    let narrow = in_real_time(&cut(Clip::BFrames.media().tags(), 3000));
    let wide = in_real_time(&cut(Clip::Wide.media().tags(), 4000));
    let cues = harness::rtmp::feed::followed_by(narrow, wide);
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues);
    let player = Player::open(server.rtmp(), "live/x");
    let mut broken = TcpStream::connect(server.address("misbehave")).expect("the plugin listens");
    broken.write_all(b"live/x\n").expect("a socket to write to");
    player.wait_for_video(60, LIMIT);

    feed.join().finish();
    player.wait_for_stream_end(LIMIT);

    media::assert_same("the viewer across the change", &source, &player.frames(), Until::End);
    server.stop();
}

/// Stops the server while the plugin breaks its part of the stop.
#[track_caller]
fn stops_in_time(mode: &str) -> Server {
    let Scene { mut server, feed, player, source } = Scene::with_mode(mode);
    player.wait_for_video(30, LIMIT);

    let asked = Instant::now();
    server.terminate();
    server.wait(STOP_LIMIT + Duration::from_secs(1));
    let took = asked.elapsed();

    assert!(took <= STOP_LIMIT, "{took:?}");
    assert_eq!(player.client().wait_for_end(LIMIT), End::Closed);
    media::assert_same("the viewer until the stop", &source, &player.frames(), Until::Cut);
    drop(feed.stop());
    server
}

#[test]
fn a_plugin_that_hangs_in_deactivate_does_not_hold_up_the_stop() {
    let server = stops_in_time("hang_in_deactivate");

    let stuck = server.events("plugin.stuck");
    assert!(stuck.iter().any(|event| event.text("instance") == "misbehave"), "{stuck:?}");
}

#[test]
fn a_panic_in_deactivate_does_not_hold_up_the_stop() {
    stops_in_time("panic_in_deactivate");
}

#[test]
fn a_panic_in_destroy_does_not_hold_up_the_stop() {
    stops_in_time("panic_in_destroy");
}

#[test]
fn a_panic_in_a_dropped_future_does_not_hold_up_the_stop() {
    stops_in_time("panic_in_drop");
}

/// Variants of `garbage.c`: what is broken, and whether the library is refused as a file (`invalid`, `refused`), fails as a
/// plugin, or runs because the host withstands it.
const GARBAGE: &[(&str, &[&str])] = &[
    ("ACTIVATE", &["failed"]),
    ("CALLBACKS", &["failed", "refused", "invalid"]),
    ("CALLS", &["running"]),
    ("CRC", &["invalid"]),
    ("CREATE", &["failed"]),
    ("CREATE_STATUS", &["failed"]),
    ("CREATE_TEXT", &["failed"]),
    ("ENTRY", &["failed", "refused", "invalid"]),
    ("ENTRY_NULL", &["failed", "refused", "invalid"]),
    ("FORMAT", &["invalid", "refused"]),
    ("HASH", &["refused"]),
    ("ID", &["failed", "refused", "invalid"]),
    ("ID_NULL", &["failed", "refused", "invalid"]),
    ("JSON", &["invalid"]),
    ("JSON_KIND", &["invalid"]),
    ("JSON_UTF8", &["invalid"]),
    ("LENGTH", &["invalid"]),
    ("LENGTH_ZERO", &["invalid"]),
    ("REQUIRES", &["failed", "refused"]),
    ("SCHEMA", &["invalid", "refused", "failed"]),
    ("STRUCT_SIZE", &["failed", "refused", "invalid"]),
    ("TARGET", &["refused"]),
    ("VERSION", &["failed", "refused", "invalid"]),
];

#[test]
fn libraries_full_of_garbage_are_listed_with_a_reason_and_disturb_nobody() {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let mut setup = Setup::new();
    for (variant, _) in GARBAGE {
        let name = variant.to_ascii_lowercase().replace('_', "-");
        let library = folder.path().join(format!("libgarbage-{name}.so"));
        let define = format!("VARIANT=\"{name}\"");
        compile_c_plugin("garbage/garbage.c", &[&format!("BREAK_{variant}"), &define], &library);
        setup = setup.plugin(&library);
    }
    let server = setup.start();
    let cues = in_real_time(&cut(Clip::BFrames.media().tags(), 3000));
    let source = Frames::of_tags(&tags(&cues));
    let feed = feed(&server, "live/x", cues);
    let player = Player::open(server.rtmp(), "live/x");

    let plugins = server.plugins();
    let mut wrong = Vec::new();
    for (variant, expected) in GARBAGE {
        let file = format!("libgarbage-{}.so", variant.to_ascii_lowercase().replace('_', "-"));
        let listed = plugins.iter().find(|plugin| {
            ["file", "path"]
                .iter()
                .any(|key| plugin[*key].as_str().is_some_and(|path| path.ends_with(&file)))
        });
        let state = listed.and_then(|plugin| plugin["state"].as_str()).unwrap_or("not listed");
        let reason = listed.and_then(|plugin| plugin["reason"].as_str()).unwrap_or_default();
        if !expected.contains(&state) || (state != "running" && reason.is_empty()) {
            wrong.push(format!("{variant}: {state:?} ({reason:?}), expected one of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    feed.join().finish();
    player.wait_for_stream_end(LIMIT);
    media::assert_same("the viewer", &source, &player.frames(), Until::End);
    server.stop();
}

#[test]
fn a_plugin_that_is_switched_off_is_not_loaded_and_its_port_is_closed() {
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = reserved.local_addr().expect("bound");
    drop(reserved);
    let server = Server::start(
        &json!({ "plugins": { "rtmp": { "enable": false, "listen": address.to_string() } } }),
    );

    assert!(!server.has_mapped("plugcast_rtmp"), "the library is loaded");
    assert!(TcpStream::connect(address).is_err(), "the port is open");
    assert_eq!(server.plugin("rtmp")["state"], "disabled");
    server.stop();
}

#[test]
fn a_plugin_that_is_on_is_loaded() {
    let server = Server::start(&json!({}));

    assert!(server.has_mapped("plugcast_rtmp"));
    let listed =
        wait::try_until(LIMIT, || (server.plugin("rtmp")["state"] == "running").then_some(()));
    assert!(listed.is_some());
}

#[test]
fn a_required_plugin_that_fails_stops_the_start() {
    let setup = Setup::new().plugin(&plugin_library("misbehave"));
    let change =
        json!({ "plugins": { "misbehave": { "mode": "error_in_create", "required": true } } });
    let mut server = setup.config(&change).spawn();

    let status = server.wait(LIMIT);

    assert!(!status.success());
    assert!(server.events("server.ready").is_empty());
    assert!(server.log_tail(100).contains("create was told to fail"), "{}", server.log_tail(100));
}
