//! `config/plugcast.yaml` is the reference: it has every key, with its default and a comment, and no other.

use std::fs;

use serde_json::Value;

use super::Setup;
use super::docs::{plugin_schemas, sections};
use crate::config::check::value_at;
use crate::config::key::Key;
use crate::config::{Config, host_schema, load, show, yaml};
use crate::golden;

fn reference() -> String {
    fs::read_to_string(golden::path("config/plugcast.yaml")).unwrap()
}

#[test]
fn reference_has_the_defaults_of_the_code() {
    let document = yaml::parse(&reference()).unwrap();

    let config: Config = serde_json::from_value(Value::Object(document.root)).unwrap();

    // Plugins add sections of their own.
    assert_eq!(Config { plugins: [].into(), ..config }, Config::default());
}

#[test]
fn reference_has_every_key_of_every_schema_with_its_default() {
    let (host, plugins) = (host_schema(), plugin_schemas());
    let text = reference();
    let document = yaml::parse(&text).unwrap();
    let root = Value::Object(document.root);

    for section in sections(&host, &plugins) {
        if !section.is_fixed() {
            // Sections that the operator names, and items of lists: keys stand in the comment above.
            let outer = section.path.split(['.', '[']).next().unwrap();
            let comment = comment_above(&text, outer);
            for key in &section.keys {
                let key = format!("{}:", key.name);
                assert!(comment.contains(&key), "{key} is not in the comment above {outer}");
            }
            continue;
        }
        for described in &section.keys {
            let key = Key::names(section.path.split('.').chain([described.name]));
            let value = value_at(&root, &key).unwrap_or_else(|| panic!("{key} is missing"));
            assert_eq!(Some(value), described.node.default(), "{key}");
        }
    }
}

/// The lines of comment right above a key of the outermost level.
fn comment_above(text: &str, key: &str) -> String {
    let (before, _) = text.split_once(&format!("\n{key}:")).unwrap();
    let lines: Vec<&str> = before.lines().rev().take_while(|line| line.starts_with('#')).collect();
    lines.join("\n")
}

#[test]
fn reference_has_a_comment_line_for_every_key() {
    let text = reference();
    let lines: Vec<&str> = text.lines().collect();
    for (number, pair) in lines.windows(2).enumerate() {
        let is_key = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let first_of_section = pair[0].ends_with(':') && is_key(pair[0]);
        assert!(
            !is_key(pair[1]) || pair[0].trim_start().starts_with('#') && !first_of_section,
            "line {} has no comment before it: {}",
            number + 2,
            pair[1]
        );
    }
}

/// A key of the reference that no schema knows would be a mistake, in a plugin's section too.
#[test]
fn reference_is_a_config_without_mistakes() {
    let setup = Setup::yaml(&reference());

    let loaded = load(&setup.options, |_| plugin_schemas());

    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{}", super::listed(&mistakes)));
    let from_file = |key: &str| {
        let shown = show(&loaded);
        shown
            .iter()
            .any(|shown| shown.key == key && shown.from.starts_with("config/plugcast.yaml:"))
    };
    assert!(
        from_file("http.listen") && from_file("log.targets") && from_file("plugins.rtmp.listen")
    );
}
