//! The process as a whole, as the API shows it.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

use super::Services;
use crate::fanout::ThreadInfo;
use crate::metrics::ProcessFigures;

/// What stands for a stream's key in the URLs of listeners.
const ANY_KEY: &str = "{key}";

/// The process at one moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SystemInfo {
    pub version: &'static str,
    pub pid: u32,
    pub uptime_ms: u64,
    /// User and system time since the start.
    pub cpu_seconds: f64,
    pub memory: MemoryInfo,
    pub descriptors: DescriptorInfo,
    /// Of the whole process.
    pub threads: u64,
    /// Connections accepted and dialled since the start.
    pub connections: u64,
    pub listeners: Vec<ListenerInfo>,
    /// The threads that send to viewers.
    pub fanout: Vec<ThreadInfo>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct MemoryInfo {
    /// Payload in rings and feeds.
    pub media_bytes: u64,
    /// The most that media may take; `null`: no limit.
    pub media_limit_bytes: Option<u64>,
    /// Of the process, all in all.
    pub resident_bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct DescriptorInfo {
    pub open: u64,
    /// `null`: no limit.
    pub limit: Option<u64>,
}

/// An open port.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListenerInfo {
    /// The plugin instance; `http` for the server's own port.
    pub instance: String,
    pub protocol: String,
    pub address: String,
    /// With `{key}` where a stream's key goes; empty where it makes no sense.
    pub publish: String,
    pub play: String,
}

pub(super) fn describe(
    services: &Services,
    started: Instant,
    http: &[(&'static str, SocketAddr)],
) -> SystemInfo {
    let process = ProcessFigures::read().unwrap_or_default();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let limit = services.memory.limit();
    let own = http.iter().map(|(protocol, address)| ListenerInfo {
        instance: "http".to_owned(),
        protocol: (*protocol).to_owned(),
        address: address.to_string(),
        publish: String::new(),
        play: String::new(),
    });
    let addresses = services.listeners.list().into_iter().map(|entry| entry.address);
    let plugins = services.listeners.urls(ANY_KEY).into_iter().zip(addresses);
    let plugins = plugins.map(|(urls, address)| ListenerInfo {
        instance: urls.instance,
        protocol: urls.protocol,
        address: address.to_string(),
        publish: urls.publish,
        play: urls.play,
    });
    SystemInfo {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        cpu_seconds: process.cpu_seconds,
        memory: MemoryInfo {
            media_bytes: count(services.memory.used()),
            media_limit_bytes: (limit != usize::MAX).then(|| count(limit)),
            resident_bytes: process.resident_bytes,
        },
        descriptors: DescriptorInfo {
            open: process.open_fds,
            limit: (process.max_fds != u64::MAX).then_some(process.max_fds),
        },
        threads: process.threads,
        connections: services.net.connections(),
        listeners: own.chain(plugins).collect(),
        fanout: services.fanout.threads(),
    }
}
