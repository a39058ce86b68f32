//! The config as a whole, from files and variables to mistakes and typed values.

mod docs;
mod layering;
mod mistakes;
mod reference;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Loaded, Mistake, Options, PluginSchemas, load};

/// A folder with a config and an environment.
struct Setup {
    folder: TempDir,
    options: Options,
}

impl Setup {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let working_dir = folder.path().to_owned();
        let system_file = working_dir.join("etc/plugcast.yaml");
        let options =
            Options { file: None, set: Vec::new(), env: Vec::new(), working_dir, system_file };
        Self { folder, options }
    }

    /// A working directory with `config/plugcast.yaml`.
    fn yaml(text: &str) -> Self {
        Self::empty().file("config/plugcast.yaml", text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.options.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.options.set.push((key.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn load(&self) -> Result<Loaded, Vec<Mistake>> {
        load(&self.options, |_| plugins())
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|mistakes| panic!("{}", listed(&mistakes)))
    }

    fn mistakes(&self) -> Vec<String> {
        self.load().unwrap_err().iter().map(ToString::to_string).collect()
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

/// A plugin `rtmp` with a schema such as its config type would have, and `store`, which needs a key.
fn plugins() -> PluginSchemas {
    let rtmp = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "listen": {"type": "string", "default": ":1935"},
            "chunk_size": {"type": "integer", "minimum": 128, "maximum": 65536, "default": 4096},
            "timeout": {"type": "string", "format": "plugcast-duration", "default": "30s"},
            "pull_token": {"type": ["string", "null"], "default": null},
            "tls": {"anyOf": [{"$ref": "#/$defs/Tls"}, {"type": "null"}]},
        },
        "additionalProperties": false,
        "$defs": {
            "Tls": {
                "type": "object",
                "properties": {"profile": {"type": "string"}},
                "additionalProperties": false,
                "required": ["profile"],
            },
        },
    });
    let store = json!({
        "type": "object",
        "properties": {"bucket": {"type": "string"}, "access": {"type": "string", "writeOnly": true}},
        "required": ["bucket"],
    });
    [("rtmp".to_owned(), rtmp), ("store".to_owned(), store)].into()
}

fn own(loaded: &Loaded, instance: &str) -> Value {
    let found = loaded.instances.iter().find(|candidate| candidate.name == instance);
    serde_json::from_str(&found.unwrap().json).unwrap()
}
