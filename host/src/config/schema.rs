//! Finds its way through a JSON Schema: which keys a section has, what a value has to be.

use serde_json::{Map, Value};

use super::key::{Key, Step};

/// References and alternatives are followed this deep; a schema may refer to itself.
const DEPTH_MAX: usize = 16;

/// A place in a schema, with the schema that its references point into.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    root: &'a Value,
    here: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn root(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    /// The schema of a value within. `None` for a key that the schema does not know.
    pub(super) fn at(self, key: &Key) -> Option<Self> {
        key.steps().iter().try_fold(self, |node, step| match step {
            Step::Index(_) => node.item(),
            Step::Name(name) => node.property(name),
        })
    }

    /// The schema of one key of a section.
    pub(super) fn property(self, name: &str) -> Option<Self> {
        let parts = self.parts();
        let property = |part: &&'a Map<String, Value>| part.get("properties")?.get(name);
        let others = |part: &&'a Map<String, Value>| {
            part.get("additionalProperties").filter(|schema| schema.is_object())
        };
        let found = parts.iter().find_map(property).or_else(|| parts.iter().find_map(others))?;
        Some(Self { here: found, ..self })
    }

    /// The schema of each item of a list.
    pub(super) fn item(self) -> Option<Self> {
        let here = self.parts().into_iter().find_map(|part| part.get("items"))?;
        Some(Self { here, ..self })
    }

    /// The names of the keys that a section may have.
    pub(super) fn properties(self) -> Vec<&'a str> {
        let parts = self.parts().into_iter();
        let properties = parts.filter_map(|part| part.get("properties")?.as_object());
        properties.flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// The texts of which the value has to be one; empty when there is no such list.
    pub(super) fn choices(self) -> Vec<&'a str> {
        let mut choices = Vec::new();
        for part in self.parts() {
            choices.extend(part.get("enum").and_then(Value::as_array).into_iter().flatten());
            choices.extend(part.get("const"));
        }
        choices.into_iter().filter_map(Value::as_str).collect()
    }

    pub(super) fn format(self) -> Option<&'a str> {
        self.parts().into_iter().find_map(|part| part.get("format")?.as_str())
    }

    pub(super) fn default(self) -> Option<&'a Value> {
        self.parts().into_iter().find_map(|part| part.get("default"))
    }

    /// What the schema says about the value.
    #[cfg(test)]
    pub(super) fn description(self) -> &'a str {
        let found = self.parts().into_iter().find_map(|part| part.get("description")?.as_str());
        found.unwrap_or_default()
    }

    /// Whether a section must have the key.
    #[cfg(test)]
    pub(super) fn requires(self, name: &str) -> bool {
        let mut required = Vec::new();
        for part in self.parts() {
            required.extend(part.get("required").and_then(Value::as_array).into_iter().flatten());
        }
        required.iter().any(|required| required.as_str() == Some(name))
    }

    pub(super) fn is_write_only(self) -> bool {
        self.parts().iter().any(|part| part.get("writeOnly") == Some(&Value::Bool(true)))
    }

    /// Whether a value of this JSON type could be right.
    pub(super) fn allows(self, kind: &str) -> bool {
        self.kinds().contains(&kind)
    }

    /// The JSON types that the value may have; empty when the schema does not say.
    pub(super) fn kinds(self) -> Vec<&'a str> {
        let mut kinds = Vec::new();
        for part in self.parts() {
            match part.get("type") {
                Some(Value::String(kind)) => kinds.push(kind.as_str()),
                Some(Value::Array(list)) => kinds.extend(list.iter().filter_map(Value::as_str)),
                _ if part.contains_key("enum") || part.contains_key("const") => {
                    kinds.push("string");
                }
                _ => {}
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The lowest and highest number, as far as the schema says.
    pub(super) fn range(self) -> (Option<&'a Value>, Option<&'a Value>) {
        let parts = self.parts();
        let find = |name: &str| parts.iter().find_map(|part| part.get(name));
        (find("minimum"), find("maximum"))
    }

    /// This schema and all that it refers to, includes, or offers as an alternative.
    fn parts(self) -> Vec<&'a Map<String, Value>> {
        let mut parts = Vec::new();
        self.collect(self.here, 0, &mut parts);
        parts
    }

    fn collect(self, schema: &'a Value, depth: usize, parts: &mut Vec<&'a Map<String, Value>>) {
        let Some(object) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { return };
        parts.push(object);
        let target = object.get("$ref").and_then(Value::as_str);
        if let Some(pointer) = target.and_then(|reference| reference.strip_prefix('#'))
            && let Some(target) = self.root.pointer(pointer)
        {
            self.collect(target, depth + 1, parts);
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for alternative in object.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.collect(alternative, depth + 1, parts);
            }
        }
    }
}

/// The candidate that a typing error may have turned into `written`.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Half of the letters right: `chunk_sise` finds `chunk_size`, `foo` does not find `key`.
    let distance_max = written.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        let names = ["chunk_size", "listen", "max_sessions"];
        for (written, expected) in [
            ("chunk_sise", Some("chunk_size")),
            ("chunksize", Some("chunk_size")),
            ("lisetn", Some("listen")),
            ("Listen", Some("listen")),
            ("foo", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }

    #[test]
    fn follows_references_and_alternatives() {
        let schema = serde_json::json!({
            "properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}},
            "$defs": {"A": {"type": "object", "properties": {"b": {"type": "integer"}}}},
        });

        let node = Node::root(&schema).at(&Key::names(["a", "b"]));

        assert!(node.is_some_and(|node| node.allows("integer")));
        assert!(Node::root(&schema).at(&Key::names(["a", "c"])).is_none());
    }

    #[test]
    fn a_schema_may_refer_to_itself() {
        let schema = serde_json::json!({"$ref": "#", "allOf": [{"$ref": "#"}]});

        assert!(Node::root(&schema).properties().is_empty());
    }
}
