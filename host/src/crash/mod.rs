//! What is left of a server that dies: a report in `<data_dir>/crash`, for whoever has to find out why.
//!
//! ```text
//! SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, in whoever's code ─┐
//! a panic on a thread that the server can't do without ────────┼─▶ report ─▶ the next start tells of it
//! a start that fails ──────────────────────────────────────────┘
//! ```
//!
//! All reports are written by one piece of code that is made for the worst case, a process whose memory may be broken: it
//! allocates nothing, waits for no lock and asks only the kernel. What it needs from the server is kept ready here. A panic
//! inside a plugin is none of this: it is caught on the plugin's side and counted as a fault.

mod build_id;
mod panics;
mod past;
mod report;
mod signal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};

pub(crate) use self::panics::{essential, essential_task};
use self::report::Victim;
use crate::config::{self, Loaded};
use crate::log;
use crate::plugin::manager::PluginInfo;

/// Reports that are kept, a new one included.
const KEPT_MAX: usize = 10;
/// Longer texts of others are cut.
const TEXT_CHARS_MAX: usize = 1_000;
/// Below the data folder.
const FOLDER: &str = "crash";

static STATE: OnceLock<State> = OnceLock::new();

/// All that a report needs and the kernel does not know.
struct State {
    path: PathBuf,
    /// Open from the start on: nothing has to be looked up when it counts.
    folder: OwnedFd,
    started: Instant,
    log: log::Handle,
    /// The config in force, masked: `key: value` lines.
    config: String,
    plugins: Mutex<Vec<Plugin>>,
    /// Given up before the report is opened, so that a server without descriptors can still write it: one for the report, one for
    /// what it copies.
    spare: Mutex<Option<[OwnedFd; 2]>>,
}

struct Plugin {
    info: PluginInfo,
    build: String,
}

/// From here on a crash leaves a report. Tells of those of earlier runs, each once. Without a folder that can be written the
/// server runs on, and a crash has its line on stderr only.
pub(crate) fn install(loaded: &Loaded, log: &log::Handle) {
    panics::hook();
    let path = loaded.config.server.data_dir.join(FOLDER);
    match open_folder(&path) {
        Ok((folder, spare)) => {
            past::tell(&path, KEPT_MAX - 1);
            let lines = config::show(loaded).into_iter();
            let config = lines.map(|shown| format!("{}: {}\n", shown.key, shown.value));
            let state = State {
                folder,
                started: Instant::now(),
                log: log.clone(),
                config: config.collect(),
                plugins: Mutex::default(),
                spare: Mutex::new(Some(spare)),
                path,
            };
            // Set once in the life of a process.
            let _ = STATE.set(state);
        }
        Err(error) => tracing::error!(
            event = "crash.folder",
            folder = %path.display(),
            "{error}; a crash would leave no report"
        ),
    }
    if let Err(error) = signal::install() {
        tracing::error!(event = "crash.signals", "{error}; a fatal signal would leave no report");
    }
}

fn open_folder(path: &Path) -> io::Result<(OwnedFd, [OwnedFd; 2])> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    let spare = || rustix::io::fcntl_dupfd_cloexec(&folder, 0);
    let spare = [spare()?, spare()?];
    Ok((folder, spare))
}

/// Keeps what a report says of plugins up to date.
pub(crate) fn set_plugins(list: Vec<PluginInfo>) {
    let Some(state) = STATE.get() else { return };
    let known: HashMap<PathBuf, String> = state
        .plugins
        .lock()
        .iter()
        .filter_map(|plugin| Some((plugin.info.file.clone()?, plugin.build.clone())))
        .collect();
    let build = |file: &Path| known.get(file).cloned().unwrap_or_else(|| build_id::of(file));
    let plugins = list.into_iter().map(|mut info| {
        // It is the plugin's own words.
        info.reason = one_line(&info.reason);
        let build = info.file.as_deref().map(build).unwrap_or_default();
        Plugin { info, build }
    });
    let plugins = plugins.collect();
    *state.plugins.lock() = plugins;
}

/// The server did not start, for a reason that is not a port in use. A start that fails again and again for the same reason,
/// as under a service manager, leaves one report.
pub(crate) fn failed_start(problem: &str) {
    let Some(state) = STATE.get() else { return };
    let reason = one_line(&format!("the start failed: {problem}"));
    if past::newest_reason(&state.path).as_deref() != Some(&reason) {
        report::write(&Victim::this_thread(), &reason, &"");
    }
}

/// A text that others made, without its secrets and on one line.
fn one_line(text: &str) -> String {
    let masked = log::mask::url(text);
    masked.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect()
}
