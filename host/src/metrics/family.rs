//! What plugins register: a family for each name, a series in it for each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::BOUNDS_MAX;

/// Bytes of a name and of its help that are taken.
const NAME_MAX: usize = 128;
const HELP_MAX: usize = 256;
/// Beginnings of names that the host has for itself.
const RESERVED: &[&str] = &[
    "build",
    "connections_",
    "disk_",
    "fanout_",
    "feed_",
    "feeds",
    "host_",
    "http_",
    "memory_",
    "plugins_",
    "publishers",
    "stream_",
    "streams",
    "task_",
    "tasks",
    "tls_",
    "uptime_",
    "viewers",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Why a metric was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the name {0:?} does not match [a-z][a-z0-9_]*")]
    Name(String),
    #[error("the name {0:?} belongs to the host")]
    Reserved(String),
    #[error(
        "the metric {0:?} exists with another kind or other bounds, or as a part of another one"
    )]
    Conflict(String),
    #[error(
        "bounds have to be finite and ascending, at most {BOUNDS_MAX}, and for histograms only"
    )]
    Bounds,
    #[error("the limit of {0} metrics of an instance is reached")]
    Limit(usize),
}

#[derive(Default)]
pub(super) struct Families {
    by_name: BTreeMap<String, Family>,
    /// Every name that a line of the page may begin with, so that no family is taken for a part of another.
    lines: BTreeSet<String>,
}

struct Family {
    kind: Kind,
    help: String,
    bounds: Arc<[f64]>,
    series: BTreeMap<Arc<str>, Arc<Series>>,
}

/// The value of one metric of one instance.
pub(super) enum Series {
    Counter(Float),
    Gauge(Float),
    Histogram(Mutex<Histogram>),
}

pub(super) struct Histogram {
    bounds: Arc<[f64]>,
    /// One more than bounds: the last is what is above all of them.
    counts: Vec<u64>,
    sum: f64,
}

/// An f64 that any thread may change.
#[derive(Default)]
pub(super) struct Float(AtomicU64);

impl Float {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, value: f64) {
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Series {
    fn new(kind: Kind, bounds: &Arc<[f64]>) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Float::default()),
            Kind::Gauge => Self::Gauge(Float::default()),
            Kind::Histogram => Self::Histogram(Mutex::new(Histogram {
                bounds: Arc::clone(bounds),
                counts: vec![0; bounds.len() + 1],
                sum: 0.0,
            })),
        }
    }

    /// Values that have no meaning for the kind are ignored.
    pub(super) fn record(&self, value: f64) {
        match self {
            Self::Counter(counter) if value.is_finite() && value >= 0.0 => counter.add(value),
            Self::Gauge(gauge) if !value.is_nan() => gauge.set(value),
            Self::Histogram(histogram) if value.is_finite() => histogram.lock().observe(value),
            _ => {}
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(counter) => ConstCounter::new(counter.get()).encode(encoder),
            Self::Gauge(gauge) => ConstGauge::new(gauge.get()).encode(encoder),
            Self::Histogram(histogram) => {
                let (sum, buckets) = histogram.lock().buckets();
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
        }
    }
}

impl Histogram {
    fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
    }

    fn buckets(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        (self.sum, bounds.zip(self.counts.iter().copied()).collect())
    }
}

impl Families {
    pub(super) fn add(
        &mut self,
        instance: &Arc<str>,
        kind: Kind,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Arc<Series>, Error> {
        check_bounds(kind, bounds)?;
        if !self.by_name.contains_key(name) {
            let lines = lines(kind, name);
            if lines.iter().any(|line| self.lines.contains(line)) {
                return Err(Error::Conflict(name.to_owned()));
            }
            self.lines.extend(lines);
            let family =
                Family { kind, help: clean(help), bounds: bounds.into(), series: BTreeMap::new() };
            self.by_name.insert(name.to_owned(), family);
        }
        let Some(family) = self.by_name.get_mut(name) else {
            return Err(Error::Conflict(name.to_owned()));
        };
        if family.kind != kind || *family.bounds != *bounds {
            return Err(Error::Conflict(name.to_owned()));
        }
        let series = family.series.entry(Arc::clone(instance));
        Ok(Arc::clone(series.or_insert_with(|| Arc::new(Series::new(kind, &family.bounds)))))
    }

    /// Takes the series out, if it is still this one: another instance of the name may have come meanwhile.
    pub(super) fn remove(&mut self, instance: &Arc<str>, name: &str, series: &Arc<Series>) {
        let Some(family) = self.by_name.get_mut(name) else { return };
        if family.series.get(instance).is_some_and(|found| Arc::ptr_eq(found, series)) {
            family.series.remove(instance);
        }
        if family.series.is_empty() {
            for line in lines(family.kind, name) {
                self.lines.remove(&line);
            }
            self.by_name.remove(name);
        }
    }
}

/// The name as it is kept: `_total` is added to counters by the page.
pub(super) fn checked_name(kind: Kind, name: &str) -> Result<&str, Error> {
    let mut bytes = name.bytes();
    let is_valid = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() <= NAME_MAX;
    if !is_valid {
        return Err(Error::Name(name.chars().take(NAME_MAX).collect()));
    }
    if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
        return Err(Error::Reserved(name.to_owned()));
    }
    let stem = name.strip_suffix("_total").filter(|stem| kind == Kind::Counter && !stem.is_empty());
    Ok(stem.unwrap_or(name))
}

fn check_bounds(kind: Kind, bounds: &[f64]) -> Result<(), Error> {
    let ascending =
        bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|bound| bound.is_finite());
    let is_fit = bounds.is_empty() || kind == Kind::Histogram;
    if ascending && is_fit && bounds.len() <= BOUNDS_MAX { Ok(()) } else { Err(Error::Bounds) }
}

fn lines(kind: Kind, name: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_created", "_sum"],
    };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

/// A text of one line.
fn clean(help: &str) -> String {
    let end = help.floor_char_boundary(HELP_MAX);
    help[..end].chars().map(|c| if c.is_control() || c == '\\' { ' ' } else { c }).collect()
}

pub(super) struct Plugins(pub(super) Arc<Mutex<Families>>);

impl Collector for Plugins {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, family) in &self.0.lock().by_name {
            let metric_type = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut encoder = encoder.encode_descriptor(name, &family.help, None, metric_type)?;
            for (instance, series) in &family.series {
                let labels = [("instance", &**instance)];
                series.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plugins")
    }
}
