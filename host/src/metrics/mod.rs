//! What `/api/metrics` shows: the server, its process and machine, streams, HTTP, and what plugins register.
//!
//! Names are stable and labels bounded: at most [`PER_INSTANCE_MAX`] metrics an instance, and as many streams with series
//! of their own as the config allows. Everything but counters of HTTP is collected when the page is read. The text is in
//! the OpenMetrics form, which Prometheus and its relatives read.

mod delivery;
mod family;
mod host;
mod http;
mod instance;
mod machine;
mod process;
mod stream;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub use self::delivery::{FormatFigures, ThreadFigures};
pub use self::family::{Error, Kind};
pub use self::host::HostFigures;
pub use self::http::HttpMetrics;
pub use self::instance::InstanceMetrics;
pub use self::process::ProcessFigures;
pub use self::stream::StreamFigures;

/// Metrics of one plugin instance (`PC_METRICS_MAX` of the contract).
pub const PER_INSTANCE_MAX: usize = 256;
/// Bounds of a histogram.
pub const BOUNDS_MAX: usize = 64;
/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the figures of the host come from, asked when the page is read.
pub trait Source: Send + Sync + 'static {
    fn host(&self) -> HostFigures;
    /// Every live stream.
    fn streams(&self) -> Vec<StreamFigures>;
    /// Every fan-out thread.
    fn threads(&self) -> Vec<ThreadFigures> {
        Vec::new()
    }
    /// Every format that has had a feed.
    fn formats(&self) -> Vec<FormatFigures> {
        Vec::new()
    }
    /// Each certificate profile, and when its certificate ends.
    fn certificates(&self) -> Vec<(String, SystemTime)> {
        Vec::new()
    }
    /// The folders that the server writes to, by their key in the config.
    fn folders(&self) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }
}

/// The registry of the server.
pub struct Metrics {
    registry: Registry,
    families: Arc<Mutex<family::Families>>,
    http: HttpMetrics,
}

impl Metrics {
    /// `max_streams`: streams with series of their own; the others are added up.
    pub fn new(source: Arc<dyn Source>, max_streams: usize) -> Arc<Self> {
        let families = Arc::new(Mutex::new(family::Families::default()));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process::default()));
        let own = registry.sub_registry_with_prefix("plugcast");
        let http = HttpMetrics::register(own);
        own.register_collector(Box::new(host::Host::new(Arc::clone(&source))));
        own.register_collector(Box::new(delivery::Delivery(Arc::clone(&source))));
        own.register_collector(Box::new(machine::Machine(Arc::clone(&source))));
        own.register_collector(Box::new(stream::Streams::new(source, max_streams)));
        own.register_collector(Box::new(family::Plugins(Arc::clone(&families))));
        Arc::new(Self { registry, families, http })
    }

    /// The page.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if text::encode(&mut text, &self.registry).is_err() {
            tracing::error!(event = "metrics.failed", "the metrics can't be written");
        }
        text
    }

    /// The metrics of one plugin instance, which go when the value is dropped.
    pub fn instance(&self, name: &str) -> InstanceMetrics {
        InstanceMetrics::new(Arc::clone(&self.families), name)
    }

    pub fn http(&self) -> &HttpMetrics {
        &self.http
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// One family with one series.
fn single(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    single(encoder, name, help, &ConstGauge::new(value))
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    single(encoder, name, help, &ConstCounter::new(value))
}
