//! Counters, gauges, histograms: registered once, recorded by number. Shown as `plugcast_<name>{instance="…"}`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::abi::metrics as abi;
use crate::error::Error;
use crate::ffi::Instance;
use crate::host::Host;

/// Only grows.
#[derive(Clone, Debug)]
pub struct Counter {
    instance: Arc<Instance>,
    id: u32,
}

impl Counter {
    /// Adds `n`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn add(&self, n: u64) {
        self.instance.record(self.id, n as f64);
    }
}

/// Goes up and down. Clones share the value.
#[derive(Clone, Debug)]
pub struct Gauge {
    instance: Arc<Instance>,
    id: u32,
    value: Arc<AtomicI64>,
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
        self.record(value);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        let value = self.value.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        self.record(value);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges count things, far below 2^53")]
    fn record(&self, value: i64) {
        self.instance.record(self.id, value as f64);
    }
}

/// Counts observations by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    instance: Arc<Instance>,
    id: u32,
}

impl Histogram {
    /// Adds one observation.
    pub fn observe(&self, value: f64) {
        self.instance.record(self.id, value);
    }
}

impl Host {
    /// Registers a counter. `name` matches `[a-z][a-z0-9_]*` and begins with the plugin's id; the same name and kind give the
    /// same metric again.
    ///
    /// # Errors
    /// [`Status::INVALID`](crate::Status::INVALID) for a bad name, [`Status::LIMIT`](crate::Status::LIMIT) above 256 an
    /// instance.
    pub fn counter(&self, name: &str, help: &str) -> Result<Counter, Error> {
        let id = self.instance.add_metric(abi::COUNTER, name, help, &[])?;
        Ok(Counter { instance: Arc::clone(&self.instance), id })
    }

    /// Registers a gauge.
    ///
    /// # Errors
    /// As [`Host::counter`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        let id = self.instance.add_metric(abi::GAUGE, name, help, &[])?;
        Ok(Gauge { instance: Arc::clone(&self.instance), id, value: Arc::default() })
    }

    /// Registers a histogram; `bounds` ascend.
    ///
    /// # Errors
    /// As [`Host::counter`].
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, Error> {
        let id = self.instance.add_metric(abi::HISTOGRAM, name, help, bounds)?;
        Ok(Histogram { instance: Arc::clone(&self.instance), id })
    }
}
