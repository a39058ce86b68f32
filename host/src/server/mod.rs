//! All that exists in the server, in the order in which it starts. Stopping is the reverse.

mod figures;
mod machine;
pub mod system;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use plugin_api::abi::{core as abi, hash};
use plugin_api::mem::{Account, Pool};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub use self::figures::StreamDetail;
use self::figures::{Figures, Phase};
use crate::auth::engine::Engine;
use crate::auth::token::{self, Token};
use crate::config::{Config, ConfigFile, Loaded};
use crate::crash;
use crate::fanout::Fanout;
use crate::http::{self, HttpServer};
use crate::hub::Hub;
use crate::hub::auth::Authorizer;
use crate::hub::feed::Feeds;
use crate::listeners::{Listeners, authority};
use crate::log;
use crate::metrics::Metrics;
use crate::net::tls::Profiles;
use crate::net::{self, Net};
use crate::plugin::discovery::{Requirements, Search};
use crate::plugin::manager::{Manager, State};
use crate::task;

/// How often instances are looked at for faults.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How often files of certificates are looked at.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(2);
/// What the log file gets at the end to take what is left.
const LOG_FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// Below this many descriptors a busy server runs out of them.
const NOFILE_WANTED: u64 = 65_536;

/// What plugins' calls reach. Lives as long as the process: instances hold it.
pub struct Services {
    pub runtime: tokio::runtime::Handle,
    pub log: log::Handle,
    pub memory: Arc<Account>,
    pub tasks: Arc<task::Tree>,
    pub net: Net,
    pub tls: Profiles,
    pub listeners: Listeners,
    /// Routes of plugins on the HTTP port.
    pub routes: http::Routes,
    pub authorizer: Arc<dyn Authorizer>,
    pub hub: Arc<Hub>,
    pub feeds: Feeds,
    pub fanout: Fanout,
    pub metrics: Arc<Metrics>,
}

/// Why the server did not start.
#[derive(Debug)]
pub enum StartError {
    /// Addresses that are in use, and by whom.
    Ports(String),
    Other(String),
}

/// What plugins must have been built for.
pub fn requirements() -> Requirements {
    Requirements {
        abi_major: abi::ABI_MAJOR,
        header_hash: hash::HEADER_HASH.to_owned(),
        target: plugin_api::manifest::TARGET.concat(),
    }
}

/// The certificate profiles of the config.
///
/// # Errors
/// What is wrong with their files, a line for each profile.
pub fn load_certificates(config: &Config) -> Result<Profiles, String> {
    Profiles::load(config.tls_settings()).map_err(|errors| {
        let lines: Vec<String> =
            errors.iter().map(|(name, error)| format!("tls.{name}: {error}")).collect();
        lines.join("\n")
    })
}

/// Where the admin token is.
pub fn token_path(config: &Config) -> PathBuf {
    config.server.data_dir.join(token::FILE_NAME)
}

/// Runs the server until it is told to stop by SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start; what was started by then has been stopped again.
pub fn run(loaded: Loaded, search: Search) -> Result<(), StartError> {
    let other = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
    let log = log::init(&loaded.config.log).map_err(|error| other(&error))?;
    announce(&loaded);
    crash::install(&loaded, &log);
    crash::essential(|| run_logged(loaded, search, log))
}

fn run_logged(loaded: Loaded, search: Search, log: log::Handle) -> Result<(), StartError> {
    let other = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
    let runtime = build_runtime(&loaded.config).map_err(|error| other(&error))?;
    let server = Server::start(loaded, search, log.clone(), &runtime);
    let outcome = match server {
        Ok(server) => {
            let cause = runtime.block_on(until_signal());
            server.stop(cause);
            Ok(())
        }
        Err(error) => Err(error),
    };
    if let Err(StartError::Other(problem)) = &outcome {
        crash::failed_start(problem);
    }
    // Plugins that are stuck hold threads of the runtime; the process ends without them.
    runtime.shutdown_timeout(Duration::from_millis(500));
    log.flush(LOG_FLUSH_LIMIT);
    outcome
}

fn announce(loaded: &Loaded) {
    let config = match &loaded.file {
        ConfigFile::Found(path) => path.display().to_string(),
        ConfigFile::NotFound { looked } => {
            let looked: Vec<String> =
                looked.iter().map(|path| path.display().to_string()).collect();
            format!("built-in defaults; no file at {}", looked.join(" or "))
        }
    };
    let data = loaded.config.server.data_dir.display();
    tracing::info!(event = "server.start", version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), config, %data);
    for note in &loaded.notes {
        tracing::warn!(event = "config.note", "{note}");
    }
    if loaded.config.auth.is_empty() {
        tracing::warn!(
            event = "auth.default",
            "no rules in `auth`: everybody may play; loopback and private networks may publish, others may not"
        );
    }
    match machine::raise_nofile() {
        Some(limit) if limit < NOFILE_WANTED => tracing::warn!(
            event = "server.nofile",
            limit,
            "few file descriptors: each connection takes one; raise the hard limit (LimitNOFILE, ulimit -Hn)"
        ),
        _ => {}
    }
}

fn build_runtime(config: &Config) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.server.worker_threads > 0 {
        builder.worker_threads(usize::from(config.server.worker_threads));
    }
    builder.enable_all().thread_name("worker").build()
}

/// Where the page for operators is, at one of the server's own ports.
fn page_url((protocol, address): (&'static str, SocketAddr)) -> String {
    let default_port = if protocol == "https" { 443 } else { 80 };
    format!("{protocol}://{}/", authority(address, default_port))
}

async fn until_signal() -> &'static str {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

struct Server {
    config: Config,
    services: Arc<Services>,
    manager: Arc<Manager>,
    http: Option<HttpServer>,
    figures: Arc<Figures>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    fn start(
        loaded: Loaded,
        search: Search,
        log: log::Handle,
        runtime: &Runtime,
    ) -> Result<Self, StartError> {
        let config = loaded.config;
        let handle = runtime.handle().clone();
        let token = Token::load_or_create(&config.server.data_dir)
            .map_err(|error| StartError::Other(error.to_string()))?
            .token;
        let limit = config.memory.limit.bytes(machine::usable_memory());
        let memory =
            Account::new(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
        let authorizer: Arc<dyn Authorizer> = Arc::new(Engine::new(config.auth.clone()));
        let hub = Hub::new(config.hub_settings(), Arc::clone(&authorizer), Arc::clone(&memory));
        let tls = load_certificates(&config).map_err(StartError::Other)?;
        let pool = Pool::new(Arc::clone(&memory));
        let fanout = Fanout::start(&config.fanout_settings(), pool.clone())
            .map_err(|error| StartError::Other(format!("fan-out threads: {error}")))?;
        let feeds = Feeds::new(Arc::clone(&hub), pool, handle.clone(), config.feed_settings());
        let figures = Figures::new(&config);
        let max_streams = usize::try_from(config.metrics.max_streams).unwrap_or(usize::MAX);
        let services = Arc::new(Services {
            runtime: handle.clone(),
            log,
            memory,
            tasks: task::Tree::new(handle.clone()),
            net: Net::with_limits(handle, config.connection_limits()),
            tls,
            listeners: Listeners::default(),
            routes: http::Routes::default(),
            authorizer,
            hub,
            feeds,
            fanout,
            metrics: Metrics::new(figures.clone(), max_streams),
        });
        let manager = Arc::new(Manager::new(search, &loaded.instances, Arc::clone(&services)));
        figures.show(Arc::clone(&services), Arc::clone(&manager));
        let mut server = Self {
            config,
            services,
            manager,
            http: None,
            figures,
            stopping: Arc::new(AtomicBool::new(false)),
        };
        match server.open(token) {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop("start failed");
                Err(error)
            }
        }
    }

    /// Opens everything that others can reach.
    fn open(&mut self, token: Token) -> Result<(), StartError> {
        let mut problem = self.open_http(token).err();
        self.spawn_ticks();
        if let Err(missing) = self.manager.start_all() {
            problem = Some(missing);
        }
        let conflicts = self.services.listeners.conflicts();
        match problem {
            Some(_) if !conflicts.is_empty() => {
                return Err(StartError::Ports(conflicts.join("\n")));
            }
            Some(problem) => return Err(StartError::Other(problem)),
            None => {}
        }
        self.figures.enter(Phase::Ready);
        self.banner();
        Ok(())
    }

    fn open_http(&mut self, token: Token) -> Result<(), String> {
        let settings = self.config.http_settings(&self.services.tls);
        let Some(mut settings) = settings else { return Ok(()) };
        settings.plugins = self.services.routes.clone();
        let (services, figures) = (&self.services, Arc::clone(&self.figures));
        let opened = http::start(
            &services.net,
            services.tasks.root(),
            settings,
            figures,
            token,
            Arc::clone(&services.metrics),
            services.log.clone(),
        );
        match opened {
            Ok(http) => {
                for (protocol, address) in http.addresses() {
                    tracing::info!(event = "listener.open", instance = "http", protocol, %address);
                }
                self.figures.set_http(http.addresses().collect());
                self.http = Some(http);
                Ok(())
            }
            Err(error) => {
                if matches!(error, http::Error::Listen(net::Error::Conflict { .. })) {
                    services.listeners.conflict("http", &error.to_string());
                }
                tracing::error!(
                    event = "listener.failed",
                    instance = "http",
                    protocol = "http",
                    "{error}"
                );
                Err(format!("http: {error}"))
            }
        }
    }

    fn spawn_ticks(&self) {
        let hub = Arc::clone(&self.services.hub);
        crash::essential_task(&self.services.runtime, async move {
            let mut interval = tokio::time::interval(Hub::TICK);
            loop {
                interval.tick().await;
                hub.tick();
            }
        });
        if !self.services.tls.is_empty() {
            let services = Arc::clone(&self.services);
            self.services.runtime.spawn(async move {
                let mut interval = tokio::time::interval(CERTIFICATE_INTERVAL);
                loop {
                    interval.tick().await;
                    let services = Arc::clone(&services);
                    // It reads files.
                    let watch = move || services.tls.watch(SystemTime::now());
                    let _ = tokio::task::spawn_blocking(watch).await;
                }
            });
        }
        let (manager, stopping) = (Arc::clone(&self.manager), Arc::clone(&self.stopping));
        self.services.runtime.spawn(async move {
            let mut interval = tokio::time::interval(WATCH_INTERVAL);
            loop {
                interval.tick().await;
                if stopping.load(Ordering::Acquire) {
                    return;
                }
                let manager = Arc::clone(&manager);
                // It waits for plugins when it stops one.
                let _ = tokio::task::spawn_blocking(move || manager.watch()).await;
            }
        });
    }

    /// What an operator wants to know first.
    fn banner(&self) {
        let plugins = self.manager.list();
        let running = plugins.iter().filter(|plugin| plugin.state == State::Running).count();
        if running == 0 {
            let folders: Vec<String> = self
                .config
                .server
                .plugin_dirs
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            tracing::warn!(
                event = "plugin.none",
                folders = folders.join(", "),
                "no plugin is running: this server speaks no protocol; put plugin libraries into one of the folders"
            );
        }
        for urls in self.services.listeners.urls("live/NAME") {
            tracing::info!(
                event = "listener.urls",
                instance = urls.instance,
                publish = urls.publish,
                play = urls.play
            );
        }
        let token = token_path(&self.config);
        let ports: Vec<_> = self.http.iter().flat_map(HttpServer::addresses).collect();
        let http: Vec<String> = ports.iter().map(|(_, address)| address.to_string()).collect();
        let pages: Vec<String> = ports.iter().map(|port| page_url(*port)).collect();
        tracing::info!(
            event = "server.ready",
            plugins = running,
            http = http.join(" "),
            page = pages.join(" "),
            token_file = %token.display()
        );
    }

    /// Everything in reverse, within `server.shutdown_timeout`. Blocks.
    fn stop(self, cause: &str) {
        tracing::info!(event = "server.stop", cause);
        let total = self.config.server.shutdown_timeout.get();
        let deadline = Instant::now() + total;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.stopping.store(true, Ordering::Release);
        self.figures.enter(Phase::Draining);
        self.manager.drain_all();
        // Sessions hear of the end through their streams and viewers, and close in their protocol's way.
        self.services.hub.shutdown();
        let per_plugin = self.config.server.plugin_stop_timeout.get().min(left());
        self.manager.stop_all(per_plugin);
        self.services.fanout.stop(left().min(Duration::from_secs(1)));
        if let Some(http) = self.http {
            let addresses: Vec<_> = http.addresses().collect();
            self.services.runtime.block_on(http.stop(left().min(Duration::from_secs(1))));
            for (protocol, address) in addresses {
                tracing::info!(event = "listener.close", instance = "http", protocol, %address);
            }
        }
        tracing::info!(event = "server.stopped", took_ms = (total - left()).as_millis());
    }
}
