//! The config in force, for `plugcast config show --source`: every key, its value, where it comes from.

use serde_json::{Map, Value};

use super::key::Key;
use super::schema::Node;
use super::{Loaded, Origin};
use crate::log::mask;

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub key: String,
    pub value: String,
    /// `config/plugcast.yaml:12`, the name of a variable, `command line`, or whose default it is.
    pub from: String,
}

/// Every key of the config, in alphabetical order, secrets masked. What a plugin's schema gives as default is listed, too.
#[must_use]
pub fn show(loaded: &Loaded) -> Vec<Shown> {
    let values = loaded.values.iter().map(|(key, Origin { value, source, line })| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let from = match line {
            Some(line) => format!("{source}:{line}"),
            None => source.to_string(),
        };
        Shown { key: key.to_string(), value, from }
    });
    values.collect()
}

/// Whatever is no section, and sections without a key.
pub(super) fn leaves(root: &Value) -> Vec<(Key, Value)> {
    fn collect(key: &Key, value: &Value, leaves: &mut Vec<(Key, Value)>) {
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                entries.iter().for_each(|(name, value)| collect(&key.name(name), value, leaves));
            }
            other => leaves.push((key.clone(), other.clone())),
        }
    }
    let mut leaves = Vec::new();
    collect(&Key::default(), root, &mut leaves);
    leaves
}

/// A value without its secrets: those that a schema marks as write-only, and those that are named so.
pub(super) fn masked(key: &Key, value: &Value, node: Option<Node<'_>>) -> Value {
    if !value.is_null() && (key.is_secret() || node.is_some_and(Node::is_write_only)) {
        return mask::MASK.into();
    }
    match value {
        Value::String(text) => mask::url(text).into(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(i, item)| masked(&key.index(i), item, node.and_then(Node::item))).collect()
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let node = node.and_then(|node| node.property(name));
                (name.clone(), masked(&key.name(name), value, node))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
