//! What is written, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::headers::HEADERS;
use super::templates::TEMPLATES;
use super::*;
use crate::golden;

fn plan(name: &str, lang: Lang, kind: Kind) -> Plan {
    Plan { name: name.to_owned(), lang, kind, sdk: None }
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.strip_prefix(folder).unwrap().to_owned())),
            }
        }
    }
    files
}

#[test]
fn every_header_is_embedded() {
    let there = files(&golden::path("plugin-api/include/plugcast"));

    assert_eq!(
        HEADERS.map(|(name, _)| PathBuf::from(name)),
        there.into_iter().collect::<Vec<_>>()[..]
    );
}

#[test]
fn every_template_is_embedded() {
    let folder = golden::path("plugin-api/templates");
    let there: BTreeSet<String> =
        files(&folder).iter().map(|path| fs::read_to_string(folder.join(path)).unwrap()).collect();

    let embedded = TEMPLATES.iter().flat_map(|template| template.files);
    assert_eq!(embedded.map(|(_, text)| (*text).to_owned()).collect::<BTreeSet<_>>(), there);
}

#[test]
fn headers_replace_another_version_only_when_forced() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join("plugcast/mem.h");
    fs::create_dir(folder.path().join("plugcast")).unwrap();
    fs::write(&old, "old").unwrap();

    let refused = write_headers(folder.path(), false);

    assert!(matches!(refused, Err(Error::Differs(path)) if path == old));
    assert_eq!(files(folder.path()).len(), 1);
    write_headers(folder.path(), true).unwrap();
    write_headers(folder.path(), false).expect("the same once more is no difference");
    assert_eq!(files(folder.path()).len(), HEADERS.len());
}

#[test]
fn nothing_is_left_to_fill_in() {
    let folder = TempDir::new().unwrap();
    for (number, template) in TEMPLATES.iter().enumerate() {
        let name = format!("my-own-{number}");
        plan(&name, template.lang, template.kind).write(folder.path()).unwrap();

        for file in files(&folder.path().join(&name)) {
            let text = fs::read_to_string(folder.path().join(&name).join(&file)).unwrap();
            let mark = ["@ID@", "@SNAKE@", "@SDK@", "@TESTING@"]
                .into_iter()
                .find(|mark| text.contains(mark));
            assert_eq!(mark, None, "{}", file.display());
        }
    }
}

#[test]
fn names_that_can_not_be_ids_are_refused() {
    let folder = TempDir::new().unwrap();
    let long = "a".repeat(65);
    for name in ["", "Mine", "1st", "-x", "a b", "../x", "a/b", "ä", &long] {
        let refused = plan(name, Lang::C, Kind::Protocol).write(folder.path());
        assert!(matches!(refused, Err(Error::Name(_))), "{name:?}");
    }
    assert_eq!(files(folder.path()).len(), 0);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    plan("mine", Lang::C, Kind::Protocol).write(folder.path()).expect("it is empty");
    fs::write(folder.path().join("file"), "").unwrap();
    let before = files(folder.path());

    for name in ["mine", "file"] {
        let refused = plan(name, Lang::Rust, Kind::Protocol).write(folder.path());
        assert!(matches!(refused, Err(Error::NotEmpty(_))), "{name}");
    }
    assert_eq!(files(folder.path()), before);
}

#[test]
fn what_has_no_template_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    for (lang, kind) in
        [(Lang::C, Kind::Http), (Lang::C, Kind::Integration), (Lang::Rust, Kind::Integration)]
    {
        let refused = plan("mine", lang, kind).write(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("--lang {lang} --kind {kind} yet")), "{refused}");
        assert!(refused.contains("there are: --lang c --kind protocol, "), "{refused}");
    }
    assert_eq!(files(folder.path()).len(), 0);
}

#[test]
fn the_sdk_is_named_by_its_whole_path_and_must_be_it() {
    let folder = TempDir::new().unwrap();
    let sdk = golden::path("plugin-api");
    let mine = Plan { sdk: Some(sdk.clone()), ..plan("mine", Lang::Rust, Kind::Http) };

    let next = mine.write(folder.path()).unwrap();

    let manifest = fs::read_to_string(folder.path().join("mine/Cargo.toml")).unwrap();
    let line = format!("plugin-api = {{ path = {:?}", fs::canonicalize(&sdk).unwrap());
    assert_eq!(manifest.matches(&line).count(), 2, "{manifest}");
    assert!(!next.contains("First"), "{next}");
    let other = Plan { sdk: Some(golden::path("host")), ..plan("b", Lang::Rust, Kind::Http) };
    assert!(matches!(other.write(folder.path()), Err(Error::NotTheSdk(_))));
    let c = Plan { sdk: Some(sdk), ..plan("b", Lang::C, Kind::Protocol) };
    assert!(matches!(c.write(folder.path()), Err(Error::SdkForC)));
}
