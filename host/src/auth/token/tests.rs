//! The file: made once, private, never replaced.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn makes_a_private_token_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/data");

    let first = Token::load_or_create(&data).unwrap();
    let second = Token::load_or_create(&data).unwrap();

    assert!(first.is_new && !second.is_new);
    assert_eq!(first.token.reveal(), second.token.reveal());
    assert_eq!(first.token.reveal().len(), 64);
    assert_eq!((mode(&data), mode(&first.path)), (0o700, 0o600));
    let names: Vec<_> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE_NAME]);
    let other = Token::load_or_create(&dir.path().join("b")).unwrap();
    assert_ne!(first.token.reveal(), other.token.reveal());
}

#[test]
fn makes_an_exposed_file_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, "x".repeat(32)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    let loaded = Token::load_or_create(dir.path()).unwrap();

    assert!(loaded.token.matches(&"x".repeat(32)));
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn refuses_what_is_no_token() {
    let long = "x".repeat(LEN_MAX + 1);
    let very_long = "x".repeat(1 << 20);
    let cases =
        ["", "short", "\n", &"ä".repeat(40), &format!("{} x", "y".repeat(40)), &long, &very_long];
    for text in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE_NAME), text).unwrap();

        let error = Token::load_or_create(dir.path()).unwrap_err();

        assert!(matches!(error, Error::Malformed { .. }), "{text:.20}: {error}");
        assert!(error.to_string().contains(FILE_NAME));
        assert_eq!(fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(), text);
    }
}

#[test]
fn follows_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "x".repeat(32)).unwrap();
    symlink(&elsewhere, dir.path().join(FILE_NAME)).unwrap();

    let error = Token::load_or_create(dir.path()).unwrap_err();

    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
}

#[test]
fn of_many_that_start_at_once_one_makes_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = dir.path().to_owned();
            std::thread::spawn(move || Token::load_or_create(&path).unwrap())
        })
        .collect();

    let loaded: Vec<Loaded> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();

    assert_eq!(loaded.iter().filter(|loaded| loaded.is_new).count(), 1);
    assert!(loaded.iter().all(|other| loaded[0].token.matches(other.token.reveal())));
}

#[test]
fn matches_only_itself_and_hides_in_debug() {
    let token = Token::new("0123456789abcdef0123456789abcdef");

    assert!(token.matches("0123456789abcdef0123456789abcdef"));
    for wrong in ["", "0", "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdef0"]
    {
        assert!(!token.matches(wrong), "{wrong}");
    }
    assert!(!format!("{token:?}").contains("0123"));
}
