//! Log files: what they hold, when they change, and that no disk harms the server.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::clips::Clip;
use harness::http;
use harness::rtmp::Player;
use harness::rtmp::feed::repeated;
use harness::server::{Server, Setup};
use harness::wait;
use serde_json::json;

use crate::{LIMIT, feed};

/// Lines and length of each log file, oldest first, the one that is written last.
fn files(folder: &Path) -> Vec<(Vec<String>, usize)> {
    let entries = fs::read_dir(folder).expect("the folder is made at the start");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let texts = names.iter().map(|name| fs::read_to_string(name).unwrap_or_default());
    texts.map(|text| (text.lines().map(str::to_owned).collect(), text.len())).collect()
}

#[track_caller]
fn dropped(server: &Server) -> u64 {
    let metrics = http::get(server.address("http"), "/api/metrics", Some(&server.token())).text();
    let name = "plugcast_log_lines_dropped_total ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the metric is there").parse().expect("a number")
}

#[test]
fn files_hold_the_log_and_their_number_is_bounded() {
    let mut server = Server::start(&json!({
        "log": { "level": "trace", "dir": "../logs", "max_size": "64KiB", "max_files": 3 },
    }));
    let logs = server.folder().join("logs");
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 4));
    let levels = json!({ "level": "trace" }).to_string();
    wait::until("the oldest file to be removed", LIMIT, || {
        // Each change is a request, and each request a line or more.
        server.change("PUT", "/api/v1/log/levels", &levels);
        let files = files(&logs);
        let begins = files.first()?.0.first()?;
        (files.len() == 3 && !begins.contains("server.start")).then_some(())
    });
    assert_eq!(dropped(&server), 0);
    drop(feed);
    server.terminate();
    assert!(server.wait(LIMIT).success());

    let files = files(&logs);
    let stderr = server.log_tail(usize::MAX);
    let stderr: HashSet<&str> = stderr.lines().collect();
    assert!(files.len() <= 3, "{}", files.len());
    for (lines, length) in &files {
        assert!(*length <= 64 << 10, "{length}");
        let strange = lines.iter().find(|line| !stderr.contains(line.as_str()));
        assert_eq!(strange, None, "a line that stderr does not have");
    }
    let last = files.last().and_then(|(lines, _)| lines.last()).expect("a last line");
    assert!(last.contains("server.stopped"), "{last}");
}

#[test]
fn a_folder_that_cannot_be_made_costs_lines_and_nothing_else() {
    let setup = Setup::new().config(&json!({ "log": { "dir": "../config/plugcast.yaml/logs" } }));
    let server = setup.start();
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 1));
    let player = Player::open(server.rtmp(), "live/x");
    player.wait_for_video(10, LIMIT);

    assert!(dropped(&server) > 0);
    assert_eq!(server.events("log.file_failed").len(), 1);
    drop(feed);
    server.stop();
}

/// A FIFO that nobody reads holds up who opens it, as a disk that hangs does.
#[test]
fn a_disk_that_hangs_holds_up_nobody() {
    let setup = Setup::new();
    let logs = setup.plugins_folder().with_file_name("logs");
    fs::create_dir(&logs).unwrap();
    let made = Command::new("mkfifo").arg(logs.join("plugcast.log")).status().expect("mkfifo runs");
    assert!(made.success());
    let server = setup.config(&json!({ "log": { "dir": "../logs", "level": "trace" } })).start();
    let feed = feed(&server, "live/x", repeated(Clip::BFrames.media().tags(), 1));
    let player = Player::open(server.rtmp(), "live/x");

    player.wait_for_video(40, Duration::from_secs(10));

    drop(feed);
    server.stop();
}
