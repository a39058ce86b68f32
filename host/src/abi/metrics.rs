//! `pc.metrics/1`.

use plugin_api::abi::core::{E_CONFLICT, E_LIMIT, Host, OK, Status, Str};
use plugin_api::abi::metrics::{COUNTER, GAUGE, HISTOGRAM, MetricsApi};

use super::borrow;
use super::call::{Fault, always, call};
use crate::metrics::{Error, Kind};

pub(super) static API: MetricsApi = MetricsApi {
    struct_size: super::size_of_table::<MetricsApi>(),
    revision: 1,
    add: Some(add),
    record: Some(record),
};

unsafe extern "C" fn add(
    host: *const Host,
    kind: u32,
    name: Str,
    help: Str,
    bounds: *const f64,
    n_bounds: usize,
    id: *mut u32,
) -> Status {
    call(host, |instance| {
        let kind = match kind {
            COUNTER => Kind::Counter,
            GAUGE => Kind::Gauge,
            HISTOGRAM => Kind::Histogram,
            other => return Err(Fault::invalid(format!("metric kind {other} is unknown"))),
        };
        let name = borrow::text(name, "the metric's name")?;
        let help = borrow::text(help, "the metric's help")?;
        let bounds = borrow::slice(bounds, n_bounds, "bounds")?;
        let number =
            instance.metrics.add(kind, name, help, bounds).map_err(|error| fault(&error))?;
        borrow::put(id, number, "id")?;
        Ok(OK)
    })
}

fn fault(error: &Error) -> Fault {
    let status = match error {
        Error::Conflict(_) => E_CONFLICT,
        Error::Limit(_) => E_LIMIT,
        _ => plugin_api::abi::core::E_INVALID,
    };
    Fault::new(status, error.to_string())
}

unsafe extern "C" fn record(host: *const Host, id: u32, value: f64) {
    let _: Status = always(host, |instance| {
        instance.metrics.record(id, value);
        Ok(OK)
    });
}
