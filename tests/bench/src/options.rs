//! The command line: what was typed, and what it means.

use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::error::Error;

const RTMP_PORT: u16 = 1935;

/// Measures what an RTMP viewer costs a server.
///
/// Starts the server, publishes stamped H.264 and AAC to it, lets viewers watch and checks every
/// frame of each. Prints a table. Exit code 1: a server lost, doubled or damaged media.
#[derive(Debug, Parser)]
#[command(name = "plugcast-bench", version)]
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Numbers of viewers, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1,200,1000")]
    pub viewers: Vec<usize>,

    /// How long figures are taken in each run. Whole GOPs (2s) have equal shares of keyframes.
    #[arg(long, default_value = "16s", value_parser = parse_duration)]
    pub duration: Duration,

    /// Over how long viewers arrive.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub ramp: Duration,

    /// How often all runs are repeated, in turn; medians are printed.
    #[arg(long, default_value_t = 1)]
    pub rounds: usize,

    #[command(flatten)]
    pub media: Media,

    /// A server that runs already: rtmp://host:port/app/name. We publish there and play it.
    #[arg(long)]
    pub url: Option<Url>,

    /// With --url: the processes of that server, for CPU time and memory.
    #[arg(long, value_delimiter = ',', requires = "url")]
    pub pid: Vec<u32>,

    /// The cores of the server and of the load generator.
    #[arg(long, default_value = "0,1", value_delimiter = ',', num_args = 1)]
    pub pin: Vec<usize>,

    /// Let the kernel choose cores.
    #[arg(long)]
    pub no_pin: bool,

    /// Also measure a bare loop: one send() for each frame and viewer, nothing else.
    #[arg(long)]
    pub bare: bool,

    /// A run in which a viewer waits longer for a picture is invalid.
    #[arg(long, value_parser = parse_duration)]
    pub gap_limit: Option<Duration>,

    /// Write all figures to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,

    /// The server's binary [default: `plugcast` beside this one].
    #[arg(long)]
    pub server: Option<PathBuf>,

    /// The RTMP plugin's library [default: `libplugcast_rtmp.so` beside this binary].
    #[arg(long)]
    pub plugin: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The bare loop as a process of its own. Ends when its standard input does.
    #[command(hide = true)]
    Bare(Media),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Media {
    /// Streams; viewers are spread over them.
    #[arg(long, default_value_t = 1)]
    pub streams: usize,

    /// Bits a second of each stream.
    #[arg(long, default_value_t = 2_100_000)]
    pub bitrate: u64,
}

/// The parts of `rtmp://host:port/app/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// `host:port`
    pub authority: String,
    pub app: String,
    pub name: String,
}

impl Options {
    /// The cores of server and generator, or none.
    pub(crate) fn cores(&self) -> Result<Option<(usize, usize)>, Error> {
        match *self.pin.as_slice() {
            _ if self.no_pin => Ok(None),
            [server, load] => Ok(Some((server, load))),
            _ => Err(Error::Options("--pin takes two cores: server,generator".to_owned())),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = [
            (self.viewers.contains(&0), "--viewers: at least one"),
            (self.rounds == 0, "--rounds: at least one"),
            (self.media.streams == 0, "--streams: at least one"),
            (self.media.bitrate < 50_000, "--bitrate: at least 50000"),
            (self.duration < Duration::from_secs(1), "--duration: at least 1s"),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, text)) => Err(Error::Options((*text).to_owned())),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("rtmp://").ok_or("not an rtmp:// URL")?;
        let (host, path) = rest.split_once('/').ok_or("no application in the URL")?;
        let (app, name) = path.rsplit_once('/').ok_or("no stream name in the URL")?;
        if host.is_empty() || app.is_empty() || name.is_empty() {
            return Err("an empty part in the URL".to_owned());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:{RTMP_PORT}") };
        Ok(Self { authority, app: app.to_owned(), name: name.to_owned() })
    }
}

impl Url {
    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        let found = self.authority.to_socket_addrs().map_err(Error::io(self.authority.clone()))?;
        let unknown = || Error::Options(format!("{} has no address", self.authority));
        found.into_iter().next().ok_or_else(unknown)
    }
}

/// `1500ms`, `15s`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| format!("{text}: no number"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text}: a unit is missing: ms, s or m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_a_user_types() {
        let line = "plugcast-bench --viewers 1,50 --duration 1500ms --url rtmp://h/a/b/n --pid 7,8";
        let options = Options::try_parse_from(line.split(' ')).unwrap();

        assert_eq!(options.viewers, [1, 50]);
        assert_eq!(options.duration, Duration::from_millis(1500));
        assert_eq!(options.cores().unwrap(), Some((0, 1)));
        assert_eq!(options.pid, [7, 8]);
        let url = options.url.unwrap();
        assert_eq!(
            (url.authority.as_str(), url.app.as_str(), url.name.as_str()),
            ("h:1935", "a/b", "n")
        );
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for line in
            ["--duration 15", "--url http://h/a/b", "--url rtmp://h/a", "--pid 1", "--viewers x"]
        {
            let words = ["bench"].into_iter().chain(line.split(' '));
            assert!(Options::try_parse_from(words).is_err(), "{line}");
        }
        for line in ["--viewers 0", "--rounds 0", "--duration 1ms"] {
            let words = ["bench"].into_iter().chain(line.split(' '));
            assert!(Options::try_parse_from(words).unwrap().check().is_err(), "{line}");
        }
    }
}
