//! Our server, with the plugins that were built beside this program.

use std::collections::VecDeque;
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
use crate::error::Error;
use crate::machine;
use crate::options::{Options, Protocol};

/// All that there are, also when viewers need one only: memory counts with all of them loaded.
const PLUGINS: [&str; 2] = ["libplugcast_flv.so", "libplugcast_rtmp.so"];
/// How long media may be held back.
const BUDGET_KEY: &str = "fanout.latency_budget";

/// Lines of a server's log that are kept for an error message.
const LOG_LINES: usize = 30;

struct Ports {
    http: SocketAddr,
    rtmp: SocketAddr,
}

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
    let (app, name) = ("live".to_owned(), "bench".to_owned());
    let published = Published { address: ports.rtmp, app, name };
    let play = match protocol {
        Protocol::HttpFlv => Play::HttpFlv {
            address: ports.http,
            authority: ports.http.to_string(),
            path: "/flv/live/bench.flv".to_owned(),
        },
        Protocol::Rtmp => Play::Rtmp(published.clone()),
    };
    let pids = vec![child.0.id()];
    let publish = Some(published);
    Ok(Target { publish, play, pids, _child: Some(child), _folder: Some(folder) })
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
        let (mut http, mut rtmp) = (None, None);
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["event"].as_str() {
                Some("listener.open") => {
                    let address = event["address"].as_str().and_then(|text| text.parse().ok());
                    match event["protocol"].as_str() {
                        Some("http") => http = address,
                        Some("rtmp") => rtmp = address,
                        _ => {}
                    }
                }
                Some("server.ready") => {
                    let ports = http.zip(rtmp).map(|(http, rtmp)| Ports { http, rtmp });
                    // Nobody listens any more if the start took too long.
                    let _late = ports.map(|ports| sender.send(ports));
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

        let Ports { http, rtmp } = found.recv().unwrap();
        assert_eq!((http.port(), rtmp.port()), (1, 2));
    }

    #[test]
    fn a_server_that_ends_is_noticed() {
        let (log, found) = read_log(std::io::Cursor::new("cannot start")).unwrap();

        assert!(found.recv().is_err());
        assert_eq!(text_of(&log), "cannot start");
    }
}
