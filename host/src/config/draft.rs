//! A config that was read and not yet checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::check::{About, Checker, Finding, unknown_key, value_at};
use super::env::{self, Variable};
use super::file::{self, ConfigFile};
use super::key::Key;
use super::layers::{Layers, Merged};
use super::mistake::{Mistake, Source};
use super::plugins::{check_instance, instances, is_instance, sections};
use super::schema::{Node, nearest};
use super::yaml::Document;
use super::{
    Config, Instance, Loaded, Options, Origin, PluginSchemas, Server, TlsProfile, host_schema, show,
};
use crate::auth::rules::Rule;

/// The config as it was read: file, environment and command line, without knowledge of plugins.
pub struct Draft {
    file: ConfigFile,
    document: Document,
    variables: Vec<Variable>,
    host_schema: Value,
    working_dir: PathBuf,
}

/// Without values, which may be secrets.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Draft {
    /// Finds and reads the config.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no YAML, JSON or TOML: then nothing more can be said about it.
    pub fn read(options: &Options) -> Result<Self, Vec<Mistake>> {
        let file = file::find(options);
        let document = match &file {
            ConfigFile::Found(path) => {
                file::read(path, &options.working_dir).map_err(|mistake| vec![*mistake])?
            }
            ConfigFile::NotFound { .. } => Document::default(),
        };
        Ok(Self {
            file,
            document,
            variables: [env::variables(&options.env), env::arguments(&options.set)].concat(),
            host_schema: host_schema(),
            working_dir: options.working_dir.clone(),
        })
    }

    /// Which file was read.
    #[must_use]
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// The host's part as far as it is right; a section with a mistake in it has its defaults. Enough to
    /// find plugins, so that their sections can be checked even so.
    #[must_use]
    pub fn preview(&self) -> Config {
        let merged = self.merge(&PluginSchemas::new()).unwrap_or_default();
        self.typed_leniently(&merged)
    }

    /// Checks everything, with the schemas of the plugins that were found, by id.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order in which they stand in the file.
    pub fn finish(self, schemas: &PluginSchemas) -> Result<Loaded, Vec<Mistake>> {
        let merged = match self.merge(schemas) {
            Ok(merged) => merged,
            Err(error) => return Err(vec![Mistake::new(self.file_source(), error.to_string())]),
        };
        let mut findings = self.check_host(&merged.value);
        let sections = sections(&merged.value);
        for (name, section) in &sections {
            findings.extend(check_instance(name, section, schemas));
        }
        findings.extend(self.unknown_blanks(schemas));
        let preview = self.typed_leniently(&merged);
        findings.extend(check_timeouts(&preview));
        findings.extend(self.check_profiles(&merged, schemas));
        findings.extend(check_rules(&merged.value));

        let mut mistakes: Vec<Mistake> =
            findings.into_iter().map(|finding| self.mistake(finding, &merged)).collect();
        mistakes.extend(self.document.faults.iter().map(|fault| Mistake {
            line: Some(fault.place.line),
            column: Some(fault.place.column),
            key: fault.key.to_string(),
            ..Mistake::new(self.file_source(), fault.problem.clone())
        }));
        mistakes.sort_by(|a, b| a.order().cmp(&b.order()));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut config: Config = serde_json::from_value(merged.value.clone())
            .map_err(|error| vec![Mistake::new(self.file_source(), error.to_string())])?;
        let (instances, notes) = instances(&sections, schemas);
        let values = self.values(&merged, &config, &instances, schemas);
        self.resolve_paths(&mut config, &merged.sources);
        Ok(Loaded { config, instances, file: self.file, notes, values })
    }

    fn merge(&self, schemas: &PluginSchemas) -> Result<Merged, config::ConfigError> {
        let mut layers = Layers::default();
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        if let Value::Object(defaults) = defaults {
            layers.push(Source::Default, defaults);
        }
        let mut root = self.document.root.clone();
        // `rtmp:` without anything below it is an instance with its defaults.
        let blank_instances = self.document.blank.iter().filter(|key| is_instance(key));
        for name in blank_instances.filter_map(Key::last_name) {
            let plugins = root.entry("plugins").or_insert_with(|| Map::new().into());
            if let Value::Object(plugins) = plugins {
                plugins.insert(name.to_owned(), Map::new().into());
            }
        }
        layers.push(self.file_source(), root);
        // The id of an instance's plugin may itself come from there.
        let ids = self.plugin_ids(&layers);
        for variable in &self.variables {
            let schema = self.node(&variable.key, schemas, &ids);
            layers.push(variable.source.clone(), variable.layer(schema));
        }
        layers.merge()
    }

    /// The id of each instance's plugin where it is not the instance's name.
    fn plugin_ids(&self, layers: &Layers) -> BTreeMap<String, String> {
        let mut layers = layers.clone();
        for variable in &self.variables {
            if variable.key.last_name() == Some("plugin") {
                layers.push(variable.source.clone(), variable.layer(None));
            }
        }
        plugin_ids(&layers.merge().unwrap_or_default().value)
    }

    /// The schema of a key, the host's or a plugin's.
    fn node<'a>(
        &'a self,
        key: &Key,
        schemas: &'a PluginSchemas,
        ids: &BTreeMap<String, String>,
    ) -> Option<Node<'a>> {
        match key.in_plugin() {
            Some((instance, own)) => {
                let id = ids.get(instance).map_or(instance, String::as_str);
                Node::root(schemas.get(id)?).at(&own)
            }
            None => Node::root(&self.host_schema).at(key),
        }
    }

    fn check_host(&self, value: &Value) -> Vec<Finding> {
        match Checker::new(&self.host_schema) {
            Ok(checker) => checker.check(value),
            Err(problem) => {
                vec![Finding { key: Key::default(), about: About::Key, problem, hint: None }]
            }
        }
    }

    /// Keys without value are as good as absent, but a typing error in one is still a typing error.
    fn unknown_blanks(&self, schemas: &PluginSchemas) -> Vec<Finding> {
        let ids = self.plugin_ids(&self.file_layer());
        let unknown = |key: &&Key| match key.in_plugin() {
            Some((instance, _)) => {
                let id = ids.get(instance).map_or(instance, String::as_str);
                schemas.contains_key(id) && self.node(key, schemas, &ids).is_none()
            }
            None => self.node(key, schemas, &ids).is_none(),
        };
        let finding = |key: &Key| {
            let section = key.parent()?;
            let known = match section.in_plugin() {
                None if is_instance(&section) => {
                    let instance = section.last_name()?;
                    let id = ids.get(instance).map_or(instance, String::as_str);
                    Node::root(schemas.get(id)?).properties()
                }
                _ => self.node(&section, schemas, &ids)?.properties(),
            };
            Some(unknown_key(&section, key.last_name()?, &known))
        };
        // Below a key that is unknown itself there is nothing to say.
        self.document.blank.iter().filter(unknown).filter_map(finding).collect()
    }

    fn file_layer(&self) -> Layers {
        let mut layers = Layers::default();
        layers.push(self.file_source(), self.document.root.clone());
        layers
    }

    fn file_source(&self) -> Source {
        match &self.file {
            ConfigFile::Found(path) => Source::File(path.clone()),
            ConfigFile::NotFound { .. } => Source::Default,
        }
    }

    /// Gives a finding its place.
    fn mistake(&self, finding: Finding, merged: &Merged) -> Mistake {
        let Finding { key, about, problem, hint } = finding;
        let mut outer = std::iter::successors(Some(key.clone()), Key::parent);
        let source = outer.find_map(|key| merged.sources.get(&key)).or_else(|| {
            let mut inner = merged.sources.iter().filter(|(inner, _)| inner.starts_with(&key));
            // What is not a default is what somebody wrote.
            inner.find(|(_, source)| **source != Source::Default).map(|(_, source)| source)
        });
        let in_file = self.document.places.contains_key(&key);
        let source = match source {
            Some(Source::Default) | None if in_file => self.file_source(),
            Some(source) => source.clone(),
            None => self.file_source(),
        };
        let mut mistake = Mistake { key: key.to_string(), hint, ..Mistake::new(source, problem) };
        if matches!(mistake.source, Source::File(_)) {
            let mut outer = std::iter::successors(Some(key), Key::parent);
            if let Some(places) = outer.find_map(|key| self.document.places.get(&key)) {
                let place = match about {
                    About::Key => places.key,
                    About::Value => places.value,
                };
                mistake.line = Some(place.line);
                mistake.column = Some(place.column);
            }
        }
        mistake
    }

    fn typed_leniently(&self, merged: &Merged) -> Config {
        fn section<T: DeserializeOwned + Default>(value: &Value, name: &str) -> T {
            let section = value.get(name).cloned().unwrap_or_default();
            serde_json::from_value(section).unwrap_or_default()
        }
        let value = &merged.value;
        let rules = value.get("auth").and_then(Value::as_array).into_iter().flatten();
        let mut config = Config {
            server: section(value, "server"),
            http: section(value, "http"),
            log: section(value, "log"),
            limits: section(value, "limits"),
            tls: section(value, "tls"),
            memory: section(value, "memory"),
            publish: section(value, "publish"),
            subscribe: section(value, "subscribe"),
            ring: section(value, "ring"),
            fanout: section(value, "fanout"),
            metrics: section(value, "metrics"),
            auth: rules.filter_map(|rule| serde_json::from_value(rule.clone()).ok()).collect(),
            plugins: section(value, "plugins"),
        };
        self.resolve_paths(&mut config, &merged.sources);
        config
    }

    /// A relative path is relative to the config file; one from the environment or the command line, or when
    /// there is no file, to the working directory.
    fn resolve_paths(&self, config: &mut Config, sources: &BTreeMap<Key, Source>) {
        let beside_file = match &self.file {
            ConfigFile::Found(path) => self.working_dir.join(path).parent().map(Path::to_owned),
            ConfigFile::NotFound { .. } => None,
        };
        let base = |key: &[&str]| {
            let source = sources.get(&Key::names(key.iter().copied()));
            match (source, &beside_file) {
                (Some(Source::Env(_) | Source::CommandLine), _) | (_, None) => &self.working_dir,
                (_, Some(folder)) => folder,
            }
        };
        let server = &mut config.server;
        server.data_dir = base(&["server", "data_dir"]).join(&server.data_dir);
        for folder in &mut server.plugin_dirs {
            *folder = base(&["server", "plugin_dirs"]).join(&folder);
        }
        // Empty is no folder, not the one beside the file.
        if !config.log.dir.as_os_str().is_empty() {
            config.log.dir = base(&["log", "dir"]).join(&config.log.dir);
        }
        for (name, profile) in &mut config.tls {
            profile.certificate = base(&["tls", name, "certificate"]).join(&profile.certificate);
            profile.key = base(&["tls", name, "key"]).join(&profile.key);
        }
    }

    /// Keys that name a certificate profile, the host's and those of plugins.
    fn check_profiles(&self, merged: &Merged, schemas: &PluginSchemas) -> Vec<Finding> {
        let ids = plugin_ids(&merged.value);
        let profiles = merged.value.get("tls").and_then(Value::as_object);
        let names: Vec<&str> =
            profiles.into_iter().flat_map(|profiles| profiles.keys().map(String::as_str)).collect();
        let finding = |key: &Key| {
            let format = self.node(key, schemas, &ids)?.format();
            let named = value_at(&merged.value, key)?.as_str()?;
            if format != Some(TlsProfile::NAME_FORMAT) || named.is_empty() || names.contains(&named)
            {
                return None;
            }
            let hint = nearest(named, names.iter().copied());
            let hint = hint.map(|near| format!("did you mean \"{near}\"?"));
            let problem = format!("there is no certificate profile tls.{named}");
            Some(Finding { key: key.clone(), about: About::Value, problem, hint })
        };
        merged.sources.keys().filter_map(finding).collect()
    }

    /// Every value, masked, with where it comes from; what nobody wrote has its default.
    fn values(
        &self,
        merged: &Merged,
        config: &Config,
        instances: &[Instance],
        schemas: &PluginSchemas,
    ) -> BTreeMap<Key, Origin> {
        let ids: BTreeMap<String, String> =
            instances.iter().map(|i| (i.name.clone(), i.plugin.clone())).collect();
        let origin = |key: &Key, value: &Value, source: Source| {
            let places = self.document.places.get(key);
            let line = places.filter(|_| matches!(source, Source::File(_))).map(|at| at.key.line);
            let value = show::masked(key, value, self.node(key, schemas, &ids));
            Origin { value, source, line }
        };
        let mut values = BTreeMap::new();
        for (key, source) in &merged.sources {
            let value = value_at(&merged.value, key).unwrap_or(&Value::Null);
            values.insert(key.clone(), origin(key, value, source.clone()));
        }
        // Sections without a key, and keys of profiles that were left out.
        let typed = serde_json::to_value(config).unwrap_or_default();
        let mut leaves = show::leaves(&typed);
        for instance in instances {
            let section = Key::names(["plugins", &instance.name]);
            leaves.extend([
                (section.name("plugin"), instance.plugin.as_str().into()),
                (section.name("enable"), instance.enable.into()),
                (section.name("required"), instance.required.into()),
            ]);
        }
        for (key, value) in leaves {
            let is_written = self.document.places.contains_key(&key);
            let source = if is_written { self.file_source() } else { Source::Default };
            values.entry(key.clone()).or_insert_with(|| origin(&key, &value, source));
        }
        for instance in instances.iter().filter(|instance| instance.enable) {
            let Some(schema) = schemas.get(&instance.plugin) else { continue };
            let section = Key::names(["plugins", &instance.name]);
            let root = Node::root(schema);
            for name in root.properties() {
                let key = section.name(name);
                let node = root.at(&Key::names([name]));
                if values.keys().any(|known: &Key| known.starts_with(&key)) {
                    continue;
                }
                if let Some(value) = node.and_then(Node::default) {
                    let source = Source::Plugin(instance.plugin.clone());
                    values.insert(key.clone(), origin(&key, value, source));
                }
            }
        }
        values
    }
}

/// The id of each instance's plugin where it is not the instance's name.
fn plugin_ids(value: &Value) -> BTreeMap<String, String> {
    let ids = sections(value)
        .into_iter()
        .filter_map(|(name, section)| Some((name, section.get("plugin")?.as_str()?.to_owned())));
    ids.collect()
}

/// What no schema can say. `config` has defaults where the form is wrong.
fn check_timeouts(config: &Config) -> Option<Finding> {
    let Server { plugin_stop_timeout: plugin, shutdown_timeout: all, .. } = config.server;
    if plugin <= all {
        return None;
    }
    // The mistake is in the one that somebody wrote.
    let (name, problem) = if plugin == Server::default().plugin_stop_timeout {
        ("shutdown_timeout", format!("\"{all}\" is shorter than plugin_stop_timeout, \"{plugin}\""))
    } else {
        ("plugin_stop_timeout", format!("\"{plugin}\" is longer than shutdown_timeout, \"{all}\""))
    };
    let key = Key::names(["server", name]);
    Some(Finding { key, about: About::Value, problem, hint: None })
}

/// A rule says either `allow` or `deny`. One whose parts are wrong has been reported already.
fn check_rules(value: &Value) -> Vec<Finding> {
    let rules = value.get("auth").and_then(Value::as_array).into_iter().flatten();
    let finding = |(index, rule): (usize, &Value)| {
        let problem = serde_json::from_value::<Rule>(rule.clone()).ok()?.check().err()?;
        let key = Key::names(["auth"]).index(index);
        Some(Finding { key, about: About::Value, problem: problem.to_owned(), hint: None })
    };
    rules.enumerate().filter_map(finding).collect()
}
