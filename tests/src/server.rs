//! The server under test: a process of its own, in a folder of its own, on ports that the system chose.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{artifacts, http, wait};

/// Debug builds on a busy machine are slow to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What the surface promises for a stop.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Held shared by every running server, alone by one whose test measures time: a small machine that runs other tests
/// besides would be measured instead. A test has one server at a time.
static MACHINE: RwLock<()> = RwLock::new(());

#[derive(Debug)]
enum Turn {
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
}

impl Turn {
    fn alone() -> Self {
        Self::Alone(MACHINE.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn shared() -> Self {
        Self::Shared(MACHINE.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// A configuration and a plugins folder, not yet running.
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    config: Value,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// The RTMP plugin alone, every port chosen by the system.
    pub fn new() -> Self {
        let folder =
            TempDir::with_prefix("plugcast-e2e-").expect("the temporary folder is writable");
        for name in ["plugins", "data", "config"] {
            fs::create_dir(folder.path().join(name)).expect("the temporary folder is writable");
        }
        let config = json!({
            "server": {
                "plugin_dirs": [folder.path().join("plugins")],
                "data_dir": folder.path().join("data"),
            },
            "http": { "listen": "127.0.0.1:0" },
            "log": { "format": "json" },
            // Players of RTMP are told of the end this long plus `subscribe.wait_timeout` after it.
            "publish": { "republish_window": "5s" },
            "plugins": { "rtmp": { "listen": "127.0.0.1:0" } },
        });
        Self { folder, config }.plugin(&artifacts::plugin_library("rtmp"))
    }

    /// Changes the configuration: objects are merged, everything else is replaced.
    #[must_use]
    pub fn config(mut self, change: &Value) -> Self {
        merge(&mut self.config, change);
        self
    }

    /// Puts a library into the plugins folder.
    #[must_use]
    pub fn plugin(self, library: &Path) -> Self {
        let name = library.file_name().expect("a library is a file");
        fs::copy(library, self.plugins_folder().join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", library.display()));
        self
    }

    pub fn plugins_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        let mut server = self.spawn();
        server.await_ready();
        server
    }

    /// The same while no other server runs: for tests that measure time.
    #[track_caller]
    pub fn start_alone(self) -> Server {
        let mut server = self.spawn_with(Turn::alone());
        server.await_ready();
        server
    }

    /// Starts the server; it may well refuse.
    #[track_caller]
    pub fn spawn(self) -> Server {
        self.spawn_with(Turn::shared())
    }

    #[track_caller]
    fn spawn_with(self, turn: Turn) -> Server {
        let file = self.folder.path().join("config/plugcast.yaml");
        fs::write(&file, to_yaml(&self.config)).expect("the temporary folder is writable");
        let process = run_in(self.folder.path());
        Server { process, data: self.folder.path().join("data"), folder: self.folder, turn }
    }
}

/// Starts the server with the config in a folder.
#[track_caller]
fn run_in(folder: &Path) -> Process {
    Process::spawn(
        "plugcast",
        Command::new(artifacts::server_binary())
            .arg("run")
            .arg("-c")
            .arg(folder.join("config/plugcast.yaml"))
            .current_dir(folder)
            .env_remove("PLUGCAST_CONFIG")
            .env("RUST_BACKTRACE", "1"),
    )
}

/// A running server. Killed when dropped; its log is printed when the test has failed.
#[derive(Debug)]
pub struct Server {
    process: Process,
    data: PathBuf,
    /// Removed when dropped.
    folder: TempDir,
    #[expect(dead_code, reason = "held")]
    turn: Turn,
}

impl Server {
    /// The RTMP plugin alone, with a changed configuration.
    #[track_caller]
    pub fn start(change: &Value) -> Self {
        Setup::new().config(change).start()
    }

    /// Waits until the server is ready.
    #[track_caller]
    pub fn await_ready(&mut self) {
        let ready = wait::try_until(START_LIMIT, || {
            if !self.process.is_running() {
                return Some(false);
            }
            self.events("server.ready").first().map(|_| true)
        });
        assert_eq!(
            ready,
            Some(true),
            "the server is not ready; its log:\n{}",
            self.process.stderr().tail(100)
        );
    }

    /// Every log line with that event name, so far.
    pub fn events(&self, name: &str) -> Vec<Event> {
        let lines = self.process.stderr().get();
        lines
            .iter()
            .filter_map(|line| Event::parse(line))
            .filter(|event| event.name() == name)
            .collect()
    }

    /// Waits for a log line with that event name that `wanted` accepts.
    #[track_caller]
    pub fn wait_for_event(
        &self,
        name: &str,
        limit: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Event {
        let found = wait::try_until(limit, || self.events(name).into_iter().find(&wanted));
        found.unwrap_or_else(|| {
            panic!(
                "no event {name} within {limit:?} that fits; there are: {:#?}",
                self.events(name)
            );
        })
    }

    /// The address that a protocol listens on.
    #[track_caller]
    pub fn address(&self, protocol: &str) -> SocketAddr {
        let event = self.wait_for_event("listener.open", START_LIMIT, |event| {
            event.text("protocol") == protocol
        });
        let address = event.text("address");
        address.parse().unwrap_or_else(|error| panic!("{protocol} listens on {address:?}: {error}"))
    }

    #[track_caller]
    pub fn rtmp(&self) -> SocketAddr {
        self.address("rtmp")
    }

    /// The URL of a stream.
    #[track_caller]
    pub fn rtmp_url(&self, key: &str) -> String {
        format!("rtmp://{}/{key}", self.rtmp())
    }

    /// The admin token, made at the first start.
    #[track_caller]
    pub fn token(&self) -> String {
        let path = self.data.join("admin.token");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    }

    /// `GET path` with the admin token; must be answered with 200.
    #[track_caller]
    pub fn api(&self, path: &str) -> Value {
        let response = http::get(self.address("http"), path, Some(&self.token()));
        assert_eq!(response.status, 200, "GET {path}: {}", response.text());
        response.json()
    }

    /// Changes something through the API; gives the status.
    #[track_caller]
    pub fn change(&self, method: &str, path: &str, body: &str) -> u16 {
        let address = self.address("http");
        http::send(address, method, path, Some(&self.token()), body).status
    }

    /// The plugins as the API lists them.
    #[track_caller]
    pub fn plugins(&self) -> Vec<Value> {
        items(&self.api("/api/v1/plugins"))
    }

    /// What the API says of one plugin, found by its instance, id or file.
    #[track_caller]
    pub fn plugin(&self, name: &str) -> Value {
        let plugins = self.plugins();
        let found = plugins.iter().find(|plugin| {
            ["instance", "id", "name", "file", "path"].iter().any(|key| {
                plugin[*key]
                    .as_str()
                    .is_some_and(|value| value == name || value.ends_with(&format!("/{name}")))
            })
        });
        found.unwrap_or_else(|| panic!("no plugin {name} among {plugins:#?}")).clone()
    }

    /// Waits until a stream has a publisher.
    #[track_caller]
    pub fn wait_for_stream(&self, key: &str) {
        self.wait_for_event("stream.start", Duration::from_secs(10), |event| {
            event.text("key") == key
        });
    }

    /// The libraries that the process has mapped and whose path contains `name`.
    pub fn has_mapped(&self, name: &str) -> bool {
        let maps =
            fs::read_to_string(format!("/proc/{}/maps", self.process.id())).unwrap_or_default();
        maps.contains(name)
    }

    /// Of the server's process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory, in KiB.
    #[track_caller]
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the server runs");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number")
    }

    /// The folder that has everything of this server in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server again after its end, with the same folders and config; it may well refuse.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(!self.process.is_running(), "the server still runs");
        self.process = run_in(self.folder.path());
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.stderr().tail(lines)
    }

    /// Asks for an orderly stop, without waiting.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait(limit)
    }

    /// SIGTERM; must end with exit code 0 within the promised time.
    #[track_caller]
    pub fn stop(mut self) {
        self.terminate();
        let status = self.wait(STOP_LIMIT);
        assert!(status.success(), "stopped with {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{}\n--- end of the log ---", self.log_tail(300));
        }
    }
}

/// One log line in JSON.
#[derive(Debug, Clone)]
pub struct Event(Value);

impl Event {
    fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.is_object().then_some(Self(value))
    }

    pub fn name(&self) -> String {
        self.text("event")
    }

    /// A field as text; empty when it is not there.
    pub fn text(&self, key: &str) -> String {
        match self.field(key) {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    /// A field; null when it is not there.
    pub fn field(&self, key: &str) -> &Value {
        let Value::Object(line) = &self.0 else { return &Value::Null };
        line.get(key).unwrap_or_else(|| &self.0["fields"][key])
    }
}

/// The rows of a list answer, paged or plain.
pub fn items(list: &Value) -> Vec<Value> {
    let rows = if list.is_array() { list } else { &list["items"] };
    rows.as_array().cloned().unwrap_or_else(|| panic!("not a list: {list}"))
}

fn merge(base: &mut Value, change: &Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change.clone(),
    }
}

/// Block style mappings; scalars and lists as JSON, which YAML includes.
fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    write_yaml(value, 0, &mut out);
    out
}

fn write_yaml(value: &Value, depth: usize, out: &mut String) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        out.push_str(&"  ".repeat(depth));
        out.push_str(key);
        out.push(':');
        if value.as_object().is_some_and(|map| !map.is_empty()) {
            out.push('\n');
            write_yaml(value, depth + 1, out);
        } else {
            out.push_str(&format!(" {value}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_writes_a_configuration() {
        let mut config = json!({ "a": { "b": 1, "c": "x" }, "d": [1] });

        merge(&mut config, &json!({ "a": { "c": "10s", "e": {} }, "d": ["y", 2] }));

        assert_eq!(to_yaml(&config), "a:\n  b: 1\n  c: \"10s\"\n  e: {}\nd: [\"y\",2]\n");
    }

    #[test]
    fn finds_fields_of_both_log_forms() {
        let flat = Event::parse(r#"{"event":"listener.open","protocol":"rtmp"}"#).unwrap();
        let nested =
            Event::parse(r#"{"level":"INFO","fields":{"event":"stream.start","fps":25}}"#).unwrap();

        assert_eq!(
            (flat.name(), flat.text("protocol")),
            ("listener.open".to_owned(), "rtmp".to_owned())
        );
        assert_eq!(
            (nested.name(), nested.text("fps")),
            ("stream.start".to_owned(), "25".to_owned())
        );
        assert!(Event::parse("thread panicked").is_none());
    }
}
