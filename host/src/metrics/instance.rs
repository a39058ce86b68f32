//! The metrics of one plugin instance, by small numbers.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::PER_INSTANCE_MAX;
use super::family::{Error, Families, Kind, Series, checked_name};

/// Registers and records for one instance. Dropping it takes all its series off the page.
pub struct InstanceMetrics {
    families: Arc<Mutex<Families>>,
    instance: Arc<str>,
    /// The id of a metric is its place here and one more.
    own: RwLock<Vec<Own>>,
}

struct Own {
    name: String,
    series: Arc<Series>,
}

impl InstanceMetrics {
    pub(super) fn new(families: Arc<Mutex<Families>>, instance: &str) -> Self {
        Self { families, instance: instance.into(), own: RwLock::default() }
    }

    /// Registers a metric; the same name with the same kind and bounds again gives the same id. Ids are 1 and up.
    ///
    /// # Errors
    ///
    /// The name is malformed, the host's, or taken with another kind; bounds that don't ascend; too many.
    pub fn add(&self, kind: Kind, name: &str, help: &str, bounds: &[f64]) -> Result<u32, Error> {
        let name = checked_name(kind, name)?;
        let mut own = self.own.write();
        let known = own.iter().position(|metric| metric.name == name);
        if known.is_none() && own.len() >= PER_INSTANCE_MAX {
            return Err(Error::Limit(PER_INSTANCE_MAX));
        }
        let series = self.families.lock().add(&self.instance, kind, name, help, bounds)?;
        let place = known.unwrap_or_else(|| {
            own.push(Own { name: name.to_owned(), series });
            own.len() - 1
        });
        u32::try_from(place + 1).map_err(|_| Error::Limit(PER_INSTANCE_MAX))
    }

    /// Counter: adds. Gauge: sets. Histogram: observes. Unknown ids and values without meaning are ignored.
    pub fn record(&self, id: u32, value: f64) {
        let Some(place) = usize::try_from(id).ok().and_then(|id| id.checked_sub(1)) else { return };
        if let Some(metric) = self.own.read().get(place) {
            metric.series.record(value);
        }
    }
}

impl Drop for InstanceMetrics {
    fn drop(&mut self) {
        let mut families = self.families.lock();
        for metric in self.own.get_mut() {
            families.remove(&self.instance, &metric.name, &metric.series);
        }
    }
}

impl fmt::Debug for InstanceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceMetrics").field("instance", &self.instance).finish_non_exhaustive()
    }
}
