//! Who may import whom: `host → plugin-api ← plugins/<name> → plugins/lib`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::repository::top;

/// Where a package stands in the architecture, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Bench,
    Fixture,
    Host,
    Lib,
    Loom,
    Micro,
    Plugin,
    PluginApi,
    Tests,
}

impl Layer {
    fn of(folder: &str) -> Option<Self> {
        let parts: Vec<&str> = folder.split('/').collect();
        match parts.as_slice() {
            ["host"] => Some(Self::Host),
            ["plugin-api"] => Some(Self::PluginApi),
            ["plugins", "lib", _] => Some(Self::Lib),
            ["plugins", _] => Some(Self::Plugin),
            ["tests"] => Some(Self::Tests),
            ["tests", "bench"] => Some(Self::Bench),
            ["tests", "loom"] => Some(Self::Loom),
            ["tests", "micro"] => Some(Self::Micro),
            ["tests", "fixtures", _] => Some(Self::Fixture),
            _ => None,
        }
    }

    /// The layers that a package of this one may import. What is tested from outside (the server, the plugins) is not
    /// imported by its tests: they would then share its mistakes.
    fn may_import(self) -> &'static [Self] {
        match self {
            Self::Host | Self::Fixture | Self::Loom => &[Self::PluginApi],
            Self::Plugin => &[Self::PluginApi, Self::Lib],
            Self::Lib => &[Self::Lib],
            Self::PluginApi | Self::Tests => &[],
            Self::Bench => &[Self::Tests],
            Self::Micro => &[Self::Host, Self::PluginApi],
        }
    }
}

/// An import edge between two folders of the workspace.
#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
}

fn check(edges: &[Edge]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Edge { from, to } in edges {
        let (Some(importer), Some(imported)) = (Layer::of(from), Layer::of(to)) else {
            complaints
                .push(format!("{from} imports {to}: a folder without a place in the architecture"));
            continue;
        };
        if !importer.may_import().contains(&imported) {
            complaints.push(format!(
                "{from} imports {to}: {importer:?} may import only {:?}",
                importer.may_import()
            ));
        }
    }
    complaints
}

/// The edges between members, normal, build and test dependencies alike.
fn edges(metadata: &Value, top: &Path) -> Vec<Edge> {
    let folder = |path: &Path| -> String {
        path.strip_prefix(top)
            .expect("members lie in the repository")
            .to_string_lossy()
            .into_owned()
    };
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let from = folder(manifest.parent().unwrap_or(manifest));
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if let Some(path) = dependency["path"].as_str() {
                edges.push(Edge { from: from.clone(), to: folder(Path::new(path)) });
            }
        }
    }
    edges
}

/// What cargo knows of the workspace.
pub(crate) fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(top())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

#[test]
fn imports_follow_the_architecture() {
    let edges = edges(&metadata(), &top());

    assert!(
        edges.iter().any(|edge| edge.from == "host" && edge.to == "plugin-api"),
        "the reading itself is broken"
    );
    crate::assert_none(&check(&edges));
}

#[test]
fn complains_about_imports_across() {
    let edge = |from: &str, to: &str| Edge { from: from.to_owned(), to: to.to_owned() };
    let edges = [
        edge("host", "plugin-api"),
        edge("host", "plugins/rtmp"),
        edge("host", "plugins/lib/media"),
        edge("plugins/rtmp", "plugins/lib/media"),
        edge("plugins/rtmp", "plugins/hls"),
        edge("plugins/rtmp", "host"),
        edge("plugins/lib/rtp", "plugins/lib/media"),
        edge("plugins/lib/media", "plugin-api"),
        edge("plugin-api", "host"),
        edge("tests/fixtures/misbehave", "host"),
        edge("tests", "plugins/rtmp"),
        edge("somewhere", "host"),
    ];

    crate::assert_complaints(
        &check(&edges),
        &[
            "host imports plugins/rtmp",
            "host imports plugins/lib/media",
            "plugins/rtmp imports plugins/hls",
            "plugins/rtmp imports host",
            "plugins/lib/media imports plugin-api",
            "plugin-api imports host",
            "tests/fixtures/misbehave imports host",
            "tests imports plugins/rtmp",
            "somewhere imports host",
        ],
    );
}
