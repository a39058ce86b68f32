//! Every Rust file says what it is; every document names files and commands that exist.

use std::path::Path;

use crate::repository::{File, files, top};

/// Top-level names that a document may mention though they are made only when something runs.
const MADE_LATER: &[&str] = &["run", "target"];

fn files_without_module_doc(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust() && !file.text.starts_with("//!"))
        .map(|file| format!("{}: does not open with //!", file.path))
        .collect()
}

/// Paths in code spans, code blocks and links of documents that lead nowhere. `exists` is given paths from the top.
fn dead_references(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or_else(|| Path::new(""));
        let mut in_block = false;
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
                continue;
            }
            let from_top = code_parts(line, in_block)
                .flat_map(str::split_whitespace)
                .filter_map(path_from_top);
            let links =
                link_targets(line).filter(|_| !in_block).map(|target| resolve(folder, target));
            for path in from_top.map(str::to_owned).chain(links) {
                if !exists(&path) {
                    complaints.push(format!("{}:{}: {path} does not exist", file.path, number + 1));
                }
            }
        }
    }
    complaints
}

/// The parts of a line that are code: all of it in a block, what stands between backquotes elsewhere.
fn code_parts(line: &str, in_block: bool) -> impl Iterator<Item = &str> {
    line.split('`').enumerate().filter(move |(at, _)| in_block || at % 2 == 1).map(|(_, part)| part)
}

/// `word` as a path, if it starts with a folder of the repository and is no pattern.
fn path_from_top(word: &str) -> Option<&str> {
    let word = word
        .trim_matches(|letter: char| matches!(letter, '(' | ')' | ',' | ';' | ':' | '"' | '\''));
    let word = word.trim_start_matches("./").trim_end_matches('.');
    let first = word.split_once('/')?.0;
    let known =
        [".ci", "admin-ui", "config", "docs", "host", "plugin-api", "plugins", "scripts", "tests"]
            .contains(&first);
    let pattern =
        word.contains(|letter: char| !(letter.is_ascii_alphanumeric() || "/._-".contains(letter)));
    (known && !pattern && !MADE_LATER.contains(&first)).then_some(word)
}

/// The targets of `[text](target)` that are files.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter_map(|target| {
        let file = target.split('#').next().unwrap_or_default();
        (!file.is_empty() && !file.contains("://") && !file.starts_with("mailto:")).then_some(file)
    })
}

fn resolve(folder: &Path, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let joined = folder.join(target);
    for part in joined.iter().filter_map(|part| part.to_str()) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_rust_file_opens_with_its_purpose() {
    crate::assert_none(&files_without_module_doc(files()));
}

#[test]
fn complains_about_a_file_without_purpose() {
    let files = [
        File::new("a.rs", "//! Parses a.\nfn a() {}"),
        File::new("b.rs", "use std::fmt;\n//! Too late."),
        File::new("c.md", "no doc needed"),
    ];

    crate::assert_complaints(&files_without_module_doc(&files), &["b.rs"]);
}

#[test]
fn documents_name_what_exists() {
    let top = top();

    crate::assert_none(&dead_references(files(), |path| top.join(path).exists()));
}

#[test]
fn complains_about_references_to_nothing() {
    let text = "\
Run `scripts/test`, or `scripts/tests -p x`; see [design](ARCHITECTURE.md#words) and [gone](docs/gone.md).
Patterns such as `plugins/*/src` or `plugins/<name>` and [sites](https://example.org/x) are left alone.
The host/src/nothing.rs of plain prose too, and `run/plugins/x.so`.
```bash
scripts/run -c config/gone.yaml
```
";
    let files = [File::new("docs/README.md", text)];
    let exists =
        |path: &str| ["scripts/test", "scripts/run", "docs/ARCHITECTURE.md"].contains(&path);

    crate::assert_complaints(
        &dead_references(&files, exists),
        &["scripts/tests does not", "docs/docs/gone.md does not", "config/gone.yaml does not"],
    );
}
