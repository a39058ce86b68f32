//! A bad config never starts half a server: every mistake is listed at once, with its place.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, ExitStatus};

use harness::artifacts::{plugin_library, server_binary};
use harness::process::Process;
use harness::server::Setup;
use serde_json::json;
use tempfile::TempDir;

use crate::LIMIT;

/// What a command of the server said about a config.
struct Verdict {
    status: ExitStatus,
    text: String,
}

/// Runs `plugcast <command> -c plugcast.yaml` in a folder with the RTMP plugin beside the config.
#[track_caller]
fn run(command: &str, yaml: &str, variables: &[(&str, &str)]) -> Verdict {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("the temporary folder is writable");
    fs::copy(plugin_library("rtmp"), plugins.join("libplugcast_rtmp.so"))
        .expect("the plugin is built");
    fs::write(folder.path().join("plugcast.yaml"), yaml).expect("the temporary folder is writable");
    let mut process = Process::spawn(
        "plugcast",
        Command::new(server_binary())
            .args([command, "-c", "plugcast.yaml"])
            .envs(variables.iter().copied())
            .current_dir(folder.path()),
    );
    let status = process.wait(LIMIT);
    let text = format!("{}\n{}", process.stdout().tail(1000), process.stderr().tail(1000));
    Verdict { status, text }
}

const MISTAKES: &str = r#"
http:
  lisen: "127.0.0.1:0"
publish:
  timeout: ten seconds
  on_conflict: replace_sometimes
sever: {}
plugins:
  rtmp:
    listn: "127.0.0.1:0"
  rtmp-two:
    plugin: rtpm
"#;

/// Line, key, and what the line must say besides.
const EXPECTED: &[(usize, &str, &str)] = &[
    (3, "http.lisen", "listen"),
    (5, "publish.timeout", "ten seconds"),
    (6, "publish.on_conflict", "replace_if_stale"),
    (7, "sever", "server"),
    (10, "plugins.rtmp.listn", "listen"),
    (12, "plugins.rtmp-two", "rtpm"),
];

#[track_caller]
fn assert_lists_all(verdict: &Verdict) {
    assert!(!verdict.status.success());
    for (line, key, fragment) in EXPECTED {
        let place = format!("plugcast.yaml:{line}:");
        let found = verdict
            .text
            .lines()
            .any(|text| text.contains(&place) && text.contains(key) && text.contains(fragment));
        assert!(found, "no line with {place} {key} … {fragment}:\n{}", verdict.text);
    }
}

#[test]
fn check_config_lists_every_mistake_with_its_place_and_the_nearest_key() {
    assert_lists_all(&run("check-config", MISTAKES, &[]));
}

#[test]
fn run_refuses_a_bad_config_with_the_same_list() {
    let verdict = run("run", MISTAKES, &[]);

    assert_lists_all(&verdict);
    assert!(
        !verdict.text.contains("listener.open") && !verdict.text.contains("server.ready"),
        "{}",
        verdict.text
    );
}

#[test]
fn check_config_names_a_variable_that_is_no_key() {
    let verdict =
        run("check-config", "http:\n  listen: off\n", &[("PLUGCAST__HTTP__LISEN", "off")]);

    assert!(!verdict.status.success());
    assert!(
        verdict.text.contains("PLUGCAST__HTTP__LISEN") && verdict.text.contains("listen"),
        "{}",
        verdict.text
    );
}

#[test]
fn check_config_accepts_a_good_config() {
    let yaml = "http:\n  listen: \"127.0.0.1:0\"\nplugins:\n  rtmp:\n    listen: \"127.0.0.1:0\"\n";

    let verdict = run("check-config", yaml, &[]);

    assert!(verdict.status.success(), "{}", verdict.text);
}

#[test]
fn check_config_reads_certificates_and_knows_their_names() {
    let missing = "tls:\n  site: {certificate: no.pem, key: no.key}\nhttp:\n  tls: site\n";
    let unknown = "http:\n  tls: site\n";

    let (missing, unknown) = (run("check-config", missing, &[]), run("check-config", unknown, &[]));

    assert_eq!(missing.status.code(), Some(2), "{}", missing.text);
    assert!(
        missing.text.contains("tls.site") && missing.text.contains("no.pem"),
        "{}",
        missing.text
    );
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.text);
    assert!(
        unknown.text.contains("http.tls") && unknown.text.contains("tls.site"),
        "{}",
        unknown.text
    );
}

#[test]
fn config_show_tells_where_a_value_comes_from() {
    let folder = TempDir::new().expect("the temporary folder is writable");
    fs::write(folder.path().join("plugcast.yaml"), "publish:\n  timeout: 7s\n")
        .expect("the folder is writable");
    let mut process = Process::spawn(
        "plugcast",
        Command::new(server_binary())
            .args(["config", "show", "--source", "-c", "plugcast.yaml"])
            .env("PLUGCAST__SUBSCRIBE__WAIT_TIMEOUT", "3s")
            .current_dir(folder.path()),
    );
    process.wait_success(LIMIT);
    let text = process.stdout().tail(1000);

    let line =
        |key: &str| text.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned();
    assert!(line("timeout: 7s").contains("plugcast.yaml"), "{text}");
    assert!(line("wait_timeout").contains("PLUGCAST__SUBSCRIBE__WAIT_TIMEOUT"), "{text}");
    assert!(line("republish_window").contains("default"), "{text}");
}

#[test]
fn ports_in_use_are_all_named_at_once() {
    let taken: Vec<TcpListener> =
        (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let addresses: Vec<String> =
        taken.iter().map(|port| port.local_addr().expect("bound").to_string()).collect();
    let change = json!({
        "http": { "listen": addresses[0] },
        "plugins": { "rtmp": { "listen": addresses[1], "required": true } },
    });
    let mut server = Setup::new().config(&change).spawn();

    let status = server.wait(LIMIT);

    assert_eq!(status.code(), Some(3), "{}", server.log_tail(50));
    for address in &addresses {
        assert!(
            server.log_tail(100).contains(address),
            "{address} is not named:\n{}",
            server.log_tail(100)
        );
    }
}
