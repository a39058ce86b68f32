//! What is measured: our server, the bare loop, or a server that somebody else runs.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::error::Error;
use crate::load::Opening;
use crate::machine;
use crate::options::{Media, Options};

const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a child may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Lines of a server's log that are kept for an error message.
const LOG_LINES: usize = 30;

/// Kinds of target, in the order in which a round measures them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Plugcast,
    Url,
    Bare,
}

/// A target that runs. What was started for it stops with it.
pub(crate) struct Target {
    pub address: SocketAddr,
    pub opening: Opening,
    pub app: String,
    pub name: String,
    /// Whose CPU time and memory count; may be empty.
    pub pids: Vec<u32>,
    _child: Option<Running>,
    _folder: Option<TempDir>,
}

struct Running(Child);

type Lines = Arc<Mutex<VecDeque<String>>>;

impl Kind {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Plugcast => "plugcast",
            Self::Url => "url",
            Self::Bare => "bare send()",
        }
    }

    pub(crate) fn start(self, options: &Options) -> Result<Target, Error> {
        let core = options.cores()?.map(|(server, _)| server);
        match (self, &options.url) {
            (Self::Bare, _) => start_bare(options.media, core),
            (Self::Url, Some(url)) => Ok(Target {
                address: url.address()?,
                opening: Opening::Rtmp,
                app: url.app.clone(),
                name: url.name.clone(),
                pids: options.pid.clone(),
                _child: None,
                _folder: None,
            }),
            (Self::Plugcast | Self::Url, _) => start_plugcast(options, core),
        }
    }
}

fn start_plugcast(options: &Options, core: Option<usize>) -> Result<Target, Error> {
    let binary = options.server.clone().map_or_else(|| beside_us("plugcast"), Ok)?;
    let plugin = options.plugin.clone().map_or_else(|| beside_us("libplugcast_rtmp.so"), Ok)?;
    let folder =
        TempDir::with_prefix("plugcast-bench-").map_err(Error::io("a temporary folder"))?;
    let config = write_config(folder.path(), &plugin)?;
    let mut command = Command::new(&binary);
    command.arg("run").arg("-c").arg(&config).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Running(machine::spawn_on(core, &mut command)?);
    let stderr = child.0.stderr.take().ok_or(Error::Closed("to the server's log"))?;
    let (log, found) = read_log(stderr)?;
    let address = match found.recv_timeout(START_LIMIT) {
        Ok(address) => address,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            return Err(Error::Start(format!("{}\n{}", binary.display(), text_of(&log))));
        }
    };
    Ok(Target {
        address,
        opening: Opening::Rtmp,
        app: "live".to_owned(),
        name: "bench".to_owned(),
        pids: vec![child.0.id()],
        _child: Some(child),
        _folder: Some(folder),
    })
}

/// A file of this profile's folder.
fn beside_us(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::current_exe().map_err(Error::io("our own path"))?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Error::Start(format!("{} is not built; scripts/bench builds it", path.display())))
}

/// One plugin, and ports of the system's choice.
fn write_config(folder: &Path, plugin: &Path) -> Result<PathBuf, Error> {
    let failed = || Error::io(format!("preparing {}", folder.display()));
    let (plugins, data) = (folder.join("plugins"), folder.join("data"));
    fs::create_dir(&plugins).map_err(failed())?;
    fs::create_dir(&data).map_err(failed())?;
    fs::copy(plugin, plugins.join("libplugcast_rtmp.so")).map_err(failed())?;
    let config = json!({
        "server": { "plugin_dirs": [plugins], "data_dir": data },
        "http": { "listen": "127.0.0.1:0" },
        "log": { "format": "json" },
        "plugins": { "rtmp": { "listen": "127.0.0.1:0" } },
    });
    let path = folder.join("plugcast.yaml");
    // JSON is YAML.
    fs::write(&path, config.to_string()).map_err(failed())?;
    Ok(path)
}

/// Reads a server's log to its end; gives the address of RTMP once the server is ready.
fn read_log(
    stderr: impl std::io::Read + Send + 'static,
) -> Result<(Lines, Receiver<SocketAddr>), Error> {
    let log = Lines::default();
    let (sender, receiver) = mpsc::channel();
    let kept = Arc::clone(&log);
    let reader = thread::Builder::new().name("log".to_owned()).spawn(move || {
        let mut address = None;
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["event"].as_str() {
                Some("listener.open") if event["protocol"] == "rtmp" => {
                    address = event["address"].as_str().and_then(|text| text.parse().ok());
                }
                Some("server.ready") => {
                    // Nobody listens any more if the start took too long.
                    let _late = address.map(|address| sender.send(address));
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

/// This program again, as a server.
fn start_bare(media: Media, core: Option<usize>) -> Result<Target, Error> {
    let ours = std::env::current_exe().map_err(Error::io("our own path"))?;
    let mut command = Command::new(ours);
    command.arg("bare");
    command.args(["--streams", &media.streams.to_string()]);
    command.args(["--bitrate", &media.bitrate.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Running(machine::spawn_on(core, &mut command)?);
    let stdout = child.0.stdout.take().ok_or(Error::Closed("to the bare loop"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).map_err(Error::io("the bare loop"))?;
    let address = line.trim().parse().map_err(|_| Error::Start(format!("bare loop: {line:?}")))?;
    Ok(Target {
        address,
        opening: Opening::Bare,
        app: String::new(),
        name: String::new(),
        pids: vec![child.0.id()],
        _child: Some(child),
        _folder: None,
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that has ended already is what we want, and there is nobody to tell of more.
        let _gone = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_the_address_from_the_log() {
        let log = [
            r#"{"event":"listener.open","protocol":"http","address":"127.0.0.1:1"}"#,
            r#"{"event":"listener.open","protocol":"rtmp","address":"127.0.0.1:2"}"#,
            "not JSON",
            r#"{"event":"server.ready"}"#,
        ];
        let (_, found) = read_log(std::io::Cursor::new(log.join("\n"))).unwrap();

        assert_eq!(found.recv().unwrap(), "127.0.0.1:2".parse().unwrap());
    }

    #[test]
    fn a_server_that_ends_is_noticed() {
        let (log, found) = read_log(std::io::Cursor::new("cannot start")).unwrap();

        assert!(found.recv().is_err());
        assert_eq!(text_of(&log), "cannot start");
    }
}
