//! `config/plugcast.yaml` is the reference: it has every key, with its default.

use serde_json::Value;

use super::Setup;
use crate::config::key::Key;
use crate::config::schema::Node;
use crate::config::{Config, host_schema, yaml};

const REFERENCE: &str = include_str!("../../../../config/plugcast.yaml");

#[test]
fn reference_has_the_defaults() {
    let document = yaml::parse(REFERENCE).unwrap();

    let config: Config = serde_json::from_value(Value::Object(document.root)).unwrap();

    // Plugins add sections of their own.
    assert_eq!(Config { plugins: [].into(), ..config }, Config::default());
}

#[test]
fn reference_has_every_key() {
    let schema = host_schema();
    let document = yaml::parse(REFERENCE).unwrap();
    let root = Node::root(&schema);

    for section in root.properties() {
        let section = Key::names([section]);
        assert!(document.places.contains_key(&section), "{section} is missing");
        for name in root.at(&section).map(Node::properties).unwrap_or_default() {
            let key = section.name(name);
            assert!(document.places.contains_key(&key), "{key} is missing");
        }
    }
}

#[test]
fn reference_has_a_comment_line_for_every_key() {
    let lines: Vec<&str> = REFERENCE.lines().collect();
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

#[test]
fn reference_loads() {
    // Sections of plugins are compared with their schemas by the plugins' own tests.
    let (own, _) = REFERENCE.split_once("\nplugins:").unwrap();
    let loaded = Setup::yaml(own).loaded();

    assert_eq!(loaded.config.http.listen.to_string(), "[::]:8080");
}
