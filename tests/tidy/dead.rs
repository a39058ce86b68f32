//! No dead files: every Rust file is reached from a crate root by `mod`, every fixture is used by a test.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use serde_json::Value;

use crate::code::code_only;
use crate::deps::metadata;
use crate::repository::{File, files, top};

/// Files that no root leads to. `roots` are paths from the top, as cargo names its targets.
fn unreached(files: &[File], roots: &[String]) -> Vec<String> {
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut queue: VecDeque<(String, bool)> =
        roots.iter().map(|root| (root.clone(), true)).collect();
    while let Some((path, is_root)) = queue.pop_front() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        if reached.insert(path) {
            queue.extend(children(file, is_root).into_iter().map(|child| (child, false)));
        }
    }
    files
        .iter()
        .filter(|file| file.is_rust() && !reached.contains(&file.path))
        .map(|file| format!("{}: no crate root leads here", file.path))
        .collect()
}

/// The paths at which the modules that a file declares may lie.
fn children(file: &File, is_root: bool) -> Vec<String> {
    let path = Path::new(&file.path);
    let parent = path.parent().unwrap_or_else(|| Path::new(""));
    let owns_its_folder = is_root || path.ends_with("mod.rs");
    let folder = if owns_its_folder { parent.to_path_buf() } else { path.with_extension("") };
    let code = code_only(&file.text);
    let mut children = Vec::new();
    for (line, original) in code.lines().zip(file.text.lines()) {
        // Attributes and visibility stand before `mod`; inline modules have no semicolon.
        if let Some(name) = line.trim_end().strip_suffix(';').and_then(declared_module) {
            children.push(folder.join(name).with_extension("rs"));
            children.push(folder.join(name).join("mod.rs"));
        }
        // `#[path = "…"]` and `include!("…")` name a file beside this one.
        if line.contains("include!(") || line.trim_start().starts_with("#[path") {
            children.extend(original.split('"').nth(1).map(|name| parent.join(name)));
        }
    }
    children.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

fn declared_module(declaration: &str) -> Option<&str> {
    let (before, name) = declaration.rsplit_once("mod ")?;
    let before = before.trim_end();
    let opens = before.is_empty()
        || before.ends_with(']')
        || before.ends_with(')')
        || before.ends_with("pub");
    (opens && !name.contains(' ')).then_some(name)
}

/// Every target of every member, and those of the fuzz workspace, which cargo does not list here.
fn roots(metadata: &Value, files: &[File], top: &Path) -> Vec<String> {
    let targets = metadata["packages"].as_array().into_iter().flatten();
    let targets = targets.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let mut roots: Vec<String> = targets
        .filter_map(|target| target["src_path"].as_str())
        .filter_map(|path| Path::new(path).strip_prefix(top).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    if let Some(fuzz) = files.iter().find(|file| file.path == "tests/fuzz/Cargo.toml") {
        let paths = fuzz.text.lines().filter_map(|line| line.trim().strip_prefix("path = \""));
        roots.extend(
            paths
                .filter_map(|path| path.strip_suffix('"'))
                .map(|path| format!("tests/fuzz/{path}")),
        );
    }
    roots
}

/// Folders of `tests/fixtures` whose name appears nowhere in the tests or the harness.
fn unused_fixtures(files: &[File]) -> Vec<String> {
    let fixtures: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("tests/fixtures/")?.split('/').next())
        .collect();
    let used = |name: &str| {
        files.iter().any(|file| {
            (file.path.starts_with("tests/e2e/") || file.path.starts_with("tests/src/"))
                && file.text.contains(name)
        })
    };
    fixtures
        .into_iter()
        .filter(|name| !name.ends_with(".md") && !used(name))
        .map(|name| format!("tests/fixtures/{name}: no test uses it"))
        .collect()
}

#[test]
fn every_file_is_reached_from_a_crate_root() {
    let top = top();

    crate::assert_none(&unreached(files(), &roots(&metadata(), files(), &top)));
}

#[test]
fn every_fixture_is_used() {
    crate::assert_none(&unused_fixtures(files()));
}

#[test]
fn complains_about_files_that_nothing_leads_to() {
    let files = [
        File::new(
            "a/src/lib.rs",
            "//! A.\nmod one;\n#[cfg(test)]\npub(crate) mod two;\nmod inline {\n}\n",
        ),
        File::new("a/src/one.rs", "mod deep;\n// mod dead;\n"),
        File::new("a/src/one/deep.rs", "#[path = \"odd_name.rs\"]\nmod odd;\n"),
        File::new("a/src/one/odd_name.rs", ""),
        File::new("a/src/two/mod.rs", "#[cfg(test)] mod tests;"),
        File::new("a/src/two/tests.rs", ""),
        File::new("a/src/dead.rs", ""),
        File::new("a/src/one/dead.rs", ""),
    ];

    let complaints = unreached(&files, &["a/src/lib.rs".to_owned()]);

    crate::assert_complaints(&complaints, &["a/src/dead.rs", "a/src/one/dead.rs"]);
}

#[test]
fn complains_about_a_fixture_without_a_test() {
    let files = [
        File::new("tests/fixtures/panics/src/lib.rs", ""),
        File::new("tests/fixtures/forgotten.c", ""),
        File::new("tests/e2e/faults.rs", "start(\"panics\")"),
    ];

    crate::assert_complaints(&unused_fixtures(&files), &["tests/fixtures/forgotten.c"]);
}
