//! Every mistake is listed at once, with its place, in words that say what to write.

use super::Setup;

#[test]
fn ten_mistakes_are_listed_at_once() {
    let setup = Setup::yaml(
        r#"server:
  plugin_dir: [plugins]
  worker_threads: many
http:
  listen: localhost:8080
  keep_alive: 15
log:
  level: verbos
  targets: {rtmp: debugg}
ring:
  max_bytes: 16M
auth:
  - {stream: "live/**", alow: publish, from: [10.1.0.0/8]}
  - {from: [::1]}
plugins:
  rtmp:
    chunk_sise: 4096
    timeout: soon
    tls: {profil: main}
  rtpm: {}
htpp: {}
"#,
    );

    let mistakes = setup.mistakes();

    let expected = [
        "2:3: server.plugin_dir: unknown key; did you mean \"plugin_dirs\"?",
        "3:19: server.worker_threads: \"many\" where a whole number belongs",
        "5:11: http.listen: \"localhost:8080\" is not an address to listen on: write an IP address \
         and a port such as \"[::]:8080\" or \"127.0.0.1:8080\", \":8080\" for every address, or \
         \"off\"",
        "6:15: http.keep_alive: 15 where a text belongs; write \"15s\" for seconds",
        "8:10: log.level: \"verbos\" is not one of off, error, warn, info, debug, trace",
        "9:19: log.targets.rtmp: \"debugg\" is not one of off, error, warn, info, debug, trace; \
         did you mean \"debug\"?",
        "11:14: ring.max_bytes: \"16M\" is ambiguous: write \"16MiB\" for powers of 1024 or \
         \"16MB\" for powers of 1000",
        "13:25: auth[0].alow: unknown key; did you mean \"allow\"?",
        "13:47: auth[0].from[0]: \"10.1.0.0/8\" has bits beyond its prefix: write 10.0.0.0/8",
        "14:5: auth[1]: a rule needs `allow` or `deny`: publish, play or any",
        "17:5: plugins.rtmp.chunk_sise: unknown key; did you mean \"chunk_size\"?",
        "18:14: plugins.rtmp.timeout: \"soon\" is not a duration: write a number and ms, s, m, h \
         or d, such as \"10s\"",
        "19:5: plugins.rtmp.tls: the key \"profile\" is missing",
        "19:11: plugins.rtmp.tls.profil: unknown key; did you mean \"profile\"?",
        "20:3: plugins.rtpm: there is no plugin \"rtpm\"; did you mean \"rtmp\"?",
        "21:1: htpp: unknown key; did you mean \"http\"?",
    ];
    let expected: Vec<String> =
        expected.iter().map(|line| format!("config/plugcast.yaml:{line}")).collect();
    assert_eq!(mistakes, expected, "\n{}", mistakes.join("\n"));
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    let setup = Setup::yaml("http: {listen: ':80'}\n")
        .env("PLUGCAST__HTTP__LISTEN", "here")
        .env("PLUGCAST__HTTP__LISEN", ":80")
        .env("PLUGCAST__SERVER__WORKER_THREADS", "2000")
        .env("PLUGCAST__PLUGINS__RTMP__ENABLE", "yes")
        .env("PLUGCAST__PLUGINS__RTMP__CHUNK_SISE", "1")
        .env("PLUGCAST__HTTPS", "{listen: ':81'}");

    let mistakes = setup.mistakes();

    let starts = [
        "PLUGCAST__HTTPS: https: unknown key; did you mean \"http\"?",
        "PLUGCAST__HTTP__LISEN: http.lisen: unknown key; did you mean \"listen\"?",
        "PLUGCAST__HTTP__LISTEN: http.listen: \"here\" is not an address to listen on",
        "PLUGCAST__PLUGINS__RTMP__CHUNK_SISE: plugins.rtmp.chunk_sise: unknown key; did you mean",
        "PLUGCAST__PLUGINS__RTMP__ENABLE: plugins.rtmp.enable: \"yes\" where true or false belongs",
        "PLUGCAST__SERVER__WORKER_THREADS: server.worker_threads: 2000 has to be from 0 to 1024",
    ];
    assert_eq!(mistakes.len(), starts.len(), "\n{}", mistakes.join("\n"));
    for (mistake, start) in mistakes.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake}\n{start}");
    }
}

#[test]
fn keys_written_twice_are_mistakes() {
    let setup = Setup::yaml("http:\n  listen: ':1'\n  listen: ':2'\nlog: {}\nhttp: {}\n");

    assert_eq!(
        setup.mistakes(),
        [
            "config/plugcast.yaml:3:3: http.listen: written twice, first in line 2",
            "config/plugcast.yaml:5:1: http: written twice, first in line 1",
        ]
    );
}

#[test]
fn syntax_errors_have_a_place() {
    for (text, start) in [
        ("http:\n  listen: [1, 2\nlog: {}\n", "config/plugcast.yaml:3:"),
        ("http:\n  listen: 'a\n", "config/plugcast.yaml:"),
        ("- a\n", "config/plugcast.yaml:1:1: the file has to consist of keys and values"),
        ("a: 1\n---\nb: 2\n", "config/plugcast.yaml:3:1: a second document"),
        ("http: &a {}\nlog: *a\n", "config/plugcast.yaml:2:6: log: aliases"),
    ] {
        let mistakes = Setup::yaml(text).mistakes();

        assert!(mistakes.iter().any(|m| m.starts_with(start)), "{text:?}: {mistakes:?}");
    }
}

#[test]
fn tabs_are_named() {
    let mistakes = Setup::yaml("http:\n\tlisten: ':1'\n").mistakes();

    assert!(mistakes[0].ends_with("not tabs"), "{mistakes:?}");
}

#[test]
fn deep_nesting_is_refused() {
    let mistakes = Setup::yaml(&format!("a: {}", "[".repeat(10_000))).mistakes();

    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

#[test]
fn a_missing_file_that_was_named_is_a_mistake() {
    let mut setup = Setup::empty();
    setup.options.file = Some("missing.yaml".into());

    let mistakes = setup.mistakes();

    assert!(mistakes[0].starts_with("missing.yaml: cannot be read: "), "{mistakes:?}");
}

#[test]
fn json_and_toml_mistakes_have_a_key() {
    for (name, text) in
        [("a.json", r#"{"http": {"lisen": ":1"}}"#), ("a.toml", "[http]\nlisen = ':1'\n")]
    {
        let mut setup = Setup::empty().file(name, text);
        setup.options.file = Some(name.into());

        let expected = format!("{name}: http.lisen: unknown key; did you mean \"listen\"?");
        assert_eq!(setup.mistakes(), [expected]);
    }
}

#[test]
fn secrets_are_not_shown_in_mistakes() {
    let setup = Setup::yaml(
        "auth: [{allow: any, key: 987654321}]\nplugins: {rtmp: {pull_token: [MARK], timeout: \
         'rtmp://u:MARK@h'}}\n",
    );

    let mistakes = setup.mistakes().join("\n");

    assert!(!mistakes.contains("MARK") && !mistakes.contains("987654321"), "{mistakes}");
    assert!(
        mistakes.contains("auth[0].key: *** where a text belongs; put it in quotation marks"),
        "{mistakes}"
    );
}

#[test]
fn a_section_of_an_unknown_plugin_may_stay_when_it_is_off() {
    let setup = Setup::yaml("plugins:\n  srt: {enable: false, port: 1}\n");

    assert!(setup.load().is_ok());
}

#[test]
fn a_blank_key_with_a_typing_error_is_still_unknown() {
    let setup = Setup::yaml("http:\n  lisen:\nplugins:\n  rtmp:\n    timout:\n  Bad Name:\n");

    let mistakes = setup.mistakes();

    assert!(mistakes[0].contains("2:3: http.lisen: unknown key; did you mean \"listen\"?"));
    assert!(mistakes[1].contains("5:5: plugins.rtmp.timout: unknown key; did you mean"));
    assert!(mistakes[2].contains("plugins.Bad Name: not a name"), "{mistakes:?}");
}

#[test]
fn stopping_a_plugin_fits_into_stopping() {
    let setup = Setup::yaml("server:\n  shutdown_timeout: 3s\n");

    assert_eq!(
        setup.mistakes(),
        ["config/plugcast.yaml:2:21: server.shutdown_timeout: \"3s\" is shorter than \
          plugin_stop_timeout, \"5s\""]
    );
}
