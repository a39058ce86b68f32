//! The machine under the measurement: cores, descriptors, signals, and what to write down of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Descriptors besides those of viewers and publishers.
const OTHER_DESCRIPTORS: u64 = 64;

/// Pins this thread, and those that it starts from now on.
pub(crate) fn pin(core: usize) -> Result<(), Error> {
    if core >= CpuSet::MAX_CPU {
        return Err(Error::Options(format!("--pin: no core {core}")));
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(Error::io(format!("pinning to core {core}")))
}

/// Starts a process on one core: it inherits the affinity of the thread that starts it.
pub(crate) fn spawn_on(core: Option<usize>, command: &mut Command) -> Result<Child, Error> {
    let failed = Error::io(command.get_program().to_string_lossy().into_owned());
    let Some(core) = core else { return command.spawn().map_err(failed) };
    let ours = sched_getaffinity(None).map_err(Error::io("affinity"))?;
    pin(core)?;
    let child = command.spawn();
    sched_setaffinity(None, &ours).map_err(Error::io("affinity"))?;
    child.map_err(failed)
}

/// The processes that `parent` has started.
pub(crate) fn children(parent: u32) -> std::io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
        // It may end while we look. The name before its state and its parent may contain spaces: proc(5).
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        if after_name.split_whitespace().nth(1) == Some(&parent.to_string()) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Raises the limit of open files as far as it goes.
pub(crate) fn make_room_for(sockets: usize) -> Result<(), Error> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(Error::io("raising the limit of open files"))?;
    let wanted = u64::try_from(sockets).unwrap_or(u64::MAX).saturating_add(OTHER_DESCRIPTORS);
    match maximum {
        Some(limit) if limit < wanted => {
            let text = format!("{sockets} sockets need `ulimit -n {wanted}`, the limit is {limit}");
            Err(Error::Options(text))
        }
        _ => Ok(()),
    }
}

/// Set when SIGINT or SIGTERM arrives, so that children do not outlive us.
pub(crate) fn watch_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(Error::io("a runtime"))?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::io("signals"))?;
        (interrupt, signal(SignalKind::terminate()).map_err(Error::io("signals"))?)
    };
    let seen = Arc::clone(&stop);
    let watcher = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        seen.store(true, Ordering::Relaxed);
    });
    watcher.map_err(Error::io("a thread"))?;
    Ok(stop)
}

/// The folder of all profiles, in one of which this program was built.
pub(crate) fn target_folder() -> Result<PathBuf, Error> {
    let ours = std::env::current_exe().map_err(Error::io("our own path"))?;
    Ok(ours.ancestors().nth(2).unwrap_or(&ours).to_path_buf())
}

/// How many wanted to run in the last minute, ourselves included.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// What figures mean nothing without.
pub(crate) fn describe() -> Value {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cpu": model.split_once(':').map_or("", |(_, model)| model.trim()),
        // Not `available_parallelism`, which counts those that we are pinned to.
        "cores": text.lines().filter(|line| line.starts_with("processor")).count(),
        "kernel": kernel.trim(),
    })
}
