//! The config: found, read, checked as a whole, typed.
//!
//! file + environment + command line + defaults → [`Draft`] → plugins are found in its folders → their schemas →
//! [`Draft::finish`] → [`Loaded`]
//!
//! It takes two steps because a plugin's section can be checked only when the plugin is found, and
//! where plugins are is in the config. All mistakes come out of the second step, in one list: nobody
//! should have to start the server five times to learn of five typing errors.

mod address;
mod check;
mod draft;
mod env;
mod file;
mod key;
mod layers;
mod memory;
mod mistake;
mod plugins;
mod schema;
mod sections;
mod settings;
mod show;
mod streams;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::env as process_env;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

pub(crate) use address::text_in_config;
pub use address::{Cidr, Error as AddressError, Listen};
pub use draft::Draft;
pub use file::ConfigFile;
pub use memory::MemoryLimit;
pub use mistake::{Mistake, Source};
pub use sections::{
    Config, Http, Limits, Log, LogFormat, LogLevel, Memory, Metrics, PluginSection, Server,
    TlsProfile, TlsVersion,
};
pub use show::{Shown, show};
pub use streams::{Fanout, OnConflict, Publish, Ring, Subscribe};

/// Where the config is sought when nothing nearer exists.
const SYSTEM_FILE: &str = "/etc/plugcast/plugcast.yaml";

/// What loading depends on; a value, so that tests need no process of their own.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file named on the command line.
    pub file: Option<PathBuf>,
    /// What `--set` says, in its order: the path of a key, and its value as text.
    pub set: Vec<(String, String)>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// What relative file names on the command line are relative to.
    pub working_dir: PathBuf,
    /// The file of last resort.
    pub system_file: PathBuf,
}

impl Options {
    /// As this process was started. What is not UTF-8 in the environment is read with replacement
    /// characters, and so reported where it matters.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, set: Vec<(String, String)>) -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file,
            set,
            env: process_env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
            working_dir: process_env::current_dir().unwrap_or_default(),
            system_file: SYSTEM_FILE.into(),
        }
    }
}

/// The JSON Schema of each plugin that was found, by the plugin's id.
pub type PluginSchemas = BTreeMap<String, Value>;

/// A config without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Typed; the folders in it are absolute.
    pub config: Config,
    /// One for each section, then one for each plugin that was found and has none.
    pub instances: Vec<Instance>,
    /// Which file is in force, or where there was none.
    pub file: ConfigFile,
    /// What an operator should hear, though it is no mistake.
    pub notes: Vec<String>,
    /// Every value, masked, with where it comes from.
    values: BTreeMap<key::Key, Origin>,
}

impl Loaded {
    /// Where a value comes from, by the path of its key: `http.listen`.
    #[must_use]
    pub fn source(&self, key: &str) -> Option<&Source> {
        let key = key::Key::names(key.split('.'));
        self.values.get(&key).map(|value| &value.source)
    }
}

/// A masked value, and where it comes from.
#[derive(Clone, Debug)]
struct Origin {
    value: Value,
    source: Source,
    /// Of the file.
    line: Option<usize>,
}

/// An instance of a plugin, as the config wants it.
#[derive(Clone, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// The id of the plugin.
    pub plugin: String,
    pub enable: bool,
    pub required: bool,
    /// The plugin's own keys as a JSON object. Has secrets in it.
    pub json: String,
    /// `false` for a plugin that was found and has no section: it runs with its defaults.
    pub in_config: bool,
    /// Why it can't run with its defaults.
    pub problem: Option<String>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, plugin, enable, .. } = self;
        write!(f, "Instance {{ {name}, plugin: {plugin}, enable: {enable}, .. }}")
    }
}

/// Reads the config and checks it with the plugins that `find_plugins` finds in the folders.
///
/// # Errors
///
/// All mistakes, in the order in which they stand in the file.
pub fn load(
    options: &Options,
    find_plugins: impl FnOnce(&Config) -> PluginSchemas,
) -> Result<Loaded, Vec<Mistake>> {
    let draft = Draft::read(options)?;
    let schemas = find_plugins(&draft.preview());
    draft.finish(&schemas)
}

/// The JSON Schema of the host's own part of the config.
#[must_use]
pub fn host_schema() -> Value {
    schemars::schema_for!(Config).to_value()
}
