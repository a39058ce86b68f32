//! The config in force, for `plugcast config show --source`: every key, its value, where it comes from.

use serde_json::{Map, Value};

use super::Loaded;
use super::key::Key;
use super::mistake::Source;
use super::schema::Node;
use crate::log::mask;

/// Every value of the config by key, secrets masked, with its source. What a plugin's schema gives as
/// default is listed, too.
#[must_use]
pub fn show(loaded: &Loaded) -> Vec<(String, String, Source)> {
    let values = loaded.values.iter().map(|(key, (value, source))| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (key.to_string(), text, source.clone())
    });
    values.collect()
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
