//! Wire and shared code is pure: bytes and time in, values out.
//!
//! Under `plugins/*/src/wire` and `plugins/lib` there is no socket, clock, thread, randomness, async or log line. What needs
//! one of them takes it as an argument.

use crate::code::{code_only, words};
use crate::repository::{File, files};

/// Identifiers that pure code has no use for.
const BANNED_WORDS: &[&str] = &[
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "async",
    "await",
    "getrandom",
    "rand",
    "thread_local",
    "tokio",
    "tracing",
];

/// Modules of `std` that reach outside, also when they stand in a group.
const BANNED_STD_MODULES: &[&str] = &["net", "thread", "process"];

fn is_pure_place(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["plugins", "lib", _, "src", ..] => true,
        ["plugins", _, "src", wire, ..] => *wire == "wire" || *wire == "wire.rs",
        _ => false,
    }
}

fn check(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && is_pure_place(&file.path)) {
        for (number, line) in code_only(&file.text).lines().enumerate() {
            for found in impurities(line) {
                complaints.push(format!(
                    "{}:{}: {found} in code that must be pure",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    complaints
}

fn impurities(line: &str) -> Vec<String> {
    let words: Vec<&str> = words(line).collect();
    let mut found: Vec<String> = words
        .iter()
        .filter(|word| BANNED_WORDS.contains(word))
        .map(|word| (*word).to_owned())
        .collect();
    if line.contains("Instant::now") {
        found.push("Instant::now".to_owned());
    }
    // `std::net::X`, `use std::{io, net}`: every word after `std` that is one of its modules.
    let after_std = words.iter().skip_while(|word| **word != "std");
    found.extend(
        after_std
            .filter(|word| BANNED_STD_MODULES.contains(word))
            .map(|module| format!("std::{module}")),
    );
    found
}

#[test]
fn wire_and_shared_code_is_pure() {
    crate::assert_none(&check(files()));
}

#[test]
fn complains_about_impure_code() {
    let place = |code: &str| File::new("plugins/rtmp/src/wire/chunk.rs", code);
    let cases = [
        ("use tokio::io::AsyncRead;", &["tokio"][..]),
        ("use std::net::SocketAddr;", &["std::net"]),
        ("use std::{fmt, thread};", &["std::thread"]),
        ("let now = Instant::now();", &["Instant::now"]),
        ("fn at(now: Instant) {}", &[]),
        ("let now = SystemTime::now();", &["SystemTime"]),
        ("let noise = rand::random();", &["rand"]),
        ("tracing::info!(\"x\");", &["tracing"]),
        ("async fn read() {}", &["async"]),
        ("// tokio would do this differently", &[]),
        ("let word = \"tokio\";", &[]),
        ("let operand = strand + brand;", &[]),
    ];

    for (code, expected) in cases {
        crate::assert_complaints(&check(&[place(code)]), expected);
    }
}

#[test]
fn knows_the_pure_places() {
    let cases = [
        ("plugins/rtmp/src/wire/mod.rs", true),
        ("plugins/rtmp/src/wire.rs", true),
        ("plugins/lib/media/src/bits/mod.rs", true),
        ("plugins/rtmp/src/session/mod.rs", false),
        ("plugins/lib/media/tests/fuzzed.rs", false),
        ("host/src/net/mod.rs", false),
    ];
    for (path, expected) in cases {
        assert_eq!(is_pure_place(path), expected, "{path}");
    }
}
