//! The repository builds anywhere: no file names a folder of somebody's machine, nor another registry than the public one.

use crate::repository::{File, files};

/// Folders that exist on one machine only, in halves so that this file does not complain about itself.
const MACHINE_FOLDERS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/opt/", "wheels")];

/// Ways to point a package manager elsewhere.
const REGISTRY_SETTINGS: &[&str] = &[
    concat!("replace-", "with"),
    concat!("index-", "url"),
    concat!("find-", "links"),
    concat!("trusted-", "host"),
];

/// Where every package of Cargo.lock comes from.
const PUBLIC_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn check(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            let folder = MACHINE_FOLDERS.iter().find(|folder| starts_a_path(line, folder));
            complaints.extend(folder.map(|folder| format!("{place}: names {folder}")));
            let setting = REGISTRY_SETTINGS.iter().find(|setting| line.contains(**setting));
            complaints.extend(setting.map(|setting| format!("{place}: sets {setting}")));
            if file.path == "Cargo.lock"
                && line.starts_with("source = ")
                && !line.contains(PUBLIC_REGISTRY)
            {
                complaints.push(format!("{place}: {line} is not the public registry"));
            }
        }
    }
    complaints
}

/// Whether `folder` stands in the line as the start of a path, not in the middle of one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}".contains(letter))
    })
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    crate::assert_none(&check(files()));
}

#[test]
fn complains_about_machines_and_registries() {
    let folder = MACHINE_FOLDERS[0];
    let files = [
        File::new("README.md", &format!("see {folder}shared\nhost{folder}x")),
        File::new(
            "scripts/x",
            &format!("pip install --{}=https://mirror.example/simple", REGISTRY_SETTINGS[1]),
        ),
        File::new(
            "Cargo.lock",
            &format!(
                "source = \"{PUBLIC_REGISTRY}\"\nsource = \"registry+https://mirror.example\""
            ),
        ),
    ];

    crate::assert_complaints(&check(&files), &["README.md:1", "scripts/x:1", "Cargo.lock:2"]);
}
