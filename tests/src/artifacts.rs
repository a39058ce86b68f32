//! Finds what was built: the server, plugin libraries, folders for what tests make.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the profile that the test itself was built in: `target/debug`.
pub fn profile_folder() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its own path");
    let deps = exe.parent().expect("test binaries lie in target/<profile>/deps");
    deps.parent().expect("test binaries lie in target/<profile>/deps").to_path_buf()
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}

/// A folder under `target/` that stays between runs.
pub fn cache_folder(name: &str) -> PathBuf {
    let profile = profile_folder();
    let folder = profile.parent().expect("profiles lie in target/").join(name);
    fs::create_dir_all(&folder).expect("target/ is writable");
    folder
}

/// The server's binary.
pub fn server_binary() -> PathBuf {
    built("plugcast")
}

/// A plugin's library by the plugin's name: `rtmp`, `misbehave`.
pub fn plugin_library(name: &str) -> PathBuf {
    built(&format!("libplugcast_{name}.so"))
}

fn built(file: &str) -> PathBuf {
    let path = profile_folder().join(file);
    assert!(
        path.exists(),
        "{} is not built; scripts/test builds all that tests need",
        path.display()
    );
    path
}

/// Compiles a plugin in C from `tests/fixtures`, against the headers alone, as strict C11.
pub fn compile_c_plugin(source: &str, defines: &[&str], library: &Path) {
    let output = Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O1",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
        ])
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg("-I")
        .arg(repository().join("plugin-api/include"))
        .arg("-o")
        .arg(library)
        .arg(repository().join("tests/fixtures").join(source))
        .output()
        .expect("cc runs");
    assert!(
        output.status.success(),
        "cc {source} {defines:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
