//! The sections of plugins: found in the merged config, checked against the schemas of their plugins.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::check::{About, Checker, Finding};
use super::key::Key;
use super::schema::nearest;
use super::{Instance, PluginSchemas, PluginSection};

/// Whether a key is that of a section: `plugins.<instance>`.
pub(super) fn is_instance(key: &Key) -> bool {
    key.steps().len() == 2 && key.starts_with(&Key::names(["plugins"]))
}

/// Each instance's section by name, as far as it is one.
pub(super) fn sections(value: &Value) -> Vec<(String, Map<String, Value>)> {
    let plugins = value.get("plugins").and_then(Value::as_object).into_iter().flatten();
    let sections =
        plugins.filter_map(|(name, section)| Some((name.clone(), section.as_object()?.clone())));
    sections.collect()
}

fn own_keys(section: &Map<String, Value>) -> Value {
    let own = section.iter().filter(|(n, _)| !PluginSection::HOST_KEYS.contains(&n.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is wrong with one section.
pub(super) fn check_instance(
    name: &str,
    section: &Map<String, Value>,
    schemas: &PluginSchemas,
) -> Vec<Finding> {
    let key = Key::names(["plugins", name]);
    let mut findings = Vec::new();
    if !is_instance_name(name) {
        let problem = "not a name for an instance: use a to z, 0 to 9, - and _, a letter first";
        let (key, problem) = (key.clone(), problem.to_owned());
        findings.push(Finding { key, about: About::Key, problem, hint: None });
    }
    let named = section.get("plugin").and_then(Value::as_str);
    let id = named.unwrap_or(name);
    let Some(schema) = schemas.get(id) else {
        if section.get("enable") != Some(&Value::Bool(false)) {
            let (key, about) = match named {
                Some(_) => (key.name("plugin"), About::Value),
                None => (key, About::Key),
            };
            let hint = match nearest(id, schemas.keys().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if schemas.is_empty() => {
                    "no plugin was found in server.plugin_dirs".to_owned()
                }
                None => {
                    let found: Vec<&str> = schemas.keys().map(String::as_str).collect();
                    format!("found in server.plugin_dirs: {}", found.join(", "))
                }
            };
            let problem = format!("there is no plugin \"{id}\"");
            findings.push(Finding { key, about, problem, hint: Some(hint) });
        }
        return findings;
    };
    match Checker::new(schema) {
        Ok(checker) => {
            findings.extend(checker.check(&own_keys(section)).into_iter().map(|found| {
                let key = key.join(&found.key);
                Finding { key, ..found }
            }))
        }
        Err(reason) => {
            let problem = format!("the schema of plugin \"{id}\" is wrong: {reason}");
            findings.push(Finding { key, about: About::Key, problem, hint: None });
        }
    }
    findings
}

/// A name is also a log target, a label in metrics, and part of environment variables.
fn is_instance_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && name.len() <= 64
}

/// The instances, and what to tell about plugins that have no section.
pub(super) fn instances(
    sections: &[(String, Map<String, Value>)],
    schemas: &PluginSchemas,
) -> (Vec<Instance>, Vec<String>) {
    let mut instances = Vec::new();
    let mut notes = Vec::new();
    for (name, section) in sections {
        let flag = |key: &str| section.get(key).and_then(Value::as_bool);
        instances.push(Instance {
            name: name.clone(),
            plugin: section.get("plugin").and_then(Value::as_str).unwrap_or(name).to_owned(),
            enable: flag("enable").unwrap_or(true),
            required: flag("required").unwrap_or(false),
            json: own_keys(section).to_string(),
            in_config: true,
            problem: None,
        });
    }
    let taken: BTreeSet<String> =
        instances.iter().flat_map(|i| [i.name.clone(), i.plugin.clone()]).collect();
    for (id, schema) in schemas.iter().filter(|(id, _)| !taken.contains(*id)) {
        let defaults = Value::Object(Map::new());
        let problems = Checker::new(schema).map(|checker| checker.check(&defaults));
        let problem = match problems.as_deref() {
            Ok([]) => None,
            Ok([first, ..]) => Some(format!("it needs a section plugins.{id} ({})", first.problem)),
            Err(reason) => Some(format!("its config schema is wrong: {reason}")),
        };
        notes.extend(
            problem.iter().map(|problem| format!("plugin \"{id}\" is not started: {problem}")),
        );
        instances.push(Instance {
            name: id.clone(),
            plugin: id.clone(),
            enable: true,
            required: false,
            json: defaults.to_string(),
            in_config: false,
            problem,
        });
    }
    (instances, notes)
}
