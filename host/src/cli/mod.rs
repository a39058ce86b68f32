//! What users type: `plugcast [run] · check-config · config show · plugin list/new/headers · token · version`.
//!
//! Exit codes: 0 done, 1 failed, 2 the config has mistakes or the command line is wrong, 3 a port is in use.
#![expect(
    clippy::print_stdout,
    reason = "answers of commands go to stdout; the log goes to stderr"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, Loaded, Mistake, Options, PluginSchemas, Shown};
use crate::plugin::discovery::{self, Search, Verdict};
use crate::scaffold::{self, Kind, Lang, Plan};
use crate::server::{self, StartError};

/// The config or the command line is wrong.
pub const EXIT_CONFIG: u8 = 2;
/// A port is in use.
pub const EXIT_PORT: u8 = 3;

#[cfg(test)]
mod tests;

/// A live media server whose protocols are plugins.
#[derive(Debug, Parser)]
#[command(name = "plugcast", version, about, disable_help_subcommand = true)]
struct Cli {
    /// The config file. Default: $PLUGCAST_CONFIG, ./config/plugcast.yaml, /etc/plugcast/plugcast.yaml
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key, over file and environment: `--set http.listen=:9000`. May be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Option<Command>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as http.listen=:9000".to_owned()),
    }
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Start the server (what happens without a command)
    Run,
    /// Check the config, plugin sections included, and list every mistake
    CheckConfig,
    /// Look at the config
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at plugins, begin one
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print the admin token of the server with this config
    Token,
    /// Print the version, and the hash of the headers that plugins must be built with
    Version,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigCommand {
    /// Every value in force, secrets masked
    Show {
        /// Also where each value comes from
        #[arg(long)]
        source: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
enum PluginCommand {
    /// Every plugin file in the folders, and whether it can be loaded
    List,
    /// Write a project for a new plugin: it builds, passes its tests and loads
    New {
        /// The plugin's id: names its folder, library and config section
        name: String,
        /// What to write it in
        #[arg(long, value_enum, default_value_t = Lang::Rust)]
        lang: Lang,
        /// What it is about
        #[arg(long, value_enum, default_value_t = Kind::Protocol)]
        kind: Kind,
        /// In Rust: the folder plugin-api of a checkout. Without it, Cargo.toml names the crate by its version
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Write the C headers that plugins of this server are built with, into FOLDER/plugcast
    Headers {
        /// For the compiler's -I; made if it is not there
        folder: PathBuf,
        /// Replace files that differ
        #[arg(long)]
        force: bool,
    },
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = Options::from_process(cli.config, cli.set);
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run(&options),
        Command::CheckConfig => with_config(&options, |loaded, _| {
            if let Err(problem) = server::load_certificates(&loaded.config) {
                return complain(&problem, EXIT_CONFIG);
            }
            println!("the config is right");
            ExitCode::SUCCESS
        }),
        Command::Config(ConfigCommand::Show { source }) => with_config(&options, |loaded, _| {
            for Shown { key, value, from } in config::show(&loaded) {
                if source {
                    println!("{key}: {value}    # {from}");
                } else {
                    println!("{key}: {value}");
                }
            }
            ExitCode::SUCCESS
        }),
        Command::Plugin(PluginCommand::List) => with_config(&options, |_, search| {
            list_plugins(&search);
            ExitCode::SUCCESS
        }),
        Command::Plugin(PluginCommand::New { name, lang, kind, sdk }) => {
            written((Plan { name, lang, kind, sdk }).write(Path::new("")))
        }
        Command::Plugin(PluginCommand::Headers { folder, force }) => {
            let done = scaffold::write_headers(&folder, force);
            written(
                done.map(|()| format!("the headers are in {}", folder.join("plugcast").display())),
            )
        }
        Command::Token => with_config(&options, |loaded, _| token(&loaded.config)),
        Command::Version => {
            println!(
                "plugcast {} (headers {})",
                env!("CARGO_PKG_VERSION"),
                plugin_api::abi::hash::HEADER_HASH
            );
            ExitCode::SUCCESS
        }
    }
}

fn run(options: &Options) -> ExitCode {
    with_config(options, |loaded, search| match server::run(loaded, search) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Ports(problem)) => complain(&problem, EXIT_PORT),
        Err(StartError::Other(problem)) => complain(&problem, 1),
    })
}

/// Loads the config, with the plugins that it leads to. All mistakes are listed at once.
fn with_config(options: &Options, then: impl FnOnce(Loaded, Search) -> ExitCode) -> ExitCode {
    let mut found = Search::default();
    let loaded = config::load(options, |preview| {
        found = discovery::search(&preview.server.plugin_dirs, &server::requirements());
        schemas(&found)
    });
    match loaded {
        Ok(loaded) => then(loaded, found),
        Err(mistakes) => {
            for mistake in &mistakes {
                complain(&Mistake::to_string(mistake), EXIT_CONFIG);
            }
            let count = match mistakes.len() {
                1 => "1 mistake".to_owned(),
                n => format!("{n} mistakes"),
            };
            complain(&format!("{count} in the config; nothing was started"), EXIT_CONFIG)
        }
    }
}

fn schemas(search: &Search) -> PluginSchemas {
    let manifests = search.found.iter().filter_map(|found| match &found.verdict {
        Verdict::Candidate(manifest) => Some((manifest.id.clone(), manifest.config_schema.clone())),
        Verdict::Refused(..) | Verdict::Invalid(_) => None,
    });
    manifests.collect()
}

fn list_plugins(search: &Search) {
    for problem in &search.problems {
        println!("{problem}");
    }
    for found in &search.found {
        let file = found.path.display();
        match &found.verdict {
            Verdict::Candidate(manifest) => {
                println!("{} {}    {file}", manifest.id, manifest.version)
            }
            Verdict::Refused(manifest, reason) => {
                println!("{} {}    {file}    refused: {reason}", manifest.id, manifest.version);
            }
            Verdict::Invalid(reason) => println!("?    {file}    invalid: {reason}"),
        }
    }
}

/// Says what came of a command that writes files.
fn written(done: Result<String, scaffold::Error>) -> ExitCode {
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error.to_string(), 1),
    }
}

fn token(config: &Config) -> ExitCode {
    let path = server::token_path(config);
    match std::fs::read_to_string(&path) {
        Ok(token) => {
            println!("{}", token.trim());
            ExitCode::SUCCESS
        }
        Err(error) => complain(
            &format!("{}: {error}; the server makes it at its first start", path.display()),
            1,
        ),
    }
}

/// The log is not set up when the config is wrong, and its form may be JSON: mistakes are for people.
#[expect(clippy::print_stderr, reason = "see above")]
fn complain(text: &str, code: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}
