//! The server's state as the API and the metrics page show it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Services, system};
use crate::config::Config;
use crate::http::{self, Listing, Newest, Page, Problem, Readiness};
use crate::hub::feed::{FormatInfo, ViewerInfo};
use crate::hub::info::StreamInfo;
use crate::hub::key::StreamKey;
use crate::listeners::Urls;
use crate::metrics::{self, FormatFigures, HostFigures, StreamFigures, ThreadFigures};
use crate::plugin::manager::{Manager, State};
use crate::task::Tree;

/// Where the server is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Starting,
    Ready,
    Draining,
}

/// One stream, all that there is to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamDetail {
    #[serde(flatten)]
    pub stream: StreamInfo,
    pub viewers: Vec<ViewerInfo>,
    /// To paste, one for each listener.
    pub urls: Vec<Urls>,
    /// Whether it can be watched in each format, and why not.
    pub formats: Vec<FormatInfo>,
}

/// See the module. Made before what it shows, since that counts into the metrics.
pub(super) struct Figures {
    phase: AtomicU8,
    started: Instant,
    http: OnceLock<Vec<(&'static str, SocketAddr)>>,
    /// What the server writes to, by key of the config.
    folders: Vec<(&'static str, PathBuf)>,
    shown: OnceLock<Shown>,
}

struct Shown {
    services: Arc<Services>,
    manager: Arc<Manager>,
}

impl Figures {
    pub(super) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            started: Instant::now(),
            http: OnceLock::new(),
            folders: [("server.data_dir", &config.server.data_dir), ("log.dir", &config.log.dir)]
                .into_iter()
                .filter(|(_, folder)| !folder.as_os_str().is_empty())
                .map(|(key, folder)| (key, folder.clone()))
                .collect(),
            shown: OnceLock::new(),
        })
    }

    pub(super) fn show(&self, services: Arc<Services>, manager: Arc<Manager>) {
        // Set once, at the start.
        let _ = self.shown.set(Shown { services, manager });
    }

    /// The server's own ports, each with its protocol.
    pub(super) fn set_http(&self, addresses: Vec<(&'static str, SocketAddr)>) {
        // Opened once.
        let _ = self.http.set(addresses);
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn shown(&self) -> Result<&Shown, Problem> {
        self.shown.get().ok_or_else(|| Problem::unavailable("the server is starting"))
    }

    fn streams(&self) -> Vec<StreamInfo> {
        self.shown.get().map(|shown| shown.services.hub.streams()).unwrap_or_default()
    }
}

impl Shown {
    /// A stream with its viewers, its URLs, and the formats that it can be watched in.
    fn describe(&self, stream: StreamInfo) -> StreamDetail {
        let key = &stream.key;
        StreamDetail {
            viewers: self.services.feeds.viewers(key),
            urls: self.services.listeners.urls(&key.in_url()),
            formats: self.services.feeds.playable(key),
            stream,
        }
    }
}

impl http::Source for Figures {
    fn readiness(&self) -> Readiness {
        match self.phase.load(Ordering::Acquire) {
            phase if phase == Phase::Starting as u8 => Readiness::Starting,
            phase if phase == Phase::Draining as u8 => Readiness::Draining,
            _ if self.shown.get().is_some_and(|shown| !shown.manager.required_are_running()) => {
                Readiness::PluginDown
            }
            _ => Readiness::Ready,
        }
    }

    fn streams(&self, page: &Page) -> Result<Listing, Problem> {
        page.list(Self::streams(self).into_iter().map(|info| (info.key.to_string(), info)))
    }

    fn stream(&self, key: &str) -> Option<Value> {
        let shown = self.shown.get()?;
        let info = shown.services.hub.stream(&StreamKey::new(key).ok()?)?;
        Some(json!(shown.describe(info)))
    }

    fn plugins(&self, page: &Page) -> Result<Listing, Problem> {
        let plugins = self.shown.get().map(|shown| shown.manager.details()).unwrap_or_default();
        page.list(plugins.into_iter().map(|plugin| (plugin.info.instance.clone(), plugin)))
    }

    fn tasks(&self, page: &Page) -> Result<Listing, Problem> {
        let tasks = self.shown.get().map(|shown| shown.services.tasks.list()).unwrap_or_default();
        page.list(tasks.into_iter().map(|task| (task.id, task)))
    }

    fn tree(&self) -> Result<Arc<Tree>, Problem> {
        Ok(Arc::clone(&self.shown()?.services.tasks))
    }

    fn system(&self) -> Result<Value, Problem> {
        let services = &self.shown()?.services;
        let http = self.http.get().map_or(&[][..], Vec::as_slice);
        let system = system::describe(services, self.started, http);
        Ok(json!(system))
    }

    fn stop_stream(&self, key: &str, block_for: Duration) -> Result<(), Problem> {
        let missing = || Problem::not_found("there is no stream of this key");
        let key = StreamKey::new(key).map_err(|_| missing())?;
        let stopped = self.shown()?.services.hub.stop_publisher(&key, block_for);
        stopped.map_err(|_| missing())
    }

    fn viewers(&self, page: &Page) -> Result<Listing, Problem> {
        let viewers = self.shown()?.services.feeds.all_viewers();
        page.list(viewers.into_iter().map(|viewer| (viewer.conn, viewer)))
    }

    fn kick(&self, conn: u64) -> Result<(), Problem> {
        match self.shown()?.services.feeds.kick(conn) {
            true => Ok(()),
            false => Err(Problem::not_found("no viewer has this connection")),
        }
    }

    fn ended(&self, page: &Page) -> Result<Listing, Problem> {
        let ended = self.shown()?.services.hub.ended().list();
        page.list(ended.into_iter().map(|session| (Newest::from(session.id), session)))
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl metrics::Source for Figures {
    fn host(&self) -> HostFigures {
        let Some(Shown { services, manager }) = self.shown.get() else {
            return HostFigures::default();
        };
        let streams = services.hub.streams();
        let feeds = services.feeds.list();
        let plugins = manager.list();
        let in_state = |state| count(plugins.iter().filter(|plugin| plugin.state == state).count());
        let limit = services.memory.limit();
        HostFigures {
            memory_used: count(services.memory.used()),
            memory_limit: if limit == usize::MAX { 0 } else { count(limit) },
            streams: count(streams.len()),
            publishers: count(streams.iter().filter(|stream| stream.publisher.is_some()).count()),
            viewers: count(feeds.iter().map(|feed| feed.viewers).sum()),
            feeds: count(feeds.len()),
            plugins_active: in_state(State::Running),
            plugins_faulted: in_state(State::Faulted) + in_state(State::Stuck),
            tasks: count(services.tasks.nodes()),
            task_panics: services.tasks.panics(),
            log_lines_dropped: services.log.dropped(),
            connections_accepted: services.net.connections(),
            connections_refused: services.net.refused(),
        }
    }

    fn threads(&self) -> Vec<ThreadFigures> {
        let threads = self.shown.get().map(|shown| shown.services.fanout.threads());
        let figures = threads.unwrap_or_default().into_iter().map(|thread| ThreadFigures {
            viewers: count(thread.viewers),
            wake_ups: thread.wake_ups,
            sends: thread.sends,
        });
        figures.collect()
    }

    fn formats(&self) -> Vec<FormatFigures> {
        self.shown.get().map(|shown| shown.services.feeds.made()).unwrap_or_default()
    }

    fn certificates(&self) -> Vec<(String, SystemTime)> {
        self.shown.get().map(|shown| shown.services.tls.expiries()).unwrap_or_default()
    }

    fn folders(&self) -> Vec<(&'static str, PathBuf)> {
        self.folders.clone()
    }

    fn streams(&self) -> Vec<StreamFigures> {
        let Some(Shown { services, .. }) = self.shown.get() else { return Vec::new() };
        let feeds = services.feeds.list();
        let figures = services.hub.streams().into_iter().map(|stream| {
            let own = feeds.iter().filter(|feed| feed.key == stream.key);
            let viewers = services.feeds.viewers(&stream.key);
            StreamFigures {
                viewers: count(own.map(|feed| feed.viewers).sum()),
                // A counter: it must not fall when a viewer leaves.
                bytes_out: stream.sent_to_former_viewers
                    + viewers.iter().map(|viewer| viewer.bytes).sum::<u64>(),
                bytes_in: stream.bytes,
                frames: stream.frames,
                frames_dropped: stream.dropped_frames,
                frames_lost: stream.lost_frames,
                key: stream.key.to_string(),
            }
        });
        figures.collect()
    }
}
