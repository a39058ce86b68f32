//! Mirror of `metrics.h`.

use super::core::{Host, Status, Str};

/// `PC_METRIC_COUNTER`.
pub const COUNTER: u32 = 1;
/// `PC_METRIC_GAUGE`.
pub const GAUGE: u32 = 2;
/// `PC_METRIC_HISTOGRAM`.
pub const HISTOGRAM: u32 = 3;

/// `PC_METRICS_ID`.
pub const ID: &str = "pc.metrics/1";
/// `PC_METRICS_MAX`.
pub const METRICS_MAX: u32 = 256;

/// `pc_metrics_api`.
#[repr(C)]
#[derive(Debug)]
pub struct MetricsApi {
    pub struct_size: u32,
    pub revision: u32,
    pub add: Option<
        unsafe extern "C" fn(
            host: *const Host,
            kind: u32,
            name: Str,
            help: Str,
            bounds: *const f64,
            n_bounds: usize,
            id: *mut u32,
        ) -> Status,
    >,
    pub record: Option<unsafe extern "C" fn(host: *const Host, id: u32, value: f64)>,
}
