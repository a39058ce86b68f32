//! Nothing unfinished or switched off reaches main.

use crate::code::{code_only, words};
use crate::repository::{File, files};

/// Notes to oneself, spelled in halves so that this file does not complain about itself.
const NOTES: &[&str] = &[concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

/// Macros that end a half-written function, or print for the one who writes it.
const MACROS: &[&str] = &["dbg!", "todo!", "unimplemented!"];

/// Where notes may stand: text that others wrote, and the names of lints.
const NOT_OURS: &[&str] = &["Cargo.lock", "Cargo.toml"];

fn check(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !NOT_OURS.contains(&file.path.as_str())) {
        for (number, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            let note = words(line).find(|word| NOTES.contains(word));
            complaints.extend(note.map(|note| format!("{place}: {note}")));
        }
        if !file.is_rust() {
            continue;
        }
        for (number, line) in code_only(&file.text).lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            let found = MACROS.iter().find(|name| line.contains(**name));
            complaints.extend(found.map(|name| format!("{place}: {name}")));
            if line.contains("#[ignore") {
                complaints.push(format!("{place}: a test that is switched off"));
            }
        }
    }
    complaints
}

#[test]
fn nothing_is_left_unfinished() {
    crate::assert_none(&check(files()));
}

#[test]
fn complains_about_leftovers() {
    let note = NOTES[0];
    let files = [
        File::new("a.rs", &format!("fn a() {{}} // {note}: later")),
        File::new("b.rs", "dbg!(x);\ntodo!()"),
        File::new("c.rs", "#[ignore = \"slow\"]\n#[test]\nfn c() {}"),
        File::new("d.rs", "// dbg! is banned\nlet text = \"todo!\";"),
        File::new("e.sh", &format!("# {note}")),
        File::new("Cargo.toml", "todo = \"deny\""),
    ];

    crate::assert_complaints(&check(&files), &["a.rs:1", "b.rs:1", "b.rs:2", "c.rs:1", "e.sh:1"]);
}
