//! Our server, with the plugins that were built beside this program.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Play, Published, Running, START_LIMIT, Target};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::machine;
use crate::options::{Options, Protocol};

/// All that there are, also when viewers need one only: memory counts with all of them loaded.
const PLUGINS: [&str; 2] = ["libplugcast_flv.so", "libplugcast_rtmp.so"];
/// How long media may be held back.
const BUDGET_KEY: &str = "fanout.latency_budget";

/// Lines of a server's log that are kept for an error message.
const LOG_LINES: usize = 30;

/// Addresses by protocol.
type Ports = BTreeMap<String, SocketAddr>;

type Lines = Arc<Mutex<VecDeque<String>>>;

pub(super) fn start(
    options: &Options,
    core: Option<usize>,
    protocol: Protocol,
    budget_ms: u32,
) -> Result<Target, Error> {
    let built = options.built.clone().map_or_else(our_folder, Ok)?;
    let binary = built.join("plugcast");
    let folder =
        TempDir::with_prefix("plugcast-bench-").map_err(Error::io("a temporary folder"))?;
    let mut settings = options.set.clone();
    if budget_ms > 0 {
        settings.push((BUDGET_KEY.to_owned(), format!("{budget_ms}ms")));
    }
    let certificate = protocol.is_tls().then(|| Certificate::make(folder.path())).transpose()?;
    if let Some(Certificate { path, key, .. }) = &certificate {
        let profile = json!({ "certificate": path, "key": key });
        let any = "127.0.0.1:0".to_owned();
        settings.extend([
            ("tls.bench".to_owned(), profile.to_string()),
            ("http.tls".to_owned(), "bench".to_owned()),
            ("http.https_listen".to_owned(), any.clone()),
            ("plugins.rtmp.tls".to_owned(), "bench".to_owned()),
            ("plugins.rtmp.tls_listen".to_owned(), any),
        ]);
    }
    let config = write_config(folder.path(), &built, &settings)?;
    let mut command = Command::new(&binary);
    command.arg("run").arg("-c").arg(&config).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Running(machine::spawn_on(core, &mut command)?);
    let stderr = child.0.stderr.take().ok_or(Error::Closed("to the server's log"))?;
    let (log, found) = read_log(stderr)?;
    let ports = match found.recv_timeout(START_LIMIT) {
        Ok(ports) => ports,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            return Err(Error::Start(format!("{}\n{}", binary.display(), text_of(&log))));
        }
    };
    let place = |protocol: &str| {
        let address = ports.get(protocol).copied();
        address.ok_or_else(|| Error::Start(format!("nobody listens for {protocol}")))
    };
    let published =
        |address| Published { address, app: "live".to_owned(), name: "bench".to_owned() };
    let flv = |address: SocketAddr| Play::HttpFlv {
        address,
        authority: address.to_string(),
        path: "/flv/live/bench.flv".to_owned(),
    };
    let play = match protocol {
        Protocol::HttpFlv => flv(place("http")?),
        Protocol::HttpsFlv => flv(place("https")?),
        Protocol::Rtmp => Play::Rtmp(published(place("rtmp")?)),
        Protocol::Rtmps => Play::Rtmp(published(place("rtmps")?)),
    };
    let tls = certificate.map(|certificate| certificate.trust);
    let publish = Some(published(place("rtmp")?));
    let pids = vec![child.0.id()];
    Ok(Target { publish, play, tls, pids, _child: Some(child), _folder: Some(folder) })
}

/// That of this program: its profile's.
fn our_folder() -> Result<PathBuf, Error> {
    let ours = std::env::current_exe().map_err(Error::io("our own path"))?;
    Ok(ours.parent().unwrap_or(&ours).to_path_buf())
}

/// The plugins, and ports of the system's choice.
fn write_config(
    folder: &Path,
    built: &Path,
    settings: &[(String, String)],
) -> Result<PathBuf, Error> {
    let failed = || Error::io(format!("preparing {}", folder.display()));
    let (plugins, data) = (folder.join("plugins"), folder.join("data"));
    fs::create_dir(&plugins).map_err(failed())?;
    fs::create_dir(&data).map_err(failed())?;
    for name in PLUGINS {
        let library = built.join(name);
        if !library.exists() {
            let path = library.display();
            return Err(Error::Start(format!("{path} is not built; scripts/bench builds it")));
        }
        fs::copy(library, plugins.join(name)).map_err(failed())?;
    }
    let mut config = json!({
        "server": { "plugin_dirs": [plugins], "data_dir": data },
        "http": { "listen": "127.0.0.1:0" },
        "log": { "format": "json" },
        "plugins": { "rtmp": { "listen": "127.0.0.1:0" } },
    });
    for (key, value) in settings {
        let mut place = &mut config;
        for part in key.split('.') {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[part];
        }
        // What is no JSON is a text, as in YAML.
        *place = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    }
    let path = folder.join("plugcast.yaml");
    // JSON is YAML.
    fs::write(&path, config.to_string()).map_err(failed())?;
    Ok(path)
}

/// Reads a server's log to its end; gives the addresses once the server is ready.
fn read_log(
    stderr: impl std::io::Read + Send + 'static,
) -> Result<(Lines, Receiver<Ports>), Error> {
    let log = Lines::default();
    let (sender, receiver) = mpsc::channel();
    let kept = Arc::clone(&log);
    let reader = thread::Builder::new().name("log".to_owned()).spawn(move || {
        let mut ports = Ports::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["event"].as_str() {
                Some("listener.open") => {
                    let address = event["address"].as_str().and_then(|text| text.parse().ok());
                    let protocol = event["protocol"].as_str().map(str::to_owned);
                    ports.extend(protocol.zip(address));
                }
                Some("server.ready") => {
                    // Nobody listens any more if the start took too long.
                    let _late = sender.send(std::mem::take(&mut ports));
                }
                _ => {}
            }
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LOG_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    });
    reader.map_err(Error::io("a thread"))?;
    Ok((log, receiver))
}

fn text_of(log: &Lines) -> String {
    let lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_the_addresses_from_the_log() {
        let log = [
            r#"{"event":"listener.open","protocol":"http","address":"127.0.0.1:1"}"#,
            r#"{"event":"listener.open","protocol":"rtmp","address":"127.0.0.1:2"}"#,
            "not JSON",
            r#"{"event":"server.ready"}"#,
        ];
        let (_, found) = read_log(std::io::Cursor::new(log.join("\n"))).unwrap();

        let ports = found.recv().unwrap();
        assert_eq!((ports["http"].port(), ports["rtmp"].port()), (1, 2));
    }

    #[test]
    fn a_server_that_ends_is_noticed() {
        let (log, found) = read_log(std::io::Cursor::new("cannot start")).unwrap();

        assert!(found.recv().is_err());
        assert_eq!(text_of(&log), "cannot start");
    }
}
