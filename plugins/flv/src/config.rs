//! `plugins.flv` in the config.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an operator can set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// How players get H.265: enhanced (hvc1, the standard) or legacy (codec id 12). A player asks for the other with
    /// ?hevc=legacy or ?hevc=enhanced.
    pub(crate) hevc: Hevc,
}

/// How players get H.265.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hevc {
    #[default]
    Enhanced,
    Legacy,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference of all keys, which operators copy from.
    #[test]
    fn the_reference_has_every_key_and_its_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/plugcast.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let yaml = config::File::from_str(&text, config::FileFormat::Yaml);
        let all = config::Config::builder().add_source(yaml).build().unwrap();

        let section = all.get::<serde_json::Value>("plugins.flv").unwrap();

        assert_eq!(section, serde_json::to_value(Config::default()).unwrap());
    }

    #[test]
    fn the_readme_has_every_key_and_its_default() {
        let readme = include_str!("../README.md");
        for (key, default) in serde_json::to_value(Config::default()).unwrap().as_object().unwrap()
        {
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert!(readme.contains(&format!("| `{key}` | `{text}` |")), "{key}: {text}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for json in [r#"{"listen": ":80"}"#, r#"{"hevc": "both"}"#] {
            assert!(serde_json::from_str::<Config>(json).is_err(), "{json}");
        }
    }
}
