//! What `plugcast plugin new` writes, as somebody outside of this repository uses it: built, tested, loaded, played. And the
//! tutorial in `plugin-api/README.md`, typed as it stands there.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::clips::Clip;
use harness::flv::Body;
use harness::network::Network;
use harness::process::Process;
use harness::rtmp::Player;
use harness::rtmp::feed::repeated;
use harness::server::{Server, Setup};
use harness::{artifacts, http, wait};
use serde_json::json;
use tempfile::TempDir;

use crate::LIMIT;

/// 20 ms of G.711.
const FRAME_BYTES: usize = 160;

/// cargo builds a few crates anew, with the features that a plugin alone asks for.
const BUILD_LIMIT: Duration = Duration::from_secs(240);

/// An empty folder, far from the repository.
fn outside() -> TempDir {
    TempDir::with_prefix("plugcast-author-").expect("the temporary folder is writable")
}

#[track_caller]
fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let mut process = Process::spawn(program, command.args(arguments).current_dir(folder));
    let status = process.wait(BUILD_LIMIT);
    assert!(
        status.success(),
        "{program} {arguments:?}: {status}\n{}\n{}",
        process.stdout().tail(40),
        process.stderr().tail(40)
    );
}

/// `plugcast plugin new`; returns the project.
#[track_caller]
fn new_plugin(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let program = artifacts::server_binary();
    let program = program.to_str().expect("the path of the build is UTF-8");
    run(folder, program, &[&["plugin", "new", name], arguments].concat());
    folder.join(name)
}

/// A project in Rust, tested and built without a network, from what the repository's own build has left. Returns the library.
#[track_caller]
fn rust_plugin(folder: &Path, name: &str, kind: &str) -> PathBuf {
    let sdk = artifacts::repository().join("plugin-api");
    let sdk = sdk.to_str().expect("the path of the repository is UTF-8");
    let project = new_plugin(folder, name, &["--lang", "rust", "--kind", kind, "--sdk", sdk]);
    let target = artifacts::cache_folder("debug");
    // Crates are shared with the repository's build where profile and features are the same.
    let config = format!(
        "[build]\ntarget-dir = {:?}\n[net]\noffline = true\n[profile.dev]\ndebug = \"line-tables-only\"\n\
         [profile.dev.package.\"*\"]\ndebug = false\n",
        target.parent().expect("it lies in target/")
    );
    fs::create_dir(project.join(".cargo")).expect("the project is writable");
    fs::write(project.join(".cargo/config.toml"), config).expect("the project is writable");
    fs::copy(artifacts::repository().join("Cargo.lock"), project.join("Cargo.lock"))
        .expect("the project is writable");
    run(&project, "cargo", &["fmt", "--check"]);
    run(&project, "cargo", &["test"]);
    run(&project, "cargo", &["build"]);
    target.join(format!("libplugcast_{}.so", name.replace('-', "_")))
}

/// Sends 50 frames to a plugin of the kind `protocol`, in pieces that are no frames. A player gets each, byte by byte, 20 ms from
/// one to the next.
#[track_caller]
fn publish_and_play(server: &Server, name: &str) {
    let mut peer = TcpStream::connect(server.address(name)).expect("the plugin listens");
    let key = format!("live/{name}");
    peer.write_all(&[0; FRAME_BYTES]).expect("the plugin reads");
    server.wait_for_stream(&key);
    let player = Player::open(server.rtmp(), &key);
    let frames_seen = || player.frames().audio.len();
    wait::until("the first frame", LIMIT, || (frames_seen() > 0).then_some(()));

    for number in 1..50 {
        for piece in [number; FRAME_BYTES].chunks(70) {
            peer.write_all(piece).expect("the plugin reads");
        }
    }
    drop(peer);

    wait::until("50 frames", LIMIT, || (frames_seen() >= 50).then_some(()));
    let tags = player.tags();
    let frames = tags.iter().filter(|tag| tag.is_frame());
    for (number, tag) in (0..).zip(frames) {
        let Body::Frame { codec, payload, .. } = tag.parse() else { continue };
        assert_eq!(codec, "audio codec 8", "frame {number}");
        assert_eq!(payload, [number; FRAME_BYTES], "frame {number}");
        assert_eq!(tag.time_ms - tags[0].time_ms, u32::from(number) * 20, "frame {number}");
    }
}

#[test]
fn a_new_protocol_in_c_builds_by_make_and_by_cmake_and_is_played() {
    let folder = outside();
    let project = new_plugin(folder.path(), "my-intercom", &["--lang", "c"]);

    run(&project, "make", &["CFLAGS=-O1 -Werror", "test", "all"]);
    run(&project, "cmake", &["-B", "build"]);
    run(&project, "cmake", &["--build", "build"]);
    run(&project, "ctest", &["--test-dir", "build", "--output-on-failure"]);

    for library in ["libplugcast_my_intercom.so", "build/libplugcast_my_intercom.so"] {
        let config = json!({ "plugins": { "my-intercom": { "listen": "127.0.0.1:0" } } });
        let server = Setup::new().plugin(&project.join(library)).config(&config).start();
        publish_and_play(&server, "my-intercom");
        server.stop();
    }
}

#[test]
fn a_new_protocol_in_rust_passes_its_tests_and_is_played() {
    let folder = outside();

    let library = rust_plugin(folder.path(), "door-bell", "protocol");

    let config = json!({ "plugins": { "door-bell": { "listen": "127.0.0.1:0" } } });
    let server = Setup::new().plugin(&library).config(&config).start();
    publish_and_play(&server, "door-bell");
    server.stop();
}

#[test]
fn a_new_route_in_rust_passes_its_tests_and_answers_who_has_the_token() {
    let folder = outside();

    let library = rust_plugin(folder.path(), "tracks-of", "http");

    let server = Setup::new().plugin(&library).start();
    let (address, token) = (server.address("http"), server.token());
    let ask = |token| http::get(address, "/tracks-of/live/x", token);
    assert_eq!((ask(None).status, ask(Some(token.as_str())).status), (401, 404));
    let feed = crate::feed(&server, "live/x", repeated(Clip::InOrder.media().tags(), 4));
    let answer = wait::until("the tracks", LIMIT, || {
        Some(ask(Some(token.as_str()))).filter(|answer| answer.status == 200)
    });
    assert!(answer.text().contains(" video avc1 192x144\n"), "{}", answer.text());
    drop(feed);
    server.stop();
}

#[test]
fn headers_are_those_of_the_repository() {
    let folder = outside();
    let program = artifacts::server_binary();

    run(folder.path(), program.to_str().expect("UTF-8"), &["plugin", "headers", "include"]);

    let source = artifacts::repository().join("plugin-api/include");
    let source = source.to_str().expect("UTF-8");
    run(folder.path(), "diff", &["--recursive", "include", source]);
}

/// The blocks of the tutorial that a reader types, in order.
fn tutorial() -> Vec<String> {
    let path = artifacts::repository().join("plugin-api/README.md");
    let text = fs::read_to_string(path).expect("the repository is readable");
    let begin = text.find("\n## A plugin in C, from nothing to sound\n").expect("a tutorial");
    let rest = text.get(begin + 1..).unwrap_or_default();
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_tutorial_leads_from_an_empty_folder_to_sound() {
    let folder = outside();
    let network = Network::new();
    let mut path = artifacts::profile_folder().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let spawn = |script: &str| {
        let mut command = network.bash(script);
        command.current_dir(folder.path()).env("PATH", &path).env_remove("PLUGCAST_CONFIG");
        Process::spawn(script, command.env("PLUGINS", artifacts::profile_folder()))
    };
    let mut left_running = Vec::new();
    let mut last = String::new();
    for block in tutorial() {
        let Some(script) = block.strip_prefix("# In a shell of its own:\n") else {
            let mut process = spawn(&block);
            process.wait_success(LIMIT);
            last = process.stderr().tail(usize::MAX);
            continue;
        };
        let process = spawn(&format!("exec {script}"));
        if script.starts_with("plugcast run") {
            wait::until("the server to be ready", LIMIT, || {
                process.stderr().tail(100).contains("server.ready").then_some(())
            });
        }
        left_running.push(process);
    }

    assert_eq!(left_running.len(), 2, "a server and an encoder");
    assert!(last.contains("pcm_mulaw, 8000 Hz"), "{last}");
    let volume = last.split("mean_volume: ").nth(1).and_then(|rest| rest.split(' ').next());
    let volume: f64 = volume.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{last}"));
    assert!((-27.6..=-26.4).contains(&volume), "{volume} dB\n{last}");
}
