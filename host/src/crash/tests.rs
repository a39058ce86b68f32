//! A crash ends the process, so the test binary runs itself once more, with one test and a variable that makes it the victim.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;
use crate::config::{Options, PluginSchemas};

/// The data folder of the victim.
const VICTIM: &str = "PLUGCAST_TEST_VICTIM";

/// Runs the test of this name as victim.
fn run(name: &str, folder: &Path) -> Output {
    let name = format!("crash::tests::{name}");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &name, "--nocapture"]).env(VICTIM, folder);
    command.output().unwrap()
}

/// What the server does first, with this data folder.
fn start(folder: &Path) {
    let options = Options {
        file: None,
        set: Vec::new(),
        env: vec![("PLUGCAST__SERVER__DATA_DIR".into(), folder.to_str().unwrap().into())],
        working_dir: folder.into(),
        system_file: folder.join("none"),
    };
    let loaded = config::load(&options, |_| PluginSchemas::new()).unwrap();
    let log = log::init(&loaded.config.log).unwrap();
    install(&loaded, &log);
}

fn report(folder: &Path) -> String {
    let mut files = fs::read_dir(folder.join(FOLDER)).unwrap().map(|entry| entry.unwrap().path());
    let report = files.find(|path| path.extension().is_some_and(|it| it == report::EXTENSION));
    fs::read_to_string(report.expect("a report")).unwrap()
}

#[test]
fn a_thread_that_panics_ends_the_process_with_a_report() {
    if let Some(folder) = env::var_os(VICTIM) {
        start(Path::new(&folder));
        let body = || essential(|| panic!("no way on from rtmp://h/live/x?key=MARK"));
        let thread = std::thread::Builder::new().name("fanout-0".into()).spawn(body).unwrap();
        let _ = thread.join();
        unreachable!("the process goes on");
    }
    let folder = tempfile::tempdir().unwrap();

    let output = run("a_thread_that_panics_ends_the_process_with_a_report", folder.path());

    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let report = report(folder.path());
    let reason = "reason: panic on the thread fanout-0: no way on from rtmp://h/live/x?key=*** at ";
    assert!(report.starts_with(reason), "{report}");
    assert!(report.contains("\nthread: fanout-0 ("), "{report}");
    let (_, log) = report.split_once("\n== log").unwrap();
    assert!(log.contains("server.panic"), "{log}");
    let (_, backtrace) = report.split_once("\n== backtrace").unwrap();
    assert!(backtrace.contains("a_thread_that_panics_ends_the_process"), "{backtrace}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!report.contains("MARK") && !stderr.contains("MARK"), "{report}{stderr}");
}

#[test]
fn a_task_that_panics_ends_the_process_with_a_report() {
    if let Some(folder) = env::var_os(VICTIM) {
        start(Path::new(&folder));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        essential_task(runtime.handle(), async { panic!("no tick") });
        runtime.block_on(std::future::pending::<()>());
    }
    let folder = tempfile::tempdir().unwrap();

    let output = run("a_task_that_panics_ends_the_process_with_a_report", folder.path());

    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(report(folder.path()).contains(": no tick at "), "{}", report(folder.path()));
}

/// A table of descriptors that is full is one of the reasons to crash.
#[test]
fn a_report_is_written_without_a_free_descriptor() {
    if let Some(folder) = env::var_os(VICTIM) {
        start(Path::new(&folder));
        let few = Rlimit { current: Some(64), maximum: Some(64) };
        setrlimit(Resource::Nofile, few).unwrap();
        let mut held = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            held.push(file);
        }
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();

    let output = run("a_report_is_written_without_a_free_descriptor", folder.path());

    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let report = report(folder.path());
    assert!(report.starts_with("reason: SIGABRT by the process itself"), "{report}");
    // One descriptor is kept for the report; the files of the kernel need another.
    assert!(report.ends_with("== end ==\n"), "{report}");
}
