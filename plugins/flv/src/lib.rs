//! FLV over HTTP and over WebSockets: lets browsers (mpegts.js), ffmpeg and VLC watch, with the delay of RTMP.
//!
//! ```text
//! request → routes → host, which takes the connection over
//! host → packager → feed (host) → fan-out (host) → connection
//! ```
//!
//! Specifications: FLV 10.1, annex E; Enhanced RTMP v2; AMF0. Start reading at `routes`.

mod config;
mod error;
mod packager;
mod routes;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plugin_api::feed::Registration;
use plugin_api::http::Route;
use plugin_api::{Error, Host, Plugin, export_plugin};

use crate::config::Config;
use crate::packager::{FORMAT, Packager};

/// The running plugin: the packager that all players share, and the route to it. There is nothing per player.
struct Flv {
    host: Host,
    config: Config,
    registered: Mutex<Option<(Route, Registration)>>,
}

impl Plugin for Flv {
    const ID: &'static str = "flv";
    const NAME: &'static str = "FLV over HTTP and WebSocket";

    type Config = Config;
    type Error = Error;

    fn create(host: Host, config: Config) -> Result<Self, Error> {
        Ok(Self { host, config, registered: Mutex::new(None) })
    }

    fn activate(&self) -> Result<(), Error> {
        let packager = self.host.register_packager::<Packager>(FORMAT, ())?;
        let route = routes::register(&self.host, &self.config)?;
        *self.registered.lock().unwrap_or_else(PoisonError::into_inner) = Some((route, packager));
        Ok(())
    }

    /// Takes the packager back, which ends the players in an orderly way.
    fn deactivate(&self, _: Duration) {
        drop(self.registered.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

export_plugin!(Flv, schema: "config.schema.json", vendor: "Plugcast",
    requires: ["pc.mem/1", "pc.log/1", "pc.exec/1", "pc.feeds/1", "pc.http/1"],
    optional: [],
    protocols: ["http-flv", "ws-flv"], schemes: [], formats: ["flv"],
    codecs: ["avc1", "hvc1", "mp4a", ".mp3", "alaw", "ulaw"]);
