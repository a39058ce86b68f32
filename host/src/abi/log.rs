//! `pc.log/1`.

use std::time::SystemTime;

use plugin_api::abi::core::{Field, Host, OK, Status, Str};
use plugin_api::abi::log as abi;
use tracing::Level;

use super::borrow;
use super::call::always;
use crate::log::Line;

/// Longer messages and values are cut.
const TEXT_MAX: usize = 4096;
/// Fields beyond these are left out.
const FIELDS_MAX: usize = 32;
/// The field that scripts match on.
const EVENT: &str = "event";

pub(super) static API: abi::LogApi = abi::LogApi {
    struct_size: super::size_of_table::<abi::LogApi>(),
    revision: 1,
    enabled: Some(enabled),
    write: Some(write),
};

unsafe extern "C" fn enabled(host: *const Host, level: u32, target: Str) -> u32 {
    let status = always(host, |instance| {
        let target = pick_target(target, &instance.name);
        Ok(i32::from(instance.services.log.allows(target, to_level(level))))
    });
    u32::from(status == 1)
}

unsafe extern "C" fn write(
    host: *const Host,
    level: u32,
    target: Str,
    message: Str,
    fields: *const Field,
    n: usize,
) {
    let _: Status = always(host, |instance| {
        let fields = borrow::slice(fields, n, "fields")?;
        let fields = fields.iter().take(FIELDS_MAX).filter_map(|field| {
            Some((borrow::text(field.key, "").ok()?, cut(borrow::text(field.value, "").ok()?)))
        });
        let (events, fields): (Vec<_>, Vec<_>) = fields.partition(|(key, _)| *key == EVENT);
        instance.services.log.write(&Line {
            time: SystemTime::now(),
            level: to_level(level),
            target: pick_target(target, &instance.name),
            event: events.first().map(|(_, event)| *event),
            message: cut(borrow::text(message, "message").unwrap_or("(a text that is not UTF-8)")),
            fields: fields.into_iter().map(|(key, value)| (key, value.into())).collect(),
        });
        Ok(OK)
    });
}

fn pick_target(target: Str, instance: &str) -> &str {
    match borrow::text(target, "target") {
        Ok(target) if !target.is_empty() => target,
        _ => instance,
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_MAX)).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

fn to_level(level: u32) -> Level {
    match level {
        abi::ERROR => Level::ERROR,
        abi::WARN => Level::WARN,
        abi::INFO => Level::INFO,
        abi::DEBUG => Level::DEBUG,
        _ => Level::TRACE,
    }
}
