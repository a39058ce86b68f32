//! `docs/config.md`: every key as the schemas describe it, the host's and those of the plugins in this repository.

use std::fmt::Write as _;
use std::fs;

use plugin_api::units::{ByteSize, HumanDuration, OptionalDuration};
use serde_json::Value;

use crate::auth::pattern::StreamPattern;
use crate::config::memory::MemoryLimit;
use crate::config::schema::Node;
use crate::config::{Cidr, Listen, PluginSchemas, TlsProfile, host_schema};
use crate::golden;

/// What stands for a name that the operator chooses.
const PLACEHOLDERS: [(&str, &str); 2] = [("tls", "<profile>"), ("plugins", "<instance>")];

const HEAD: &str = "\
# Every key of the config

Made from the schemas that `plugcast check-config` checks with; a test keeps it equal, and
`UPDATE_GOLDEN=1 cargo test -p plugcast` rewrites it. [config/README.md](../config/README.md) tells which file is read, what wins
over what, and how values are written; [config/plugcast.yaml](../config/plugcast.yaml) is all of this as a file.
On the command line any key with a variable is set by `--set section.key=value`.
";

/// The schema of each plugin of this repository, by its id.
pub(super) fn plugin_schemas() -> PluginSchemas {
    let folders = fs::read_dir(golden::path("plugins")).unwrap().map(|entry| entry.unwrap());
    let schemas = folders.filter_map(|folder| {
        let text = fs::read_to_string(folder.path().join("config.schema.json")).ok()?;
        let id = folder.file_name().to_string_lossy().into_owned();
        Some((id, serde_json::from_str(&text).unwrap()))
    });
    schemas.collect()
}

/// A section and its keys.
pub(super) struct Section<'a> {
    /// `http`, `tls.<profile>`, `auth[]`.
    pub(super) path: String,
    description: &'a str,
    pub(super) keys: Vec<Described<'a>>,
}

/// A key of a section.
pub(super) struct Described<'a> {
    pub(super) name: &'a str,
    pub(super) node: Node<'a>,
    is_required: bool,
}

impl Section<'_> {
    /// Whether every name in its path is fixed.
    pub(super) fn is_fixed(&self) -> bool {
        !self.path.contains(['<', '['])
    }
}

/// All sections: the host's, then those of plugins. `plugins.<instance>` has the keys that all of them have.
pub(super) fn sections<'a>(host: &'a Value, plugins: &'a PluginSchemas) -> Vec<Section<'a>> {
    let mut sections = Vec::new();
    let root = Node::root(host);
    for name in root.properties() {
        let Some(node) = root.property(name) else { continue };
        collect(name.to_owned(), node, &mut sections);
    }
    for (id, schema) in plugins {
        let first = sections.len();
        collect(format!("plugins.{id}"), Node::root(schema), &mut sections);
        sections[first].description = "The plugin's own keys; those of every instance stand above.";
    }
    sections
}

fn collect<'a>(path: String, node: Node<'a>, sections: &mut Vec<Section<'a>>) {
    let description = node.description();
    if node.properties().is_empty() {
        // A list of sections, or sections by a name that the operator chooses.
        let placeholder = PLACEHOLDERS.iter().find(|(section, _)| *section == path);
        let inner = match (node.item(), placeholder) {
            (Some(item), _) => Some((format!("{path}[]"), item)),
            (None, Some((_, name))) => {
                node.property("any").map(|inner| (format!("{path}.{name}"), inner))
            }
            (None, None) => panic!("{path} has no keys: a placeholder for their names is missing"),
        };
        if let Some((inner_path, inner)) = inner {
            let first = sections.len();
            collect(inner_path, inner, sections);
            // What the outer key says tells more than what it consists of.
            sections[first].description = description;
        }
        return;
    }
    let keys = node.properties().into_iter().map(|name| Described {
        name,
        node: node.property(name).unwrap(),
        is_required: node.requires(name),
    });
    let keys: Vec<_> = keys.collect();
    assert!(
        keys.iter().all(|key| key.node.properties().is_empty()),
        "{path} has a section in it: this document has one level"
    );
    sections.push(Section { path, description, keys });
}

fn document(sections: &[Section<'_>]) -> String {
    let mut out = HEAD.to_owned();
    for section in sections {
        let Section { path, description, keys } = section;
        let _ = write!(out, "\n## `{path}`\n\n{}\n\n", one_line(description));
        out.push_str("| key | type | default | meaning | variable |\n|---|---|---|---|---|\n");
        for key in keys {
            let variable = match path.contains('[') {
                true => "–".to_owned(),
                false => format!("`{}`", variable(path, key.name)),
            };
            let (name, kind, default) = (key.name, kind(key.node), key.default());
            let meaning = without_default(&one_line(key.node.description()), &default);
            let meaning = meaning.replace('|', "\\|");
            let _ = writeln!(out, "| `{name}` | {kind} | {default} | {meaning} | {variable} |");
        }
    }
    out
}

impl Described<'_> {
    fn default(&self) -> String {
        match self.node.default() {
            _ if self.is_required => "has to be there".to_owned(),
            None | Some(Value::Null) => "–".to_owned(),
            Some(Value::String(text)) if !text.is_empty() => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
        }
    }
}

fn variable(path: &str, name: &str) -> String {
    format!("PLUGCAST__{path}__{name}").replace('.', "__").to_uppercase()
}

fn one_line(description: &str) -> String {
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without the last sentence where all that it says is the default, which has a column of its own.
fn without_default(description: &str, default: &str) -> String {
    let sentence = |default: &str| format!(" Default: {default}.");
    let plain = sentence(default.trim_matches('`'));
    let cut = description.strip_suffix(&sentence(default));
    cut.or_else(|| description.strip_suffix(&plain)).unwrap_or(description).to_owned()
}

/// What a value has to be, in words.
fn kind(node: Node<'_>) -> String {
    let choices = node.choices();
    if let Some((last, others)) = choices.split_last() {
        let others: Vec<String> = others.iter().map(|choice| format!("`{choice}`")).collect();
        return format!("{} or `{last}`", others.join(", "));
    }
    match node.format() {
        Some(ByteSize::FORMAT) => return "size".to_owned(),
        Some(Cidr::FORMAT) => return "address range".to_owned(),
        Some(HumanDuration::FORMAT) => return "time".to_owned(),
        Some(Listen::FORMAT) => return "address and port, or `off`".to_owned(),
        Some(MemoryLimit::FORMAT) => return "share, size or `off`".to_owned(),
        Some(OptionalDuration::FORMAT) => return "time or `off`".to_owned(),
        Some(StreamPattern::FORMAT) => return "stream pattern".to_owned(),
        Some(TlsProfile::NAME_FORMAT) => return "name of a profile in `tls`".to_owned(),
        _ => {}
    }
    if let Some(item) = node.item() {
        return format!("list: {}", kind(item));
    }
    if let Some(inner) = node.property("any") {
        return format!("by name: {}", kind(inner));
    }
    let keys = node.properties();
    if !keys.is_empty() {
        let keys = keys.into_iter().filter_map(|name| Some((name, node.property(name)?)));
        let keys: Vec<_> = keys.map(|(name, key)| format!("`{name}` ({})", kind(key))).collect();
        return format!("keys {}", keys.join(", "));
    }
    let numbers = match node.range() {
        (Some(low), Some(high)) => format!("whole number, {low} to {high}"),
        (Some(low), None) => format!("whole number, at least {low}"),
        _ => "whole number".to_owned(),
    };
    match node.kinds().iter().find(|kind| **kind != "null") {
        Some(&"boolean") => "`true` or `false`".to_owned(),
        Some(&"integer") => numbers,
        Some(&"string") => "text".to_owned(),
        other => panic!("no words for {other:?}"),
    }
}

#[test]
fn docs_have_every_key() {
    let (host, plugins) = (host_schema(), plugin_schemas());

    golden::check("docs/config.md", &document(&sections(&host, &plugins)));
}

#[test]
fn every_key_is_described() {
    let (host, plugins) = (host_schema(), plugin_schemas());
    for section in sections(&host, &plugins) {
        for key in &section.keys {
            assert!(!key.node.description().is_empty(), "{}.{}", section.path, key.name);
        }
    }
}
