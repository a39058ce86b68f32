//! Where `unsafe` may stand: at the C ABI, at the system calls behind sockets and memory, and nowhere else.

use crate::code::{code_only, words};
use crate::repository::{File, files};

/// Files, or folders when they end in `/`, and why they can't do without.
const ALLOWED: &[(&str, &str)] = &[
    ("host/src/abi/", "the functions that plugins call"),
    ("host/src/crash/signal.rs", "signal handlers, and what the kernel gives them"),
    ("host/src/fanout/sender/", "sockets by number, and rings shared with the kernel"),
    ("host/src/plugin/instance.rs", "the table that one instance is given"),
    ("host/src/plugin/library.rs", "dlopen, and the plugin's static table"),
    ("host/src/plugin/lifecycle.rs", "the four calls through the plugin's table"),
    ("plugin-api/src/abi/", "the mirror of the C tables"),
    ("plugin-api/src/export.rs", "the entry functions that the host calls"),
    ("plugin-api/src/ffi/", "the safe API's calls through the C tables"),
    ("plugin-api/src/testing/", "a fake host: the same tables from the other side"),
    ("plugin-api/src/mem.rs", "reference counted host memory behind a C table"),
    ("tests/bench/src/bare/uring.rs", "addresses in io_uring's queue"),
];

fn allowed_by(path: &str, allowed: &[(&str, &str)]) -> Option<usize> {
    allowed.iter().position(|(place, _)| {
        if place.ends_with('/') { path.starts_with(place) } else { path == *place }
    })
}

fn check(files: &[File], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = vec![false; allowed.len()];
    for file in files.iter().filter(|file| file.is_rust()) {
        let code = code_only(&file.text);
        let line = code.lines().position(|line| words(line).any(|word| word == "unsafe"));
        match (line, allowed_by(&file.path, allowed)) {
            (Some(_), Some(entry)) => used[entry] = true,
            (Some(line), None) => complaints.push(format!(
                "{}:{}: unsafe outside the files listed in tests/tidy/unsafe_code.rs",
                file.path,
                line + 1
            )),
            (None, _) => {}
        }
    }
    for ((place, _), _) in allowed.iter().zip(used).filter(|(_, used)| !used) {
        complaints.push(format!("{place} is listed for unsafe code and has none"));
    }
    complaints
}

#[test]
fn unsafe_stands_only_where_it_is_listed() {
    crate::assert_none(&check(files(), ALLOWED));
}

#[test]
fn complains_about_unsafe_elsewhere_and_stale_entries() {
    let allowed = [("host/src/abi/", "border"), ("host/src/plugin/library.rs", "dlopen")];
    let files = [
        File::new("host/src/abi/net.rs", "unsafe { call() }"),
        File::new("host/src/hub/mod.rs", "fn f() {\n    unsafe { call() }\n}"),
        File::new(
            "host/src/hub/ring.rs",
            "// unsafe is not needed here\nlet x = \"unsafe\"; let unsafe_code = 1;",
        ),
    ];

    crate::assert_complaints(
        &check(&files, &allowed),
        &["host/src/hub/mod.rs:2: unsafe outside", "host/src/plugin/library.rs is listed"],
    );
}
