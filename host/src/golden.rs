//! Files in the repository that tests keep equal to what the code says.

use std::fs;
use std::path::{Path, PathBuf};

/// A path from the top of the repository.
pub(crate) fn path(from_top: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from_top)
}

/// Compares a file with what the code makes of it. With `UPDATE_GOLDEN=1` in the environment it is written instead.
#[track_caller]
pub(crate) fn check(from_top: &str, text: &str) {
    let path = path(from_top);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, text)| golden != text);
    assert!(
        golden == text,
        "{from_top} is out of date; UPDATE_GOLDEN=1 rewrites it. First difference, file and code: {differs:#?}"
    );
}
