//! RTMP: lets OBS, ffmpeg and hardware encoders publish, and players watch.
//!
//! ```text
//! socket → listener → session → wire → ingest → host                      (publish)
//! host → packager → feed (host) → fan-out (host) → socket, lent by a session   (play)
//! ```
//!
//! Specifications: Adobe RTMP 1.0; Enhanced RTMP v2; AMF0. Start reading at `session`, or at [`wire`] for the protocol.

mod config;
mod error;
mod ingest;
mod listener;
mod packager;
mod session;
#[cfg(test)]
mod testing;
// Public for the fuzz target and the tests of this folder only; a plugin has no Rust API.
#[doc(hidden)]
pub mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plugin_api::feed::Registration;
use plugin_api::{Error, Host, Plugin, export_plugin};

use crate::config::Config;
use crate::listener::Sessions;
use crate::packager::{FORMAT, Packager, Settings};

/// The running plugin: the packager that all players share, and what ends the listener and its sessions.
struct Rtmp {
    host: Host,
    config: Arc<Config>,
    sessions: Arc<Sessions>,
    /// Taken back last, after the sessions: that detaches what is still attached.
    packager: Mutex<Option<Registration>>,
}

impl Plugin for Rtmp {
    const ID: &'static str = "rtmp";
    const NAME: &'static str = "RTMP";

    type Config = Config;
    type Error = Error;

    fn create(host: Host, config: Config) -> Result<Self, Error> {
        let (config, sessions) = (Arc::new(config), Arc::default());
        Ok(Self { host, config, sessions, packager: Mutex::new(None) })
    }

    fn activate(&self) -> Result<(), Error> {
        let settings = Settings { chunk_size: self.config.chunk_size };
        let packager = self.host.register_packager::<Packager>(FORMAT, settings)?;
        *self.packager.lock().unwrap_or_else(PoisonError::into_inner) = Some(packager);
        listener::listen(&self.host, &self.config, &self.sessions)
    }

    /// Stops accepting, lets sessions send their last words, and returns when none is left.
    fn deactivate(&self, deadline: Duration) {
        self.sessions.stop();
        let ended = self.host.timeout(deadline, self.sessions.ended());
        if let Ok(Err(error)) | Err(error) = self.host.block_on(ended) {
            tracing::warn!(event = "rtmp.stop", %error, "sessions are cut off");
        }
    }
}

export_plugin!(Rtmp, schema: "config.schema.json", vendor: "Plugcast",
    requires: ["pc.mem/1", "pc.log/1", "pc.exec/1", "pc.net/1", "pc.streams/1", "pc.feeds/1"],
    optional: ["pc.tasks/1"],
    protocols: ["rtmp", "rtmps"], schemes: ["rtmp", "rtmps"], formats: ["rtmp"],
    codecs: ["avc1", "hvc1", "mp4a", ".mp3", "alaw", "ulaw"]);
