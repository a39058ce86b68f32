//! A bad config never starts half a server: every mistake is listed at once, with its place.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, ExitStatus};

use harness::artifacts::{plugin_library, server_binary};
use harness::process::Process;
use harness::server::{Server, Setup};
use serde_json::json;
use tempfile::TempDir;

use crate::LIMIT;

/// What a command of the server said about a config.
struct Verdict {
    status: ExitStatus,
    text: String,
}

/// Runs `plugcast <arguments> -c plugcast.yaml` in a folder with the RTMP plugin beside the config.
#[track_caller]
fn run(arguments: &[&str], yaml: &str, variables: &[(&str, &str)]) -> Verdict {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("the temporary folder is writable");
    fs::copy(plugin_library("rtmp"), plugins.join("libplugcast_rtmp.so"))
        .expect("the plugin is built");
    fs::write(folder.path().join("plugcast.yaml"), yaml).expect("the temporary folder is writable");
    let mut process = Process::spawn(
        "plugcast",
        Command::new(server_binary())
            .args(arguments)
            .args(["-c", "plugcast.yaml"])
            .envs(variables.iter().copied())
            .current_dir(folder.path()),
    );
    let status = process.wait(LIMIT);
    let text = format!("{}\n{}", process.stdout().tail(1000), process.stderr().tail(1000));
    Verdict { status, text }
}

/// One of each kind.
const MISTAKES: &str = r#"
http:
  lisen: "127.0.0.1:0"
  listen: "everywhere"
  max_body: 1M
  tls: sitte
  keep_alive: 1s
  keep_alive: 2s
publish:
  timeout: ten seconds
  on_conflict: replace_sometimes
server:
  worker_threads: many
sever: {}
tls:
  site: {certificate: site.pem, key: site.key}
plugins:
  rtmp:
    listn: "127.0.0.1:0"
    tls_listen: "here:1936"
    tls: site2
    chunk_size: 16
  rtpm: {}
  rtmp-two:
    plugin: rtpm
"#;

/// Of the command line and the environment, one of each kind.
const SET: &[&str] = &["--set", "ring.max_time=30", "--set", "plugins.rtmp.hevc=none"];
const VARIABLES: &[(&str, &str)] =
    &[("PLUGCAST__HTTP__KEEPALIVE", "1s"), ("PLUGCAST__METRICS__MAX_STREAMS", "-1")];

/// Each line begins with its place and its key and says this besides.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("plugcast.yaml:3:3", "http.lisen", "unknown key; did you mean \"listen\"?"),
    ("plugcast.yaml:4:11", "http.listen", "\":8080\" for every address"),
    ("plugcast.yaml:5:13", "http.max_body", "write \"1MiB\""),
    ("plugcast.yaml:6:8", "http.tls", "tls.sitte; did you mean \"site\"?"),
    ("plugcast.yaml:8:3", "http.keep_alive", "written twice, first in line 7"),
    ("plugcast.yaml:10:12", "publish.timeout", "\"ten seconds\" is not a duration"),
    (
        "plugcast.yaml:11:16",
        "publish.on_conflict",
        "is not one of refuse, replace, replace_if_stale",
    ),
    ("plugcast.yaml:13:19", "server.worker_threads", "\"many\" where a whole number belongs"),
    ("plugcast.yaml:14:1", "sever", "unknown key; did you mean \"server\"?"),
    ("plugcast.yaml:19:5", "plugins.rtmp.listn", "unknown key; did you mean \"listen\"?"),
    ("plugcast.yaml:20:17", "plugins.rtmp.tls_listen", "\"here:1936\" is not an address"),
    ("plugcast.yaml:21:10", "plugins.rtmp.tls", "no certificate profile tls.site2"),
    ("plugcast.yaml:22:17", "plugins.rtmp.chunk_size", "16 has to be from 128 to 16777215"),
    ("plugcast.yaml:23:3", "plugins.rtpm", "no plugin \"rtpm\"; did you mean \"rtmp\"?"),
    ("plugcast.yaml:25:13", "plugins.rtmp-two.plugin", "did you mean \"rtmp\"?"),
    ("PLUGCAST__HTTP__KEEPALIVE", "http.keepalive", "did you mean \"keep_alive\"?"),
    ("PLUGCAST__METRICS__MAX_STREAMS", "metrics.max_streams", "-1 has to be from 0 to 100000"),
    ("command line", "plugins.rtmp.hevc", "is not one of enhanced, legacy"),
    ("command line", "ring.max_time", "\"30\" has no unit: write \"30s\""),
];

/// Just these, each once, in this order, and the number of them.
#[track_caller]
fn assert_lists_all(verdict: &Verdict) {
    assert_eq!(verdict.status.code(), Some(2), "{}", verdict.text);
    let lines: Vec<&str> = verdict.text.lines().filter(|line| !line.is_empty()).collect();
    for (line, (place, key, fragment)) in lines.iter().zip(EXPECTED) {
        let begins = line.starts_with(&format!("{place}: {key}: "));
        assert!(begins && line.contains(fragment), "{line}\nis not {place} {key} … {fragment}");
    }
    let last = format!("{} mistakes in the config; nothing was started", EXPECTED.len());
    assert_eq!(lines.last(), Some(&last.as_str()), "{}", verdict.text);
    assert_eq!(lines.len(), EXPECTED.len() + 1, "{}", verdict.text);
}

#[test]
fn check_config_lists_every_mistake_with_its_place_and_the_nearest_key() {
    assert_lists_all(&run(&[&["check-config"], SET].concat(), MISTAKES, VARIABLES));
}

#[test]
fn run_refuses_a_bad_config_with_the_same_list() {
    assert_lists_all(&run(&[&["run"], SET].concat(), MISTAKES, VARIABLES));
}

#[test]
fn check_config_accepts_a_good_config() {
    let yaml = "http:\n  listen: \"127.0.0.1:0\"\nplugins:\n  rtmp:\n    listen: \"127.0.0.1:0\"\n";

    let verdict = run(&["check-config"], yaml, &[]);

    assert!(verdict.status.success(), "{}", verdict.text);
}

#[test]
fn check_config_reads_certificates_and_knows_their_names() {
    let missing = "tls:\n  site: {certificate: no.pem, key: no.key}\nhttp:\n  tls: site\n";
    let unknown = "http:\n  tls: site\n";

    let (missing, unknown) =
        (run(&["check-config"], missing, &[]), run(&["check-config"], unknown, &[]));

    assert_eq!(missing.status.code(), Some(2), "{}", missing.text);
    assert!(
        missing.text.contains("tls.site") && missing.text.contains("no.pem"),
        "{}",
        missing.text
    );
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.text);
    assert!(
        unknown.text.contains("http.tls: there is no certificate profile tls.site")
            && unknown.text.contains("1 mistake in the config"),
        "{}",
        unknown.text
    );
}

#[test]
fn config_show_tells_where_each_value_comes_from() {
    let yaml = "publish:\n  timeout: 7s\n  stale_after: 3s\nauth:\n  - {allow: any, key: MARKER}\n\
                subscribe:\n  wait_timeout: 1s\nplugins:\n  rtmp:\n    chunk_size: 4096\n";
    let variables =
        [("PLUGCAST__SUBSCRIBE__WAIT_TIMEOUT", "3s"), ("PLUGCAST__PUBLISH__STALE_AFTER", "4s")];
    let arguments = ["config", "show", "--source", "--set", "publish.stale_after=5s"];

    let verdict = run(&arguments, yaml, &variables);

    assert!(verdict.status.success(), "{}", verdict.text);
    for line in [
        "publish.timeout: 7s    # plugcast.yaml:2",
        "publish.stale_after: 5s    # command line",
        "publish.republish_window: 15s    # default",
        "subscribe.wait_timeout: 3s    # PLUGCAST__SUBSCRIBE__WAIT_TIMEOUT",
        "auth: [{\"allow\":\"any\",\"key\":\"***\"}]    # plugcast.yaml:4",
        "plugins.rtmp.chunk_size: 4096    # plugcast.yaml:10",
        "plugins.rtmp.listen: [::]:1935    # default of plugin rtmp",
        "plugins.rtmp.required: false    # default",
    ] {
        assert!(verdict.text.lines().any(|shown| shown == line), "{line}\n{}", verdict.text);
    }
    assert!(!verdict.text.contains("MARKER"), "{}", verdict.text);
}

/// A port that the test itself holds, and how it is told who does.
struct Taken {
    address: String,
    holder: String,
    _listener: TcpListener,
}

fn taken() -> Taken {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let name = fs::read_to_string("/proc/self/comm").expect("Linux tells a process its name");
    let holder = format!("{} (pid {})", name.trim_end(), std::process::id());
    Taken { address, holder, _listener: listener }
}

#[test]
fn ports_in_use_are_all_named_at_once_with_their_holders() {
    let (http, rtmp) = (taken(), taken());
    let change = json!({
        "http": { "listen": http.address },
        "plugins": { "rtmp": { "listen": rtmp.address, "required": true } },
    });
    let mut server = Setup::new().config(&change).spawn();

    let status = server.wait(LIMIT);

    let log = server.log_tail(100);
    assert_eq!(status.code(), Some(3), "{log}");
    // After the log, in words for people: a line for each.
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, owner, taken) in [(lines[0], "http", &http), (lines[1], "rtmp", &rtmp)] {
        let names = [owner, &taken.address, &taken.holder].iter().all(|part| line.contains(*part));
        assert!(names, "{line} does not name {owner}, {} and {}", taken.address, taken.holder);
    }
    assert!(server.events("server.ready").is_empty());
}

#[test]
fn a_plugin_that_is_not_required_fails_alone_and_says_so() {
    let rtmp = taken();
    let server = Server::start(&json!({ "plugins": { "rtmp": { "listen": rtmp.address } } }));

    let plugin = server.plugin("rtmp");
    assert_eq!(plugin["state"], "failed", "{plugin}");
    let reason = plugin["reason"].as_str().expect("a reason");
    assert!(reason.contains(&rtmp.address) && reason.contains(&rtmp.holder), "{reason}");
    let refused = server.wait_for_event("plugin.refused", LIMIT, |_| true);
    assert_eq!(refused.text("instance"), "rtmp");
    let failed = server.wait_for_event("listener.failed", LIMIT, |_| true);
    assert_eq!(failed.text("instance"), "rtmp");
    assert!(failed.text("message").contains(&rtmp.address), "{failed:?}");
    server.stop();
}
