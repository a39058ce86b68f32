//! Single values from outside the file, each a layer of its own: environment variables
//! (`PLUGCAST__HTTP__LISTEN` is `http.listen`) and `--set http.listen=…` of the command line.

use serde_json::{Map, Value};

use super::key::{Key, Step};
use super::mistake::Source;
use super::schema::Node;
use super::yaml;

/// Before the first part; `__` stands between parts.
const PREFIX: &str = "PLUGCAST__";
const SEPARATOR: &str = "__";

/// The text of one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) source: Source,
    pub(super) key: Key,
    text: String,
}

/// The variables that name keys, outer keys before inner ones, so that
/// `PLUGCAST__LOG__TARGETS__RTMP` adds to `PLUGCAST__LOG__TARGETS`.
pub(super) fn variables(env: &[(String, String)]) -> Vec<Variable> {
    let mut variables: Vec<Variable> = env
        .iter()
        .filter_map(|(name, text)| {
            let path = name.strip_prefix(PREFIX)?.to_lowercase();
            let key = Key::names(path.split(SEPARATOR));
            Some(Variable { source: Source::Env(name.clone()), key, text: text.clone() })
        })
        .collect();
    variables
        .sort_by(|a, b| (a.key.steps().len(), &a.source).cmp(&(b.key.steps().len(), &b.source)));
    variables
}

/// What the command line sets, outer keys before inner ones; of two for one key the later one wins.
pub(super) fn arguments(set: &[(String, String)]) -> Vec<Variable> {
    let argument = |(path, text): &(String, String)| Variable {
        source: Source::CommandLine,
        key: Key::names(path.split('.')),
        text: text.clone(),
    };
    let mut arguments: Vec<Variable> = set.iter().map(argument).collect();
    arguments.sort_by_key(|argument| argument.key.steps().len());
    arguments
}

impl Variable {
    /// The layer that this variable is. A text is read as YAML where the schema has no text: `5`, `true`,
    /// `[10.0.0.0/8, "::1"]`. What cannot be read stays text, and is reported as the wrong type.
    pub(super) fn layer(&self, schema: Option<Node<'_>>) -> Map<String, Value> {
        let text = || Value::from(self.text.as_str());
        let list = self.text.trim_start().starts_with(['[', '{']);
        let value = match schema {
            Some(node) if node.allows("string") && !(list && is_list_or_section(node)) => text(),
            Some(_) => yaml::parse_value(&self.text).unwrap_or_else(text),
            None => text(),
        };
        let value = self.key.steps().iter().rev().fold(value, |inner, step| match step {
            Step::Name(name) => Value::Object(Map::from_iter([(name.clone(), inner)])),
            Step::Index(_) => inner,
        });
        match value {
            Value::Object(values) => values,
            _ => Map::new(),
        }
    }
}

fn is_list_or_section(node: Node<'_>) -> bool {
    node.allows("array") || node.allows("object")
}
