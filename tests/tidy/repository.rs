//! The text files of the repository, read once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Folders that hold nothing written by hand.
const SKIPPED_FOLDERS: &[&str] =
    &[".git", "target", "run", "node_modules", "dist", "artifacts", "coverage"];

/// One text file; the path is relative to the top and uses `/`.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// A file for doctored input.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The top folder of the repository.
pub(crate) fn top() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in a folder of the repository").to_path_buf()
}

/// Every text file. Binary ones (captures, corpora) are left out.
pub(crate) fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = Vec::new();
        collect(&top(), "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    })
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("the repository is readable");
    for entry in entries {
        let entry = entry.expect("the repository is readable");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the repository is readable");
        let generated =
            SKIPPED_FOLDERS.contains(&name.as_str()) || entry.path().join("CACHEDIR.TAG").exists();
        if kind.is_dir() && !generated {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && name != ".git" {
            let bytes = fs::read(entry.path()).expect("the repository is readable");
            if let Ok(text) = String::from_utf8(bytes)
                && !text.contains('\0')
            {
                files.push(File { path, text });
            }
        }
    }
}

#[test]
fn finds_its_own_files() {
    let paths: Vec<_> = files().iter().map(|file| file.path.as_str()).collect();

    for path in
        ["Cargo.toml", "tests/tidy/main.rs", "scripts/test", "plugin-api/include/plugcast/core.h"]
    {
        assert!(paths.contains(&path), "{path} was not found");
    }
    assert!(!paths.iter().any(|path| path.starts_with("target/")));
}
