//! The sections of the config that are about the server: process, HTTP, log, limits, memory, metrics.
//!
//! Every field has its default here and in `config/plugcast.yaml`; a test keeps the two alike.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use plugin_api::net::ProxyProtocol;
use plugin_api::units::{ByteSize, HumanDuration, OptionalDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use utoipa::ToSchema;

use super::address::{Cidr, Listen};
use super::memory::MemoryLimit;
use super::streams::{Fanout, Publish, Ring, Subscribe};
use crate::auth::rules::Rule;
use crate::log::{FileSettings, Levels};

/// The whole config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The process: folders, threads, stopping.
    pub server: Server,
    /// The HTTP port: API, media over HTTP, web page.
    pub http: Http,
    /// What is logged.
    pub log: Log,
    /// How much the whole server takes on.
    pub limits: Limits,
    /// Certificates, by name: a listener names the one that it uses.
    pub tls: BTreeMap<String, TlsProfile>,
    /// How much memory the whole server uses.
    pub memory: Memory,
    /// Publishers: who wins a stream, and when it ends.
    pub publish: Publish,
    /// Viewers.
    pub subscribe: Subscribe,
    /// What is kept of each stream for those who join.
    pub ring: Ring,
    /// Sending to viewers.
    pub fanout: Fanout,
    /// The metrics page.
    pub metrics: Metrics,
    /// Who may publish and play: the first rule that matches decides. As long as no rule allows an
    /// action to some, everyone may play, and loopback and private networks may publish.
    pub auth: Vec<Rule>,
    /// One section for each instance of a plugin, by the name of the instance.
    pub plugins: BTreeMap<String, PluginSection>,
}

/// The process: folders, threads, stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Folders with plugins, searched in this order, without their subfolders. Relative to the config
    /// file. Without any, no protocol is served. Default: `plugins`.
    pub plugin_dirs: Vec<PathBuf>,

    /// Folder for what the server keeps: database, token, private copies of plugins. Relative to the
    /// config file. Created when it does not exist. Default: `data`.
    pub data_dir: PathBuf,

    /// Threads that run plugins and HTTP. 0: one for each core. One thread lets a plugin that blocks hold
    /// up all others; many more than cores only cost memory. Default: 0.
    #[schemars(range(max = 1024))]
    pub worker_threads: u16,

    /// Threads that send to viewers. 0: one for each core. Default: 0.
    #[schemars(range(max = 1024))]
    pub fanout_threads: u16,

    /// How long stopping may take in all; then what is left is cut off. `0s` cuts off at once: recordings
    /// may lose their end. Default: `10s`, what service managers allow at least.
    pub shutdown_timeout: HumanDuration,

    /// How long one plugin may take to stop, within `shutdown_timeout`. Default: `5s`.
    pub plugin_stop_timeout: HumanDuration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            plugin_dirs: vec!["plugins".into()],
            data_dir: "data".into(),
            worker_threads: 0,
            fanout_threads: 0,
            shutdown_timeout: HumanDuration::from_secs(10),
            plugin_stop_timeout: HumanDuration::from_secs(5),
        }
    }
}

/// The HTTP port: API, media over HTTP, web page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port, `off` for none. Where IPv6 is off, `[::]` falls back to `0.0.0.0`. Default:
    /// `[::]:8080`.
    pub listen: Listen,

    /// A client that takes longer to send the head of its request is closed. Too short refuses phones on
    /// bad networks; too long lets idle connections pile up. Default: `5s`.
    pub head_timeout: HumanDuration,

    /// How long a connection without a request stays open. `0s` closes after each answer. Default: `15s`.
    pub keep_alive: HumanDuration,

    /// The largest body of an API request; a larger one is refused with 413. Media that a plugin receives
    /// over HTTP has its own limit. Default: `1MiB`.
    pub max_body: ByteSize,

    /// Connections at a time that are not yet viewers (`limits.max_viewers` is for those); more wait to be
    /// accepted. One address (IPv6: one /64) has a quarter of them at most; loopback and `limits.trusted_proxies` are
    /// exempt. At least 1, and below the limit of open files. Default: 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u32,

    /// Address and port for HTTPS; it is open once `tls` names a profile. Default: `[::]:8443`.
    pub https_listen: Listen,

    /// The certificate profile of HTTPS; empty for none. Default: none.
    #[schemars(extend("format" = TlsProfile::NAME_FORMAT))]
    pub tls: String,

    /// Whether connections begin with a PROXY header (version 1 or 2), for both ports: `off`, `optional`, or
    /// `required`, which closes connections without one. Only peers in `limits.trusted_proxies` may send one.
    /// Default: `off`.
    pub proxy_protocol: ProxyProtocol,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Listen::everywhere(8080),
            head_timeout: HumanDuration::from_secs(5),
            keep_alive: HumanDuration::from_secs(15),
            max_body: ByteSize::from_mib(1),
            max_connections: 10_000,
            https_listen: Listen::everywhere(8443),
            tls: String::new(),
            proxy_protocol: ProxyProtocol::Off,
        }
    }
}

/// What is logged, on stderr and in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`. `trace` logs every message of every
    /// connection and slows the server down. Default: `info`.
    pub level: LogLevel,

    /// `text` for people, `json` for machines: one object a line. Default: `text`.
    pub format: LogFormat,

    /// Levels of single parts: the name of a plugin instance, or a module of the host such as
    /// `plugcast::hub`. Default: none.
    pub targets: BTreeMap<String, LogLevel>,

    /// Folder for log files, relative to the config file; empty for none. Created when it does not exist. The
    /// file is `plugcast.log`; lines that can't be written are counted and lost, and hold up nobody. Default: none.
    pub dir: PathBuf,

    /// A log file that would grow beyond this is put aside (`plugcast-00000001.log` and so on), and a new one begun;
    /// at least 64 KiB. Default: `64MiB`.
    pub max_size: ByteSize,

    /// So is a log file that is older than this; `off`: however old. Default: `1d`.
    pub rotate_after: OptionalDuration,

    /// Log files that are kept, the one that is written included; the oldest goes first. Default: 10.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_files: u16,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::default(),
            format: LogFormat::default(),
            targets: BTreeMap::new(),
            dir: PathBuf::new(),
            max_size: ByteSize::from_mib(64),
            rotate_after: OptionalDuration::from_secs(86_400),
            max_files: 10,
        }
    }
}

impl Log {
    /// `None`: no log files.
    #[must_use]
    pub fn files(&self) -> Option<FileSettings> {
        (!self.dir.as_os_str().is_empty()).then(|| FileSettings {
            dir: self.dir.clone(),
            max_size: self.max_size.get().max(FileSettings::SIZE_MIN),
            rotate_after: self.rotate_after.get(),
            max_files: usize::from(self.max_files),
        })
    }

    /// As the log uses them.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let targets = self.targets.iter().map(|(target, level)| (target.clone(), level.filter()));
        Levels::new(self.level.filter(), targets.collect())
    }
}

/// How much is logged.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// As the config names it.
    #[must_use]
    pub fn of(filter: LevelFilter) -> Self {
        match filter.into_level() {
            None => Self::Off,
            Some(tracing::Level::ERROR) => Self::Error,
            Some(tracing::Level::WARN) => Self::Warn,
            Some(tracing::Level::INFO) => Self::Info,
            Some(tracing::Level::DEBUG) => Self::Debug,
            Some(tracing::Level::TRACE) => Self::Trace,
        }
    }

    /// As `tracing` names it.
    #[must_use]
    pub fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    #[default]
    Text,
}

/// How much the whole server takes on; who comes later is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Streams being published at a time. 0: no limit. Default: 0.
    pub max_publishers: u32,

    /// Viewers of all streams together. 0: no limit. Default: 0.
    pub max_viewers: u32,

    /// Viewers that wait for a stream that is not there; it bounds what asking for random names can cost. 0:
    /// nobody waits, and a viewer that comes before its publisher is refused. Default: 10000.
    pub max_waiting: u32,

    /// Connections of all listeners together; one more is closed at once. 0: no limit. Default: 0.
    pub max_connections: u32,

    /// Connections of one address (IPv6: of one /64) that have not yet published, asked to play, or sent the
    /// head of a request; one more is closed at once. Loopback and `trusted_proxies` are exempt, since many
    /// share them. Too low refuses people who start at the same time behind one address. 0: no limit.
    /// Default: 64.
    pub max_handshaking_per_address: u32,

    /// Proxies whose word is taken for who their peers are: by a PROXY header where a listener has
    /// `proxy_protocol`, and by `X-Forwarded-For`. Default: nobody.
    pub trusted_proxies: Vec<Cidr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_publishers: 0,
            max_viewers: 0,
            max_waiting: 10_000,
            max_connections: 0,
            max_handshaking_per_address: 64,
            trusted_proxies: Vec::new(),
        }
    }
}

/// A certificate with its key. When the files change, new connections get the new ones; files that can't be used
/// are reported, and the old ones stay in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsProfile {
    /// PEM file: the server's certificate, then those that lead to a root. Relative to the config file.
    pub certificate: PathBuf,

    /// PEM file with the certificate's private key. Relative to the config file.
    pub key: PathBuf,

    /// The oldest version of TLS that is spoken: `tls1.2` or `tls1.3`. Default: `tls1.2`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

impl TlsProfile {
    /// The `format` in the JSON Schema of a key that names a profile.
    pub const NAME_FORMAT: &str = "plugcast-tls-profile";
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "tls1.2")]
    Tls12,
    #[serde(rename = "tls1.3")]
    Tls13,
}

/// How much memory the whole server uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// A share of the memory that the process may use (`75%`), a size, or `off`. Near the limit the server
    /// gives up, in this order: new publishers and viewers; history in rings older than the newest GOP;
    /// viewers that lag, slowest first; then publishers are slowed down. Too low refuses viewers that
    /// would fit; `off` leaves it to the kernel to kill the process. Default: `75%`.
    pub limit: MemoryLimit,
}

/// The metrics page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Who may read `/api/metrics` without a token. `[]`: nobody. Default: loopback.
    pub allow: Vec<Cidr>,

    /// Streams with metrics of their own; the others are added up under one name, so that the page stays
    /// bounded. 0: only sums. Default: 1000.
    #[schemars(range(max = 100_000))]
    pub max_streams: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { allow: vec![Cidr::v4(127, 0, 0, 0, 8), Cidr::LOOPBACK_V6], max_streams: 1_000 }
    }
}

/// One instance of a plugin.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginSection {
    /// The id of the plugin. Default: the name of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,

    /// `false`: not loaded; the section is kept. Default: `true`.
    pub enable: bool,

    /// `true`: without this instance the server does not start. Default: `false`.
    pub required: bool,

    /// The plugin's own keys, which its schema describes.
    #[serde(flatten)]
    pub own: Map<String, Value>,
}

impl PluginSection {
    /// The keys of a section that are the host's.
    pub const HOST_KEYS: [&str; 3] = ["plugin", "enable", "required"];
}

/// Without the plugin's own keys, which may be secrets.
impl fmt::Debug for PluginSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, enable, required, own: _ } = self;
        f.debug_struct("PluginSection")
            .field("plugin", plugin)
            .field("enable", enable)
            .field("required", required)
            .finish_non_exhaustive()
    }
}

impl Default for PluginSection {
    fn default() -> Self {
        Self { plugin: None, enable: true, required: false, own: Map::new() }
    }
}
