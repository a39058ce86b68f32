//! All plugins and instances of the server: what was found, what runs, and why something does not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::discovery::{Found, Search, Verdict};
use super::lifecycle::{self, Ended, Running};
use super::manifest::Manifest;
use super::resources::Resources;
use crate::config;
use crate::crash;
use crate::server::Services;

/// Faults within [`FAULT_WINDOW`] that stop an instance.
const FAULTS_MAX: u64 = 20;
const FAULT_WINDOW: Duration = Duration::from_secs(60);
/// The wait before a faulted instance is started again; it doubles each time, up to the maximum.
const RESTART_WAIT: Duration = Duration::from_secs(1);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(60);
/// What a faulted instance is given for its deactivate.
const FAULTED_STOP: Duration = Duration::from_secs(1);

/// Where an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PluginState)]
pub enum State {
    /// Switched off in the config.
    Disabled,
    /// It could not be brought up.
    Failed,
    /// It failed too often while running; it is started again after a wait.
    Faulted,
    /// The file's manifest can't be used.
    Invalid,
    /// The config names a plugin that no file brings.
    Missing,
    /// Not for this host, or shadowed by another file.
    Refused,
    Running,
    Starting,
    Stopped,
    Stopping,
    /// It did not end in time; its sockets are closed.
    Stuck,
}

/// An instance or a file, as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginInfo {
    pub instance: String,
    pub plugin: String,
    pub state: State,
    /// Why, unless it runs.
    pub reason: String,
    #[schema(value_type = Option<String>)]
    pub file: Option<PathBuf>,
    pub version: String,
    pub required: bool,
    /// Callbacks that failed or panicked since it started.
    pub faults: u64,
}

/// The same, with what the instance has of the host's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginDetail {
    #[serde(flatten)]
    pub info: PluginInfo,
    /// `null` unless it runs.
    pub resources: Option<Resources>,
}

struct Entry {
    info: PluginInfo,
    config: String,
    manifest: Option<Box<Manifest>>,
    running: Option<Running>,
    watch: Watch,
}

/// Counts faults by window, and waits before restarts.
#[derive(Default)]
struct Watch {
    window: Option<(Instant, u64)>,
    restart_at: Option<Instant>,
    wait: Duration,
}

/// See the module.
pub struct Manager {
    services: Arc<Services>,
    /// Never held while a plugin is called: the API reads it.
    entries: Mutex<Vec<Entry>>,
    /// Starts and stops come one after the other.
    control: Mutex<()>,
}

impl Manager {
    /// Joins what was found with what is configured. Nothing is loaded yet.
    pub(crate) fn new(
        search: Search,
        instances: &[config::Instance],
        services: Arc<Services>,
    ) -> Self {
        for problem in &search.problems {
            tracing::warn!(event = "plugin.search", "{problem}");
        }
        let mut entries = Vec::new();
        let mut candidates = HashMap::new();
        for Found { path, verdict } in search.found {
            match verdict {
                Verdict::Candidate(manifest) => {
                    candidates.insert(manifest.id.clone(), (path, manifest));
                }
                Verdict::Invalid(reason) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    entries.push(Entry::rejected(&name, "", "", State::Invalid, reason, path));
                }
                Verdict::Refused(manifest, reason) => {
                    let (id, version) = (&manifest.id, &manifest.version);
                    entries.push(Entry::rejected(id, id, version, State::Refused, reason, path));
                }
            }
        }
        entries.extend(
            instances
                .iter()
                .map(|instance| Entry::configured(instance, candidates.get(&instance.plugin))),
        );
        Self { services, entries: Mutex::new(entries), control: Mutex::new(()) }
    }

    /// Brings every enabled instance up, in the order of the config. Blocks.
    ///
    /// # Errors
    /// What is missing when an instance that is required does not come up.
    pub(crate) fn start_all(&self) -> Result<(), String> {
        let _control = self.control.lock();
        let instances = self.entries.lock().len();
        for index in 0..instances {
            self.start(index);
        }
        let entries = self.entries.lock();
        entries.iter().for_each(Entry::log_unless_running);
        let missing: Vec<String> = entries
            .iter()
            .filter(|entry| entry.info.required && entry.info.state != State::Running)
            .map(|entry| format!("{}: {}", entry.info.instance, entry.info.reason))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    /// Closes the listeners of all instances and refuses new registrations: the first step of stopping.
    pub(crate) fn drain_all(&self) {
        for running in self.entries.lock().iter().filter_map(|entry| entry.running.as_ref()) {
            running.drain();
        }
    }

    /// Ends all instances at the same time. Blocks.
    pub(crate) fn stop_all(&self, timeout: Duration) {
        let _control = self.control.lock();
        let instances = self.entries.lock().len();
        std::thread::scope(|scope| {
            for index in 0..instances {
                scope.spawn(move || self.stop(index, timeout));
            }
        });
    }

    /// Stops instances that fault too often and starts them again later. Blocks; call it every second or so.
    pub(crate) fn watch(&self) {
        let _control = self.control.lock();
        let now = Instant::now();
        let due: Vec<_> = self.entries.lock().iter_mut().map(|entry| entry.watch(now)).collect();
        for (index, due) in due.into_iter().enumerate() {
            match due {
                Due::Nothing => {}
                Due::Restart => {
                    self.start(index);
                    self.with(index, |entry| entry.log_unless_running());
                }
                Due::Stop(faults) => {
                    self.stop(index, FAULTED_STOP);
                    self.with(index, |entry| entry.faulted(faults, now));
                }
            }
        }
        // With the faults of the last second.
        crash::set_plugins(self.list());
    }

    /// Everything found and everything configured.
    pub fn list(&self) -> Vec<PluginInfo> {
        self.entries.lock().iter().map(Entry::info).collect()
    }

    /// As [`Manager::list`], with what the running ones have.
    pub fn details(&self) -> Vec<PluginDetail> {
        let detail = |entry: &Entry| {
            let instance = entry.running.as_ref().map(|running| running.instance);
            (entry.info(), instance)
        };
        let entries: Vec<_> = self.entries.lock().iter().map(detail).collect();
        let entries = entries.into_iter();
        // Counted without the lock: an instance may have many handles, and is never freed.
        let counted = entries
            .map(|(info, instance)| PluginDetail { info, resources: instance.map(Resources::of) });
        counted.collect()
    }

    /// Whether all required instances run.
    pub fn required_are_running(&self) -> bool {
        let entries = self.entries.lock();
        entries.iter().all(|entry| !entry.info.required || entry.info.state == State::Running)
    }

    fn with<T>(&self, index: usize, body: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.entries.lock().get_mut(index).map(body)
    }

    /// Starts an instance that is stopped or faulted.
    fn start(&self, index: usize) {
        let what = self.with(index, |entry| {
            let may_start = matches!(entry.info.state, State::Stopped | State::Faulted);
            let (path, manifest) =
                entry.info.file.clone().zip(entry.manifest.clone()).filter(|_| may_start)?;
            entry.info.state = State::Starting;
            Some((path, manifest, entry.info.instance.clone(), entry.config.clone()))
        });
        let Some(Some((path, manifest, name, config))) = what else { return };
        crash::set_plugins(self.list());
        let started = lifecycle::start(&path, &manifest, &name, config, &self.services);
        self.with(index, |entry| entry.started(started));
        crash::set_plugins(self.list());
    }

    fn stop(&self, index: usize, timeout: Duration) {
        let running = self.with(index, |entry| {
            let running = entry.running.take()?;
            entry.info.state = State::Stopping;
            Some(running)
        });
        let Some(Some(running)) = running else { return };
        let ended = running.stop(timeout);
        self.with(index, |entry| entry.ended(ended));
        crash::set_plugins(self.list());
    }
}

/// What [`Manager::watch`] has to do with an instance.
enum Due {
    Nothing,
    Restart,
    /// After this many faults.
    Stop(u64),
}

impl Entry {
    fn rejected(
        name: &str,
        plugin: &str,
        version: &str,
        state: State,
        reason: String,
        file: PathBuf,
    ) -> Self {
        let info = PluginInfo {
            instance: name.to_owned(),
            plugin: plugin.to_owned(),
            state,
            reason,
            file: Some(file),
            version: version.to_owned(),
            required: false,
            faults: 0,
        };
        Self { info, config: String::new(), manifest: None, running: None, watch: Watch::default() }
    }

    fn configured(
        instance: &config::Instance,
        candidate: Option<&(PathBuf, Box<Manifest>)>,
    ) -> Self {
        let (state, reason) = match (candidate, &instance.problem) {
            _ if !instance.enable => (State::Disabled, "switched off in the config".to_owned()),
            (None, _) => {
                (State::Missing, format!("no plugin {:?} in the plugin folders", instance.plugin))
            }
            (Some(_), Some(problem)) => (State::Refused, problem.clone()),
            (Some(_), None) => (State::Stopped, String::new()),
        };
        let info = PluginInfo {
            instance: instance.name.clone(),
            plugin: instance.plugin.clone(),
            state,
            reason,
            file: candidate.map(|(path, _)| path.clone()),
            version: candidate.map_or_else(String::new, |(_, manifest)| manifest.version.clone()),
            required: instance.required,
            faults: 0,
        };
        let manifest = candidate.map(|(_, manifest)| manifest.clone());
        Self {
            info,
            config: instance.json.clone(),
            manifest,
            running: None,
            watch: Watch::default(),
        }
    }

    fn info(&self) -> PluginInfo {
        let mut info = self.info.clone();
        if let Some(running) = &self.running {
            info.faults = running.instance.faults();
        }
        info
    }

    fn started(&mut self, started: Result<Running, String>) {
        match started {
            Ok(running) => {
                tracing::info!(
                    event = "plugin.loaded",
                    instance = self.info.instance,
                    plugin = self.info.plugin,
                    version = self.info.version,
                    file = %self.info.file.as_deref().unwrap_or_else(|| Path::new("")).display()
                );
                self.running = Some(running);
                self.info.state = State::Running;
                self.info.reason.clear();
            }
            Err(reason) => {
                self.info.state = State::Failed;
                self.info.reason = reason;
            }
        }
    }

    fn log_unless_running(&self) {
        let info = &self.info;
        match info.state {
            State::Running => {}
            State::Disabled => tracing::info!(event = "plugin.disabled", instance = info.instance),
            state => tracing::error!(
                event = "plugin.refused",
                instance = info.instance,
                file = %info.file.as_deref().unwrap_or_else(|| Path::new("")).display(),
                ?state,
                "{}", info.reason
            ),
        }
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Stopped => {
                self.info.state = State::Stopped;
                self.info.reason.clear();
                tracing::info!(event = "plugin.stopped", instance = self.info.instance);
            }
            Ended::Stuck(reason) => {
                tracing::error!(event = "plugin.stuck", instance = self.info.instance, "{reason}");
                self.info.state = State::Stuck;
                self.info.reason = reason;
            }
        }
    }

    fn watch(&mut self, now: Instant) -> Due {
        if self.watch.restart_at.is_some_and(|at| at <= now) {
            self.watch.restart_at = None;
            return Due::Restart;
        }
        let Some(running) = &self.running else { return Due::Nothing };
        let faults = running.instance.faults();
        let (since, before) = *self.watch.window.get_or_insert((now, faults));
        let recent = faults.saturating_sub(before);
        if recent >= FAULTS_MAX {
            return Due::Stop(recent);
        }
        if now.duration_since(since) > FAULT_WINDOW {
            self.watch.window = Some((now, faults));
            self.watch.wait = Duration::ZERO;
        }
        Due::Nothing
    }

    /// After it was stopped for its faults.
    fn faulted(&mut self, faults: u64, now: Instant) {
        self.watch.window = None;
        if self.info.state == State::Stuck {
            return;
        }
        self.watch.wait = (self.watch.wait * 2).clamp(RESTART_WAIT, RESTART_WAIT_MAX);
        self.watch.restart_at = Some(now + self.watch.wait);
        self.info.state = State::Faulted;
        self.info.reason = format!(
            "{faults} faults within {FAULT_WINDOW:?}; it is started again in {:?}",
            self.watch.wait
        );
        tracing::error!(
            event = "plugin.faulted",
            instance = self.info.instance,
            "{}",
            self.info.reason
        );
    }
}
