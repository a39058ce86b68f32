//! The command line: what was typed, and what it means.

use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bare::{EngineKind, Method};
use crate::case::{Activity, Case, Subject};
use crate::error::Error;
use crate::preset::Preset;

const RTMP_PORT: u16 = 1935;
const DURATION: Duration = Duration::from_secs(10);
const SOAK: Duration = Duration::from_secs(600);

/// Measures what viewers and publishers cost a server.
///
/// Starts the server, publishes stamped H.264 and AAC to it, lets viewers watch and checks every
/// frame of each. Prints a table. Exit code 1: a server lost, doubled or damaged media.
#[derive(Debug, Parser)]
#[command(name = "plugcast-bench", version)]
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A named set of runs, instead of --viewers, --streams, --bitrate, --protocol, --budget and --bare.
    #[arg(value_enum)]
    pub preset: Option<Preset>,

    /// Numbers of viewers, one run each; 0 is publishers only.
    #[arg(long, value_delimiter = ',', default_value = "200")]
    pub viewers: Vec<usize>,

    /// How viewers watch our server, one run each.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rtmp")]
    pub protocol: Vec<Protocol>,

    /// How long media may wait in our server to go out in fewer calls.
    #[arg(long, default_value = "0ms", value_parser = parse_duration)]
    pub budget: Duration,

    /// How long figures are taken in each run [default: 10s; 10m for soak]. Whole GOPs (2s) have equal shares of
    /// keyframes.
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Over how long viewers arrive.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub ramp: Duration,

    /// How often all runs are repeated, in turn; medians are printed.
    #[arg(long, default_value_t = 1)]
    pub rounds: usize,

    #[command(flatten)]
    pub media: Media,

    /// A server that runs already: rtmp://host:port/app/name or http://host:port/path. We play that.
    #[arg(long)]
    pub url: Option<Url>,

    /// Where to publish for an http:// URL: rtmp://host:port/app/name.
    #[arg(long, requires = "url")]
    pub publish: Option<Url>,

    /// With --url: the processes of that server, for CPU time and memory.
    #[arg(long, value_delimiter = ',', requires = "url")]
    pub pid: Vec<u32>,

    /// The cores of the server and of the load generator.
    #[arg(long, default_value = "0,1", value_delimiter = ',', num_args = 1)]
    pub pin: Vec<usize>,

    /// Let the kernel choose cores.
    #[arg(long)]
    pub no_pin: bool,

    /// Also measure bare loops, which do nothing but give frames to the kernel.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub bare: Vec<EngineKind>,

    /// Also measure another server, in turn.
    #[arg(long, value_enum)]
    pub compare: Option<Other>,

    /// Beyond the budget, a run in which a viewer waits longer for a picture is invalid.
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    pub gap_limit: Duration,

    /// Where all figures go as bench.json, and the table as bench.md [default: the target folder].
    #[arg(long)]
    pub out: Option<PathBuf>,

    /// The folder with `plugcast` and its plugins' libraries [default: that of this program].
    #[arg(long)]
    pub built: Option<PathBuf>,

    /// A key of our server's config, `fanout.send_buffer=256KiB`; the value is YAML.
    #[arg(long, value_parser = parse_setting)]
    pub set: Vec<(String, String)>,
}

/// A server to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Other {
    /// nginx with its RTMP module; from Debian's packages nginx and libnginx-mod-rtmp.
    NginxRtmp,
}

/// How viewers watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Rtmp,
    Rtmps,
    HttpFlv,
    HttpsFlv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A bare loop as a process of its own. Ends when its standard input does.
    #[command(hide = true)]
    Bare {
        #[command(flatten)]
        method: Method,
        #[command(flatten)]
        media: Media,
    },
}

#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Streams; viewers are spread over them.
    #[arg(long, default_value_t = 1)]
    pub streams: usize,

    /// Bits a second of each stream.
    #[arg(long, default_value_t = 2_100_000)]
    pub bitrate: u64,
}

/// `rtmp://host:port/app/name`, or `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub scheme: Scheme,
    /// `host:port`
    pub authority: String,
    /// `app/name` or `path`
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Rtmp,
}

impl Protocol {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
            Self::HttpFlv => "flv",
            Self::HttpsFlv => "flv, tls",
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Rtmps | Self::HttpsFlv)
    }
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
        let is_http = |url: &Url| url.scheme == Scheme::Http;
        let wrong = [
            (self.rounds == 0, "--rounds: at least one"),
            (self.media.streams == 0, "--streams: at least one"),
            (self.media.bitrate < 50_000, "--bitrate: at least 50000"),
            (self.duration() < Duration::from_secs(1), "--duration: at least 1s"),
            (
                self.url.as_ref().is_some_and(is_http) && self.publish.is_none(),
                "--url http://…: where to publish? --publish rtmp://…",
            ),
            (self.publish.as_ref().is_some_and(is_http), "--publish: an rtmp:// URL"),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, text)) => Err(Error::Options((*text).to_owned())),
            None => Ok(()),
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        let usual = if self.preset == Some(Preset::Soak) { SOAK } else { DURATION };
        self.duration.unwrap_or(usual)
    }

    /// What is measured in each round, in this order.
    pub(crate) fn cases(&self) -> Vec<Case> {
        if let Some(preset) = self.preset {
            return preset.cases(self.compare.is_some());
        }
        let budget_ms = u32::try_from(self.budget.as_millis()).unwrap_or(u32::MAX);
        let mut subjects: Vec<Subject> = match self.url {
            Some(_) => vec![Subject::Url],
            None => {
                let ours =
                    |protocol: &Protocol| Subject::Plugcast { protocol: *protocol, budget_ms };
                self.protocol.iter().map(ours).collect()
            }
        };
        let bare =
            |engine: &EngineKind| Subject::Bare(Method { engine: *engine, every_ms: budget_ms });
        subjects.extend(self.bare.iter().map(bare));
        subjects.extend(self.compare.map(|Other::NginxRtmp| Subject::NginxRtmp));
        let (media, activity) = (self.media, Activity::Watch);
        let case = |viewers: usize, subject| Case { subject, viewers, media, activity };
        let all = |viewers: &usize| {
            subjects.iter().map(|subject| case(*viewers, *subject)).collect::<Vec<_>>()
        };
        self.viewers.iter().flat_map(all).collect()
    }
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("no URL")?;
        let (scheme, port) = match scheme {
            "http" => (Scheme::Http, 80),
            "rtmp" => (Scheme::Rtmp, RTMP_PORT),
            _ => return Err("neither an rtmp:// nor an http:// URL".to_owned()),
        };
        let (host, path) = rest.split_once('/').ok_or("no path in the URL")?;
        let is_short = scheme == Scheme::Rtmp
            && path.rsplit_once('/').is_none_or(|(app, name)| app.is_empty() || name.is_empty());
        if host.is_empty() || path.is_empty() || is_short {
            return Err("an empty part in the URL".to_owned());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        Ok(Self { scheme, authority, path: path.to_owned() })
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

/// `fanout.threads=2`
fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("no key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_a_user_types() {
        let line = "plugcast-bench --viewers 1,50 --duration 1500ms --url rtmp://h/a/b/n --pid 7,8";
        let options = Options::try_parse_from(line.split(' ')).unwrap();

        assert_eq!(options.viewers, [1, 50]);
        assert_eq!(options.duration(), Duration::from_millis(1500));
        assert_eq!(options.cores().unwrap(), Some((0, 1)));
        assert_eq!(options.pid, [7, 8]);
        let url = options.url.unwrap();
        assert_eq!((url.authority.as_str(), url.path.as_str()), ("h:1935", "a/b/n"));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for line in [
            "--duration 15",
            "--url ftp://h/a/b",
            "--url rtmp://h/a",
            "--pid 1",
            "--viewers x",
            "fast",
        ] {
            let words = ["bench"].into_iter().chain(line.split(' '));
            assert!(Options::try_parse_from(words).is_err(), "{line}");
        }
        for line in ["--rounds 0", "--duration 1ms", "--url http://h/a"] {
            let words = ["bench"].into_iter().chain(line.split(' '));
            assert!(Options::try_parse_from(words).unwrap().check().is_err(), "{line}");
        }
    }
}
