//! The log: one line for each event, on stderr and in files, as text or JSON.
//!
//! ```text
//! tracing event of the host ─▶ line ─▶ levels ─▶ masked ─▶ stderr, files, and the newest lines for the API
//! a plugin's record ──────────▶  └──▶ with an event's name ─▶ masked ─▶ bus
//! ```
//!
//! Events carry a stable name in the field `event` (`stream.start`); scripts match on it, the sentence
//! may change. Plugins have targets that are known only at run time, which `tracing` cannot express:
//! they come in through [`Handle::write`], past the macros, with the same levels and the same form.

mod file;
mod levels;
mod line;
pub mod mask;
pub(crate) mod quiet;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

pub use file::Settings as FileSettings;
pub use levels::Levels;
pub use line::Line;
pub(crate) use line::{Compact, Timestamp};

pub use tail::{Follow, LINES_MAX};

use self::file::Files;
use self::tail::Tail;
use crate::config::{Log, LogFormat};
use crate::event::{Bus, Full};

/// Events that are more detailed than this are for the log alone.
const BUS_LEVEL: Level = Level::INFO;
/// What the HTTP library calls errors are mistakes of peers, one for each request that is none. At their own level anybody
/// could fill the log; they are for those who ask for debug.
const HTTP_LIBRARY: &str = "actix_http";
/// The field that holds an event's name.
const EVENT: &str = "event";

/// Sends everything that the process logs to stderr, and to files if the config says so. Once in the life of a process.
///
/// # Errors
///
/// When a log was already set up.
pub fn init(config: &Log) -> Result<Handle, SetGlobalDefaultError> {
    let (files, problem) = match config.files().map(Files::start).transpose() {
        Ok(files) => (files, None),
        Err(error) => (None, Some(error)),
    };
    let handle = Handle::with_files(config, Box::new(std::io::stderr()), files);
    tracing::subscriber::set_global_default(handle.subscriber())?;
    if let Some(error) = problem {
        tracing::error!(event = "log.file_failed", "no thread to write the log file: {error}");
    }
    Ok(handle)
}

/// The running log: changes levels, and takes the lines of plugins. Clones are the same log.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    levels: RwLock<Levels>,
    format: LogFormat,
    out: Mutex<Box<dyn Write + Send>>,
    files: Option<Files>,
    tail: Tail,
    bus: Bus,
}

impl Handle {
    /// Without files.
    #[cfg(test)]
    pub(crate) fn new(config: &Log, out: Box<dyn Write + Send>) -> Self {
        Self::with_files(config, out, None)
    }

    fn with_files(config: &Log, out: Box<dyn Write + Send>, files: Option<Files>) -> Self {
        let shared = Shared {
            levels: RwLock::new(config.levels()),
            format: config.format,
            out: Mutex::new(out),
            files,
            tail: Tail::new(),
            bus: Bus::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        Registry::default().with(Collector(self.clone()))
    }

    /// A copy of the levels in force.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.shared.levels.read().clone()
    }

    /// Changes levels while running; lines that begin after the return obey.
    pub fn change_levels(&self, change: impl FnOnce(&mut Levels)) {
        change(&mut self.shared.levels.write());
        // Each macro remembers whether it is enabled.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Whether a line would be written; asked before it is put together.
    #[must_use]
    pub fn allows(&self, target: &str, level: Level) -> bool {
        self.shared.levels.read().allows(target, level)
    }

    /// Events as they happen, whatever the levels.
    pub fn events(&self) -> &Bus {
        &self.shared.bus
    }

    /// The newest lines as they were written, at most [`LINES_MAX`].
    pub fn newest(&self) -> Vec<Arc<str>> {
        self.shared.tail.newest()
    }

    /// Gives the newest `count` lines to `each`, without waiting and without allocating; `false` when that can't be done now.
    pub(crate) fn try_newest(&self, count: usize, each: impl FnMut(&str)) -> bool {
        self.shared.tail.try_newest(count, each)
    }

    /// The newest lines, and then those that follow.
    ///
    /// # Errors
    /// When too many follow already.
    pub fn follow(&self) -> Result<Follow, Full> {
        self.shared.tail.follow()
    }

    /// Lines that reached no file, though they should have.
    pub fn dropped(&self) -> u64 {
        self.shared.files.as_ref().map_or(0, Files::dropped)
    }

    /// Waits until all lines so far are in the file, or the time is over.
    pub fn flush(&self, limit: Duration) {
        if let Some(files) = &self.shared.files {
            files.flush(limit);
        }
    }

    /// Writes a line if its level is on, and puts it on the bus if it is an event. The caller waits while stderr is
    /// blocked, and for nobody else.
    pub fn write(&self, line: &Line<'_>) {
        let bus = &self.shared.bus;
        if let Some(event) = line.event.filter(|_| line.level <= BUS_LEVEL)
            && bus.has_subscribers()
        {
            bus.publish(event, line.stream(), line.json());
        }
        if !self.allows(line.target, line.level) {
            return;
        }
        let mut written = match self.shared.format {
            LogFormat::Json => line.json(),
            LogFormat::Text => line.text(),
        };
        let line: Arc<str> = written.as_str().into();
        if let Some(files) = &self.shared.files {
            files.push(&line);
        }
        self.shared.tail.push(line);
        written.push('\n');
        // A closed stderr must not stop the server, and there is nowhere to report it.
        let _ = self.shared.out.lock().write_all(written.as_bytes());
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("levels", &self.levels()).finish_non_exhaustive()
    }
}

/// Turns the host's `tracing` events into lines.
struct Collector(Handle);

impl Collector {
    /// By what is known before the event happens: an event with a name may have listeners on the bus.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = level(metadata);
        let may_be_on_bus = level <= BUS_LEVEL && metadata.fields().field(EVENT).is_some();
        may_be_on_bus || self.0.allows(metadata.target(), level)
    }
}

fn level(metadata: &Metadata<'_>) -> Level {
    let own = *metadata.level();
    if metadata.target().starts_with(HTTP_LIBRARY) { own.max(Level::DEBUG) } else { own }
}

impl<S: Subscriber> Layer<S> for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.shared.levels.read().max().max(LevelFilter::from_level(BUS_LEVEL)))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.0.write(&Line {
            time: SystemTime::now(),
            level: level(metadata),
            target: metadata.target(),
            event: fields.event.as_deref(),
            message: &fields.message,
            fields: fields.others,
        });
    }
}

#[derive(Default)]
struct Fields {
    event: Option<String>,
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            EVENT => self.event = Some(text),
            "message" => self.message = text,
            name => self.others.push((name, text.into())),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), value.into()));
    }
}
