//! A connection that plays.
//!
//! link → **play** → feed (host), which writes to the player from then on
//!
//! ```text
//! play ──▶ prepare ──▶ attach ──▶ packets … ──▶ detached ──▶ what was asked for, or the end
//!             ▲          ▲  Stream Begin, Play.Reset, Play.Start are its first bytes
//!             └── the publisher was lost ──────────┘
//! ```
//!
//! Pause, another play, and deleteStream first take the write half back, at a packet boundary.
//!
//! A stream whose publisher was lost ends, but not its players: each asks to play once more, and waits as long as anybody does who
//! comes before the encoder. The next stream of the name goes on with the time of the last.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::feed::{Detached, PrepareOptions, Prepared, Viewer};
use plugin_api::stream::{Reason, Wait};
use plugin_api::{Error, Host, Status};

use super::{PAUSED_MAX, Pending, Role, Session};
use crate::config::Hevc;
use crate::error::End;
use crate::packager::{FORMAT, LEGACY_HEVC, STREAM_ID};
use crate::wire::command::response::{Level, code};
use crate::wire::message::UserControl;

/// How long the host may take to give a write half back when the server stops: less than it waits for the plugin.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// A player whose stream the host has not found yet.
pub(super) struct Awaiting {
    pub(super) prepared: Pending<Prepared>,
    /// What the client asked for: as it came, since a second look must read the same.
    name: String,
    /// Whether it played before, until the publisher was lost.
    is_again: bool,
}

/// A player that is attached.
pub(super) struct Playing {
    pub(super) viewer: Viewer,
    /// As in [`Awaiting`], to go on after a pause or a loss.
    name: String,
    /// Why the write half was asked back.
    next: Option<Next>,
}

/// What follows once the write half is back.
pub(super) enum Next {
    Pause,
    Play(String),
    Stop,
}

impl Playing {
    /// Takes the write half back for last words. `false`: it did not come.
    pub(super) async fn give_back(self, host: &Host) -> bool {
        if self.viewer.detach().is_err() {
            return false;
        }
        matches!(host.timeout(GIVE_BACK, self.viewer.detached()).await, Ok(Ok(_)))
    }

    fn ask_back(&mut self, next: Next) -> Result<(), End> {
        let is_first = self.next.replace(next).is_none();
        if is_first { self.viewer.detach().map_err(End::from_host) } else { Ok(()) }
    }
}

impl Session {
    pub(super) fn on_play(&mut self, name: &str) -> Result<(), End> {
        match &mut self.role {
            Role::Playing(playing) => return playing.ask_back(Next::Play(name.to_owned())),
            Role::Publishing(_) => {
                let error = Error::state("this connection publishes a stream; play on another one");
                return Err(self.refuse_play(error));
            }
            _ => {}
        }
        self.count_start()?;
        let (target, url) = self.target(name);
        if !target.has_name() {
            let text = "the stream's name is empty: play rtmp://host/app/name";
            return Err(self.refuse_play(Error::invalid(text)));
        }
        self.await_play(name.to_owned(), url, variant(self.config.hevc, &target.query), false);
        Ok(())
    }

    /// The publisher is lost, and the time for it to come back is over. The player may wait for the next one: to it the
    /// stream is dry, not at its end.
    fn play_again(&mut self, name: String) {
        let (target, url) = self.target(&name);
        self.link.event(UserControl::StreamDry(STREAM_ID));
        self.await_play(name, url, variant(self.config.hevc, &target.query), true);
    }

    fn await_play(&mut self, name: String, url: String, variant: &'static str, is_again: bool) {
        let agent = self.agent();
        let (host, stream) = (self.host.clone(), Arc::clone(&self.stream));
        self.no_limit();
        let prepared = Box::pin(async move {
            let (conn, wait) = (Some(&*stream), Wait::Configured);
            let options =
                PrepareOptions { url: &url, format: FORMAT, variant, conn, agent: &agent, wait };
            host.prepare(options).await
        });
        self.role = Role::AwaitPlay(Awaiting { prepared, name, is_again });
    }

    pub(super) fn on_prepared(&mut self, prepared: Result<Prepared, Error>) -> Result<(), End> {
        let Role::AwaitPlay(Awaiting { name, is_again, .. }) =
            std::mem::replace(&mut self.role, Role::Idle)
        else {
            return Ok(());
        };
        let prepared = match prepared {
            Err(error) if is_again && error.status == Status::NOT_FOUND => {
                self.say_playing_ended("the publisher did not come back");
                return Err(End::Stream(Reason::Lost));
            }
            prepared => prepared.map_err(|error| self.refuse_play(error))?,
        };
        self.link.event(UserControl::StreamBegin(STREAM_ID));
        if !is_again {
            // ffmpeg and librtmp begin at Start, Flash players reset at Reset.
            self.status(Level::Status, code::PLAY_RESET, "playing and resetting");
            self.status(Level::Status, code::PLAY_START, "playing");
        }
        let first = self.link.take_output();
        let viewer = prepared.attach(&self.stream, &[&first]).map_err(End::from_host)?;
        // Best effort: the list of tasks is for people.
        let _ = self.host.describe(&[("role", "play"), ("stream", &self.key)]);
        self.role = Role::Playing(Playing { viewer, name, next: None });
        Ok(())
    }

    /// Tells the peer why, in the protocol's words. The session ends then.
    fn refuse_play(&mut self, error: Error) -> End {
        let code = match error.status {
            Status::NOT_FOUND => code::PLAY_STREAM_NOT_FOUND,
            _ => code::PLAY_FAILED,
        };
        self.status(Level::Error, code, &error.to_string());
        End::Refused { action: "play", error }
    }

    pub(super) fn on_pause(&mut self, paused: bool) -> Result<(), End> {
        match (&mut self.role, paused) {
            (Role::Playing(playing), true) => playing.ask_back(Next::Pause),
            // Asked to go on before the pause was there: it goes on at a packet boundary.
            (Role::Playing(playing), false) if matches!(playing.next, Some(Next::Pause)) => {
                let name = playing.name.clone();
                playing.ask_back(Next::Play(name))?;
                self.status(Level::Status, code::UNPAUSE_NOTIFY, "playing on");
                Ok(())
            }
            (Role::Paused(name), false) => {
                let name = std::mem::take(name);
                self.status(Level::Status, code::UNPAUSE_NOTIFY, "playing on");
                self.on_play(&name)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn on_stop_playing(&mut self) -> Result<(), End> {
        match &mut self.role {
            Role::Playing(playing) => playing.ask_back(Next::Stop),
            Role::AwaitPlay(_) | Role::Paused(_) => self.idle(),
            _ => Ok(()),
        }
    }

    pub(super) fn on_detached(&mut self, detached: Result<Detached, Error>) -> Result<(), End> {
        let reason = detached.map_err(End::from_host)?.reason;
        let Role::Playing(playing) = std::mem::replace(&mut self.role, Role::Idle) else {
            return Ok(());
        };
        match (reason, playing.next) {
            (Reason::Asked, Some(Next::Pause)) => {
                self.role = Role::Paused(playing.name);
                self.status(Level::Status, code::PAUSE_NOTIFY, "paused");
                self.limit(PAUSED_MAX)
            }
            (Reason::Asked, Some(Next::Play(name))) => self.on_play(&name),
            (Reason::Asked, Some(Next::Stop)) => self.idle(),
            (Reason::Lost, _) => {
                self.play_again(playing.name);
                Ok(())
            }
            (Reason::PeerClosed, _) => Err(End::PeerClosed),
            // Nothing more can be said to a peer that takes nothing.
            (Reason::Stalled, _) => Err(End::Stream(Reason::Stalled)),
            (reason, _) => {
                self.say_playing_ended(&reason.to_string());
                Err(End::Stream(reason))
            }
        }
    }

    /// What players understand as the end: the event for those that follow the specification, the codes for Flash's heirs.
    pub(super) fn say_playing_ended(&mut self, why: &str) {
        self.link.event(UserControl::StreamEof(STREAM_ID));
        self.status(Level::Status, code::PLAY_UNPUBLISH_NOTIFY, why);
        self.status(Level::Status, code::PLAY_STOP, why);
    }
}

/// The player's own wish goes before the config.
fn variant(configured: Hevc, query: &str) -> &'static str {
    let wish = query.split('&').filter_map(|argument| argument.strip_prefix("hevc=")).next_back();
    let hevc = match wish {
        Some("legacy") => Hevc::Legacy,
        Some("enhanced") => Hevc::Enhanced,
        _ => configured,
    };
    match hevc {
        Hevc::Enhanced => "",
        Hevc::Legacy => LEGACY_HEVC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_players_wish_goes_before_the_config() {
        for (configured, query, expected) in [
            (Hevc::Enhanced, "", ""),
            (Hevc::Legacy, "", LEGACY_HEVC),
            (Hevc::Enhanced, "key=1&hevc=legacy", LEGACY_HEVC),
            (Hevc::Legacy, "hevc=enhanced", ""),
            (Hevc::Enhanced, "nohevc=legacy", ""),
        ] {
            assert_eq!(variant(configured, query), expected, "{query}");
        }
    }
}
