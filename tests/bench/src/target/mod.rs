//! What is measured: our server, another, a bare loop, or a server that somebody else runs.

mod bare;
mod nginx;
mod plugcast;

use std::net::SocketAddr;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::ClientConfig;
use tempfile::TempDir;

use crate::case::{Case, Subject};
use crate::error::Error;
use crate::flv;
use crate::load::Opening;
use crate::options::{Options, Scheme, Url};
use crate::session::{Role, Wish};

const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a child may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A target that runs. What was started for it stops with it.
pub(crate) struct Target {
    /// Who makes its own media has no publishers.
    pub publish: Option<Published>,
    play: Play,
    /// What viewers trust, if they use TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whose CPU time and memory count; may be empty.
    pub pids: Vec<u32>,
    _child: Option<Running>,
    _folder: Option<TempDir>,
}

/// Where streams are published by RTMP.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub address: SocketAddr,
    app: String,
    /// Of the first stream; the others have a number after it.
    name: String,
}

enum Play {
    Bare(SocketAddr),
    /// The first stream's name in the path stands for that of each.
    HttpFlv {
        address: SocketAddr,
        authority: String,
        path: String,
    },
    Rtmp(Published),
}

impl Published {
    fn name(&self, stream: usize) -> String {
        if stream == 0 { self.name.clone() } else { format!("{}-{stream}", self.name) }
    }

    pub(crate) fn wish(&self, role: Role, stream: usize) -> Wish {
        let tc_url = format!("rtmp://{}/{}", self.address, self.app);
        Wish { role, tc_url, app: self.app.clone(), name: self.name(stream) }
    }
}

impl Target {
    pub(crate) fn start(case: &Case, options: &Options) -> Result<Self, Error> {
        let core = options.cores()?.map(|(server, _)| server);
        match case.subject {
            Subject::Bare(method) => bare::start(method, case.media, core),
            Subject::NginxRtmp => nginx::start(core),
            Subject::Plugcast { protocol, budget_ms } => {
                plugcast::start(options, core, protocol, budget_ms)
            }
            Subject::Url => remote(options),
        }
    }

    /// Where viewers connect.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.play {
            Play::Bare(address) | Play::HttpFlv { address, .. } => *address,
            Play::Rtmp(published) => published.address,
        }
    }

    /// What a viewer of a stream begins with.
    pub(crate) fn opening(&self, stream: usize) -> Opening {
        match (&self.play, &self.publish) {
            (Play::Bare(_), _) => Opening::Bare,
            (Play::HttpFlv { authority, path, .. }, published) => {
                let path = match published {
                    Some(published) => path.replace(&published.name, &published.name(stream)),
                    None => path.clone(),
                };
                Opening::HttpFlv(flv::request(authority, &path))
            }
            (Play::Rtmp(published), _) => Opening::Rtmp(published.wish(Role::Play, stream)),
        }
    }
}

/// A server that runs already.
fn remote(options: &Options) -> Result<Target, Error> {
    let missing = || Error::Options("--url is missing".to_owned());
    let url = options.url.as_ref().ok_or_else(missing)?;
    let published = rtmp_place(options.publish.as_ref().unwrap_or(url))?;
    let play = match url.scheme {
        Scheme::Http => Play::HttpFlv {
            address: url.address()?,
            authority: url.authority.clone(),
            path: format!("/{}", url.path),
        },
        Scheme::Rtmp => Play::Rtmp(rtmp_place(url)?),
    };
    let pids = options.pid.clone();
    Ok(Target { publish: Some(published), play, tls: None, pids, _child: None, _folder: None })
}

fn rtmp_place(url: &Url) -> Result<Published, Error> {
    let (app, name) = url.path.rsplit_once('/').unwrap_or((&url.path, ""));
    Ok(Published { address: url.address()?, app: app.to_owned(), name: name.to_owned() })
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A child that has ended already is what we want, and there is nobody to tell of more.
        let _gone = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
