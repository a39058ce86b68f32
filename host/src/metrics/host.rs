//! The server as a whole.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use super::{Source, counter, gauge, single};
use crate::net::RefusedCounts;

/// The figures that only the host's parts know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFigures {
    pub memory_used: u64,
    /// 0: no limit.
    pub memory_limit: u64,
    pub streams: u64,
    pub publishers: u64,
    pub viewers: u64,
    pub feeds: u64,
    pub plugins_active: u64,
    pub plugins_faulted: u64,
    pub tasks: u64,
    pub task_panics: u64,
    /// Lines that reached no log file, though they should have.
    pub log_lines_dropped: u64,
    /// Of all listeners, since the start.
    pub connections_accepted: u64,
    pub connections_refused: RefusedCounts,
}

pub(super) struct Host {
    source: Arc<dyn Source>,
    started: Instant,
}

impl Host {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self { source, started: Instant::now() }
    }
}

impl Collector for Host {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let host = self.source.host();
        let e = &mut encoder;
        single(
            e,
            "build",
            "Version of the server.",
            &Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        )?;
        let uptime = self.started.elapsed().as_secs_f64();
        single(e, "uptime_seconds", "Time since the server started.", &ConstGauge::new(uptime))?;
        gauge(
            e,
            "memory_used_bytes",
            "Media memory in use, as the account counts it.",
            host.memory_used,
        )?;
        gauge(e, "memory_limit_bytes", "Limit of the account; 0: none.", host.memory_limit)?;
        gauge(e, "streams", "Live streams.", host.streams)?;
        gauge(e, "publishers", "Publishers connected.", host.publishers)?;
        gauge(e, "viewers", "Viewers connected.", host.viewers)?;
        gauge(e, "feeds", "Feeds open.", host.feeds)?;
        gauge(e, "plugins_active", "Plugin instances that serve.", host.plugins_active)?;
        gauge(e, "plugins_faulted", "Plugin instances stopped for faults.", host.plugins_faulted)?;
        gauge(e, "tasks", "Nodes of the task tree.", host.tasks)?;
        counter(e, "task_panics", "Panics caught in tasks.", host.task_panics)?;
        counter(e, "log_lines_dropped", "Lines that reached no log file.", host.log_lines_dropped)?;
        counter(
            e,
            "connections_accepted",
            "Connections accepted by all listeners.",
            host.connections_accepted,
        )?;
        let refused = host.connections_refused;
        counter(
            e,
            "connections_refused_handshaking",
            "Connections closed at once: too many of their address were handshaking.",
            refused.handshaking,
        )?;
        counter(
            e,
            "connections_refused_limit",
            "Connections closed at once: too many in all.",
            refused.connections,
        )?;
        counter(
            e,
            "connections_refused_proxy_header",
            "Connections closed at once: no right PROXY header of a trusted proxy.",
            refused.proxy_header,
        )?;
        certificates(e, &self.source.certificates())
    }
}

/// By profile: as many as the config names.
fn certificates(
    encoder: &mut DescriptorEncoder<'_>,
    expiries: &[(String, SystemTime)],
) -> fmt::Result {
    if expiries.is_empty() {
        return Ok(());
    }
    let name = "tls_certificate_expiry_timestamp_seconds";
    let help = "When the certificate of a profile ends.";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (profile, expires) in expiries {
        let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |at| at.as_secs());
        let labels = [("profile", profile.as_str())];
        ConstGauge::new(seconds).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
