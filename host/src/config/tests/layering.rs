//! What wins over what, where it comes from, and how it is shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::{Setup, own};
use crate::config::{ConfigFile, Loaded, LogLevel, OnConflict, Source, show};

/// Value and origin of every key.
fn shown(loaded: &Loaded) -> BTreeMap<String, (String, String)> {
    show(loaded).into_iter().map(|shown| (shown.key, (shown.value, shown.from))).collect()
}

#[test]
fn command_line_wins_over_environment_over_file_over_defaults() {
    let setup =
        Setup::yaml("http:\n  listen: ':1'\n  keep_alive: 1s\n  max_body: 1KiB\n  tls: ''\n")
            .env("PLUGCAST__HTTP__LISTEN", ":2")
            .env("PLUGCAST__HTTP__MAX_BODY", "2KiB")
            .env("PATH", "/bin")
            .set("http.max_body", "3KiB")
            .set("http.max_body", "4KiB");

    let loaded = setup.loaded();

    assert_eq!(loaded.config.http.max_body.to_string(), "4KiB");
    assert_eq!(loaded.config.http.listen.to_string(), "[::]:2");
    assert_eq!(loaded.config.http.keep_alive.to_string(), "1s");
    assert_eq!(loaded.config.http.head_timeout.to_string(), "5s");
    let shown = shown(&loaded);
    let from = |key: &str| shown[key].1.as_str();
    assert_eq!(from("http.max_body"), "command line");
    assert_eq!(from("http.listen"), "PLUGCAST__HTTP__LISTEN");
    assert_eq!(from("http.keep_alive"), "config/plugcast.yaml:3");
    assert_eq!(from("http.head_timeout"), "default");
    assert_eq!(loaded.source("http.max_body"), Some(&Source::CommandLine));
    let file = Source::File("config/plugcast.yaml".into());
    assert_eq!(loaded.source("http.listen"), Some(&Source::Env("PLUGCAST__HTTP__LISTEN".into())));
    assert_eq!(loaded.source("http.keep_alive"), Some(&file));
    assert_eq!(loaded.source("http.head_timeout"), Some(&Source::Default));
}

#[test]
fn variables_become_what_the_schema_says() {
    let setup = Setup::yaml("plugins:\n  other: {plugin: rtmp}\n")
        .env("PLUGCAST__SERVER__WORKER_THREADS", "3")
        .env("PLUGCAST__METRICS__ALLOW", "[10.0.0.0/8, '::1']")
        .env("PLUGCAST__LOG__TARGETS", "{rtmp: debug}")
        .env("PLUGCAST__LOG__TARGETS__HUB", "trace")
        .env("PLUGCAST__PUBLISH__ON_CONFLICT", "refuse")
        .env("PLUGCAST__RING__MAX_BYTES", "1048576")
        .env("PLUGCAST__AUTH", "[{allow: any, key: '12'}]")
        .env("PLUGCAST__PLUGINS__RTMP__CHUNK_SIZE", "256")
        .env("PLUGCAST__PLUGINS__RTMP__PULL_TOKEN", "1234")
        .env("PLUGCAST__PLUGINS__RTMP__REQUIRED", "true")
        .env("PLUGCAST__PLUGINS__OTHER__CHUNK_SIZE", "512")
        .env("PLUGCAST__PLUGINS__THIRD__PLUGIN", "rtmp")
        .env("PLUGCAST__PLUGINS__THIRD__CHUNK_SIZE", "1024");

    let loaded = setup.loaded();

    let config = &loaded.config;
    assert_eq!(config.server.worker_threads, 3);
    assert_eq!(config.metrics.allow.len(), 2);
    assert_eq!(config.log.targets["rtmp"], LogLevel::Debug);
    assert_eq!(config.log.targets["hub"], LogLevel::Trace);
    assert_eq!(config.publish.on_conflict, OnConflict::Refuse);
    assert_eq!(config.ring.max_bytes.to_string(), "1MiB");
    assert_eq!(config.auth.len(), 1);
    assert_eq!(own(&loaded, "rtmp"), json!({"chunk_size": 256, "pull_token": "1234"}));
    assert_eq!(own(&loaded, "other"), json!({"chunk_size": 512}));
    assert_eq!(own(&loaded, "third"), json!({"chunk_size": 1024}));
    assert!(loaded.instances.iter().any(|i| i.name == "rtmp" && i.required));
}

#[test]
fn looks_for_the_file_in_order() {
    let mut setup = Setup::empty().file("etc/plugcast.yaml", "limits: {max_viewers: 1}");
    let viewers = |setup: &Setup| setup.loaded().config.limits.max_viewers;
    assert_eq!(viewers(&setup), 1);

    setup = setup.file("config/plugcast.yaml", "limits: {max_viewers: 2}");
    assert_eq!(viewers(&setup), 2);

    setup = setup
        .file("third.json", r#"{"limits": {"max_viewers": 3}}"#)
        .env("PLUGCAST_CONFIG", "third.json");
    assert_eq!(viewers(&setup), 3);

    setup = setup.file("fourth.toml", "[limits]\nmax_viewers = 4\n");
    setup.options.file = Some("fourth.toml".into());
    assert_eq!(viewers(&setup), 4);
}

#[test]
fn without_a_file_tells_where_it_looked() {
    let setup = Setup::empty();

    let loaded = setup.loaded();

    let looked =
        vec![PathBuf::from("config/plugcast.yaml"), setup.path().join("etc/plugcast.yaml")];
    assert_eq!(loaded.file, ConfigFile::NotFound { looked });
    assert_eq!(loaded.config.server.data_dir, setup.path().join("data"));
    assert_eq!(loaded.config.server.plugin_dirs, [setup.path().join("plugins")]);
}

#[test]
fn paths_are_relative_to_the_file_and_from_variables_to_the_working_directory() {
    let setup = Setup::yaml("server:\n  plugin_dirs: [a, /b]\n")
        .env("PLUGCAST__SERVER__DATA_DIR", "somewhere");

    let server = setup.loaded().config.server;

    assert_eq!(server.plugin_dirs, [setup.path().join("config/a"), "/b".into()]);
    assert_eq!(server.data_dir, setup.path().join("somewhere"));
}

#[test]
fn a_key_without_value_keeps_its_default() {
    let setup = Setup::yaml("http:\n  listen:\nlog:\nplugins:\n  rtmp:\n    listen:\n");

    let loaded = setup.loaded();

    assert_eq!(loaded.config.http.listen.to_string(), "[::]:8080");
    assert_eq!(own(&loaded, "rtmp"), json!({}));
}

#[test]
fn plugins_without_a_section_run_when_they_can() {
    let loaded = Setup::yaml("plugins:\n  cam:\n    enable: false\n").loaded();

    let names: Vec<(&str, bool, bool)> =
        loaded.instances.iter().map(|i| (i.name.as_str(), i.enable, i.in_config)).collect();
    assert_eq!(names, [("cam", false, true), ("rtmp", true, false), ("store", true, false)]);
    let problem = loaded.instances[2].problem.as_deref();
    assert!(problem.is_some_and(|problem| problem.contains("plugins.store")), "{problem:?}");
    assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
    assert!(loaded.notes[0].contains("plugins.store"), "{:?}", loaded.notes);
}

#[test]
fn shows_values_with_sources_and_without_secrets() {
    let setup = Setup::yaml(
        "auth: [{allow: any, key: MARK}]\n\
         plugins:\n  rtmp: {pull_token: MARK, listen: 'rtmp://u:MARK@h/a?key=MARK'}\n  \
         store: {bucket: b, access: MARK}\n",
    );

    let loaded = setup.loaded();

    let shown = shown(&loaded);
    assert!(!format!("{shown:?}").contains("MARK"), "{shown:?}");
    assert!(!format!("{loaded:?}").contains("MARK"), "{loaded:?}");
    let find = |key: &str| {
        let (value, from) = &shown[key];
        (value.as_str(), from.as_str())
    };
    assert_eq!(find("auth"), (r#"[{"allow":"any","key":"***"}]"#, "config/plugcast.yaml:1"));
    assert_eq!(find("http.listen"), ("[::]:8080", "default"));
    assert_eq!(find("plugins.rtmp.listen").0, "rtmp://***@h/a?key=***");
    assert_eq!(find("plugins.rtmp.chunk_size"), ("4096", "default of plugin rtmp"));
    assert_eq!(find("plugins.store.access").0, "***");
}

#[test]
fn shows_keys_that_nobody_wrote() {
    let text =
        "tls:\n  site: {certificate: a, key: b}\nlog:\n  targets: {}\nplugins:\n  rtmp: {}\n";
    let loaded = Setup::yaml(text).loaded();

    let shown = shown(&loaded);
    let find = |key: &str| {
        let (value, from) = &shown[key];
        (value.as_str(), from.as_str())
    };
    assert_eq!(find("log.targets"), ("{}", "config/plugcast.yaml:4"));
    assert_eq!(find("tls.site.min_version"), ("tls1.2", "default"));
    assert_eq!(find("plugins.rtmp.enable"), ("true", "default"));
    assert_eq!(find("plugins.rtmp.plugin"), ("rtmp", "default"));
    assert_eq!(find("plugins.rtmp.required"), ("false", "default"));
    assert_eq!(find("plugins.store.enable"), ("true", "default"));
}

#[test]
fn plugins_are_sought_in_the_folders_even_if_something_else_is_wrong() {
    let setup = Setup::yaml("server: {plugin_dirs: [here]}\nhttp: {listen: nowhere}\nring: 5\n");
    let mut asked = Vec::new();

    let result = crate::config::load(&setup.options, |config| {
        asked.clone_from(&config.server.plugin_dirs);
        super::plugins()
    });

    assert_eq!(asked, [setup.path().join("config/here")]);
    assert_eq!(result.unwrap_err().len(), 2);
    fs::remove_dir_all(setup.path()).unwrap();
}
