//! The end that nobody wanted: a report is left, the process ends as if there had been none, and the next start says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use harness::artifacts::{compile_c_plugin, plugin_library};
use harness::server::{Server, Setup};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::LIMIT;

/// The reports that a server has left, oldest first.
fn reports(server: &Server) -> Vec<PathBuf> {
    let folder = server.folder().join("data/crash");
    let files = fs::read_dir(&folder).expect("the folder is made at the start");
    let files = files.map(|entry| entry.expect("an entry").path());
    let mut reports: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "txt")).collect();
    reports.sort();
    reports
}

/// The one report of a server.
#[track_caller]
pub(crate) fn report(server: &Server) -> String {
    let reports = reports(server);
    assert_eq!(reports.len(), 1, "{reports:?}; the log:\n{}", server.log_tail(50));
    fs::read_to_string(&reports[0]).expect("a report is text")
}

/// The lines of one part of a report.
#[track_caller]
fn part<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
    let (_, part) = report
        .split_once(&format!("\n== {name}"))
        .unwrap_or_else(|| panic!("no part {name} in {report}"));
    part.lines().skip(1).take_while(|line| !line.starts_with("== ")).collect()
}

/// A line of the head of a report: `plugin: rtmp`.
#[track_caller]
fn head<'a>(report: &'a str, name: &str) -> &'a str {
    let line = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// A server with a library of `garbage.c` that crashes in `activate`.
fn with_garbage(variant: &str) -> Server {
    let folder = TempDir::new().expect("the temporary folder is writable");
    let library = folder.path().join(format!("libgarbage-{variant}.so"));
    let defines =
        [&*format!("BREAK_{}", variant.to_uppercase()), &*format!("VARIANT=\"{variant}\"")];
    compile_c_plugin("garbage/garbage.c", &defines, &library);
    Setup::new().plugin(&library).spawn()
}

/// Whether one of the addresses is in a module whose path ends in `file`.
fn leads_through(report: &str, file: &str) -> bool {
    let number = |hex: &str| u64::from_str_radix(hex, 16).expect("an address");
    let modules = part(report, "modules");
    let ranges: Vec<_> = modules
        .iter()
        .filter(|line| line.ends_with(file))
        .filter_map(|line| line.split_whitespace().next()?.split_once('-'))
        .map(|(start, end)| number(start)..number(end))
        .collect();
    let addresses = part(report, "backtrace");
    let mut addresses = addresses.iter().filter_map(|line| line.strip_prefix("0x")).map(number);
    addresses.any(|address| ranges.iter().any(|range| range.contains(&address)))
}

#[test]
fn a_fault_in_a_plugin_is_reported_and_the_next_start_says_so_once() {
    let mut server = with_garbage("fault");

    let status = server.wait(LIMIT);

    assert_eq!(status.signal(), Some(Signal::SEGV.as_raw()), "{status}");
    let report = report(&server);
    assert!(report.starts_with("reason: SIGSEGV at address 0xdead0, instruction 0x"), "{report}");
    assert_eq!(head(&report, "plugin"), "garbage-fault");
    assert!(head(&report, "thread").starts_with("ctl-garbage-fau ("), "{report}");
    assert_eq!(head(&report, "version"), env!("CARGO_PKG_VERSION"));
    let plugins = part(&report, "plugins").join("\n");
    for told in ["garbage-fault: plugin garbage-fault 0.1.0, Starting", "rtmp: plugin rtmp "] {
        assert!(plugins.contains(told), "{plugins}");
    }
    assert!(plugins.contains("libplugcast_rtmp.so build-id "), "{plugins}");
    assert!(part(&report, "config").contains(&"log.format: json"), "{report}");
    assert!(part(&report, "machine").join("\n").contains("\nMax open files"), "{report}");
    let log = part(&report, "log").join("\n");
    assert!(log.contains("server.start"), "{log}");
    assert!(leads_through(&report, "libgarbage-fault.so"), "{report}");
    assert!(report.ends_with("== end ==\n"), "{report}");
    let path = reports(&server).remove(0);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(server.log_tail(5).contains(path.to_str().unwrap()), "{}", server.log_tail(5));

    fs::remove_file(server.folder().join("plugins/libgarbage-fault.so")).unwrap();
    server.start_again();
    server.await_ready();
    let told = server.events("server.crashed");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].text("report"), path.to_str().unwrap());
    assert!(told[0].text("reason").starts_with("SIGSEGV at address 0xdead0"), "{told:?}");
    server.terminate();
    assert!(server.wait(LIMIT).success());
    server.start_again();
    server.await_ready();
    assert!(server.events("server.crashed").is_empty());
    server.stop();
}

/// The plugin hands the host a pointer to nowhere: it is the host that crashes, in a call of the plugin.
#[test]
fn a_fault_of_the_host_in_a_plugins_call_names_the_plugin() {
    let mut server = with_garbage("pointer");

    let status = server.wait(LIMIT);

    assert_eq!(status.signal(), Some(Signal::SEGV.as_raw()), "{status}");
    let report = report(&server);
    assert!(report.starts_with("reason: SIGSEGV at address 0xdead"), "{report}");
    assert_eq!(head(&report, "plugin"), "garbage-pointer");
    assert!(
        leads_through(&report, "/plugcast") && leads_through(&report, "pointer.so"),
        "{report}"
    );
}

/// Runs the server with a plugin that ends it.
#[track_caller]
fn misbehaves(mode: &str) -> String {
    let setup = Setup::new().plugin(&plugin_library("misbehave"));
    let mut server = setup.config(&json!({ "plugins": { "misbehave": { "mode": mode } } })).spawn();

    let status = server.wait(LIMIT);

    // A stack overflow is told by Rust's library in its own way, after the report.
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
    let report = report(&server);
    assert_eq!(head(&report, "plugin"), "misbehave");
    assert!(report.ends_with("== end ==\n"), "{report}");
    assert!(leads_through(&report, "libplugcast_misbehave.so"), "{report}");
    report
}

#[test]
fn memory_that_cannot_be_had_is_reported() {
    let report = misbehaves("allocate_in_future");

    assert!(report.starts_with("reason: SIGABRT by the process itself"), "{report}");
    assert!(head(&report, "thread").starts_with("worker ("), "{report}");
    assert!(
        part(&report, "plugins").join("\n").contains("misbehave: plugin misbehave 0.1.0, Running"),
        "{report}"
    );
    assert!(part(&report, "log").join("\n").contains("server.ready"), "{report}");
}

#[test]
fn a_stack_that_overflows_is_reported() {
    let report = misbehaves("overflow_in_thread");

    assert!(report.starts_with("reason: SIGSEGV at address 0x"), "{report}");
    assert!(head(&report, "thread").starts_with("misbehave-bomb ("), "{report}");
}

#[test]
fn a_start_that_fails_again_and_again_leaves_one_report() {
    let setup = Setup::new().plugin(&plugin_library("misbehave"));
    let change =
        json!({ "plugins": { "misbehave": { "mode": "error_in_create", "required": true } } });
    let mut server = setup.config(&change).spawn();
    assert_eq!(server.wait(LIMIT).code(), Some(1));

    let first = report(&server);
    server.start_again();
    assert_eq!(server.wait(LIMIT).code(), Some(1));

    assert_eq!(report(&server), first);
    assert!(head(&first, "reason").contains("create was told to fail"), "{first}");
    assert_eq!(server.events("server.crashed").len(), 1);
}

#[test]
fn an_orderly_stop_leaves_no_report() {
    let mut server = Server::start(&json!({}));

    server.terminate();
    assert!(server.wait(LIMIT).success());

    assert_eq!(reports(&server), Vec::<PathBuf>::new());
}
