//! The config schema that a plugin carries: a file beside its source, kept equal to what its config type says.

use std::path::Path;

use crate::plugin::Plugin;

/// Compares the schema file at `path` with the schema of `P::Config`. With `UPDATE_GOLDEN=1` in the environment it writes
/// the file instead.
///
/// # Panics
/// When the file differs: it is a test.
pub fn check_schema<P: Plugin>(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let schema = schemars::schema_for!(P::Config);
    let text = match serde_json::to_string_pretty(&schema) {
        Ok(text) => text + "\n",
        Err(error) => panic!("the schema of {} is no JSON: {error}", P::ID),
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if let Err(error) = std::fs::write(path, &text) {
            panic!("{}: {error}", path.display());
        }
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        golden,
        text,
        "{} (left) is out of date; UPDATE_GOLDEN=1 rewrites it",
        path.display()
    );
}
