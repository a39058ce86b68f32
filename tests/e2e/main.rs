//! The whole server from outside: `plugcast` as a process, plugins as the libraries that it loads, real sockets, real
//! encoders and players.

mod api;
mod c_plugin;
mod config_errors;
mod crash;
mod faults;
mod flood;
mod flv;
mod front;
mod hostile;
mod join;
mod log_files;
mod matrix;
mod metrics;
mod page;
mod republish;
mod scaffold;
mod secure;
mod slow_client;
mod slow_viewer;
mod stop;

use std::time::Duration;

use harness::rtmp::Publisher;
use harness::rtmp::feed::{Cue, Feed};
use harness::server::Server;

/// Longer than any clip of these tests plays, on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

/// Starts to publish `cues` from a client of our own.
#[track_caller]
fn feed(server: &Server, key: &str, cues: Vec<Cue>) -> Feed {
    let publisher = Publisher::open(server.rtmp(), key);
    let feed = Feed::start(publisher, cues);
    server.wait_for_stream(key);
    feed
}
