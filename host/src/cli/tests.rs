//! The command line as the documents describe it.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::*;
use crate::golden;

/// The command as it is built when it runs, with the flags that all commands share.
fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// `docs/cli.md`: the help of every command, outer ones first.
fn document() -> String {
    let mut out = "# The command line\n\n\
        The help of every command, as `--help` prints it. A test of the host keeps this page equal; \
        `UPDATE_GOLDEN=1 cargo test -p plugcast` rewrites it.\n"
        .to_owned();
    let mut queue = vec![command()];
    while !queue.is_empty() {
        let mut command = queue.remove(0);
        let name = command.get_bin_name().unwrap_or("plugcast").to_owned();
        let help = command.render_help().to_string();
        out.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end()));
        queue.extend(command.get_subcommands().cloned());
    }
    out
}

#[test]
fn docs_have_the_help_of_every_command() {
    golden::check("docs/cli.md", &document());
}

/// Every Markdown file of the repository, with its path from the top.
fn documents() -> Vec<(String, String)> {
    fn collect(folder: &Path, documents: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "run", "node_modules"].contains(&&*name) {
                    collect(&path, documents);
                }
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).unwrap();
                documents.push((path.display().to_string(), text));
            }
        }
    }
    let mut documents = Vec::new();
    collect(&golden::path(""), &mut documents);
    documents
}

/// What a document says of our command line: code that begins with the program's name, up to its end or a comment.
fn commands_in(text: &str) -> Vec<Vec<&str>> {
    let mut in_block = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let code = line.split('`').enumerate().filter(|(at, _)| in_block || at % 2 == 1);
        for (_, code) in code {
            let words: Vec<&str> =
                code.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
            let is_program = |word: &&str| *word == "plugcast" || word.ends_with("/plugcast");
            // `cargo test -p plugcast --lib` is about the package, `docker run --name plugcast -d` about a container.
            let is_name = |at: &usize| *at > 0 && ["-p", "--name"].contains(&words[at - 1]);
            let program = words.iter().position(is_program).filter(|at| !is_name(at));
            commands.extend(program.and_then(|at| words.get(at + 1..)).map(<[&str]>::to_vec));
        }
    }
    commands
}

/// Why a command of a document can't be typed. `[OPTIONS]` and `<COMMAND>` stand for others.
fn wrong_with(words: &[&str]) -> Option<String> {
    let mut command = command();
    for word in words.iter().filter(|word| !word.starts_with(['[', '<'])) {
        if let Some(flag) = word.strip_prefix('-') {
            let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
            let is_known = command.get_arguments().any(|argument| {
                argument.get_long() == Some(name)
                    || argument.get_short().is_some_and(|short| name == short.to_string())
            });
            if !is_known {
                return Some(format!("{} has no {word}", command.get_name()));
            }
        } else if let Some(inner) = command.find_subcommand(word).cloned() {
            command = inner;
        } else if command.has_subcommands() && command.get_name() != "plugcast" {
            return Some(format!("{} has no command {word}", command.get_name()));
        }
    }
    None
}

#[test]
fn documents_name_no_flag_and_no_command_that_does_not_exist() {
    let mut seen = 0;
    for (path, text) in documents() {
        for words in commands_in(&text) {
            seen += 1;
            assert_eq!(wrong_with(&words), None, "{path}: plugcast {}", words.join(" "));
        }
    }
    assert!(seen > 5, "{seen} commands were found");
}

#[test]
fn complains_about_what_does_not_exist() {
    let text = "Type `plugcast config show --sauce`, not `plugcast plugin lust`.\n```sh\n\
        target/debug/plugcast run -c a.yaml  # --not this\nplugcast token -x\n```\n";

    let wrong: Vec<Option<String>> =
        commands_in(text).iter().map(|words| wrong_with(words)).collect();

    let wrong: Vec<Option<&str>> = wrong.iter().map(Option::as_deref).collect();
    assert_eq!(
        wrong,
        [
            Some("show has no --sauce"),
            Some("plugin has no command lust"),
            None,
            Some("token has no -x")
        ]
    );
}

#[test]
fn readme_names_every_command() {
    let readme = fs::read_to_string(golden::path("README.md")).unwrap();
    let named = commands_in(&readme);
    for outer in command().get_subcommands() {
        let inner: Vec<&str> = outer.get_subcommands().map(clap::Command::get_name).collect();
        let wanted = if inner.is_empty() { vec![""] } else { inner };
        for inner in wanted {
            let is_named = named.iter().any(|words| {
                words.first() == Some(&outer.get_name())
                    && (inner.is_empty() || words.get(1) == Some(&inner))
            });
            assert!(is_named, "plugcast {} {inner}", outer.get_name());
        }
    }
}

#[test]
fn set_takes_a_key_and_a_value() {
    let cli = Cli::try_parse_from(["plugcast", "run", "--set", "a.b=c=d", "--set", "e="]).unwrap();

    let set: Vec<(&str, &str)> = cli.set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(set, [("a.b", "c=d"), ("e", "")]);
    assert!(Cli::try_parse_from(["plugcast", "--set", "a.b"]).is_err());
    assert!(Cli::try_parse_from(["plugcast", "--set", "=b"]).is_err());
}
