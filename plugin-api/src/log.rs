//! `tracing` events go to the host's log.
//!
//! Levels may change while the server runs, so every event asks the host (one call through a table) and nothing about
//! levels is cached. An event whose target is its module's path, the default, is logged under the instance's name; a target
//! given by hand stays. Spans are not forwarded: what a line has to say is in its own fields.

use std::fmt::{self, Write as _};
use std::ops::Range;

use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, span};

use crate::abi;
use crate::ffi::{guard, lend};

/// The library's subscriber, set when its first instance is made.
pub(crate) struct Forward;

impl tracing::Subscriber for Forward {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && guard::with_current(|instance| {
                instance
                    .is_some_and(|instance| instance.log_enabled(level(metadata), target(metadata)))
            })
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let fields: Vec<_> = (line.fields.iter())
            .map(|(key, value)| abi::core::Field {
                key: lend(key),
                value: lend(&line.text[value.clone()]),
            })
            .collect();
        let metadata = event.metadata();
        guard::with_current(|instance| {
            if let Some(instance) = instance {
                instance.write_log(level(metadata), target(metadata), &line.message, &fields);
            }
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn level(metadata: &Metadata<'_>) -> u32 {
    match *metadata.level() {
        Level::ERROR => abi::log::ERROR,
        Level::WARN => abi::log::WARN,
        Level::INFO => abi::log::INFO,
        Level::DEBUG => abi::log::DEBUG,
        Level::TRACE => abi::log::TRACE,
    }
}

fn target<'a>(metadata: &Metadata<'a>) -> &'a str {
    if metadata.module_path() == Some(metadata.target()) { "" } else { metadata.target() }
}

/// One event as text. All values share one string.
#[derive(Default)]
struct Line {
    message: String,
    text: String,
    fields: Vec<(&'static str, Range<usize>)>,
}

impl Line {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            let _ = self.message.write_fmt(value);
            return;
        }
        let start = self.text.len();
        let _ = self.text.write_fmt(value);
        self.fields.push((field.name(), start..self.text.len()));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }
}
