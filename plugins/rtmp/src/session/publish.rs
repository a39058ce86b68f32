//! A connection that publishes.
//!
//! link → **publish** → ingest → publisher (host)
//!
//! deleteStream, FCUnpublish, closeStream and a lost connection are the same to the host: the publisher is dropped without
//! `finish`. Encoders send those commands when their user presses stop, and also before they reconnect after a hiccup; only
//! time tells. For the length of `republish_window` the viewers stay.

use plugin_api::frame::Frame;
use plugin_api::mem::Buf;
use plugin_api::stream::{Notice, PublishOptions, Publisher, Pushed, Reason};
use plugin_api::{Error, Host};

use super::{Role, Session};
use crate::error::End;
use crate::ingest::{Ingest, Item};
use crate::wire::command::response::{Level, code};
use crate::wire::message::{UserControl, type_id};

/// What is there while a connection publishes.
pub(super) struct Publishing {
    pub(super) publisher: Publisher,
    ingest: Ingest<Host>,
    /// What one read has given.
    items: Vec<Item>,
    frames: Vec<Frame>,
    /// Whether the task list knows the encoder.
    is_described: bool,
}

impl Session {
    pub(super) fn on_publish(&mut self, name: &str) -> Result<(), End> {
        self.count_start()?;
        self.on_unpublish()?;
        if matches!(self.role, Role::Playing(_) | Role::AwaitPlay(_)) {
            let error = Error::state("this connection plays a stream; publish on another one");
            return Err(self.refuse_publish(error));
        }
        let (target, url) = self.target(name);
        if !target.has_name() {
            let text = "the stream's name is empty: publish to rtmp://host/app/name";
            return Err(self.refuse_publish(Error::invalid(text)));
        }
        let agent = self.agent();
        let (host, stream) = (self.host.clone(), std::sync::Arc::clone(&self.stream));
        self.no_limit();
        self.role = Role::AwaitPublish(Box::pin(async move {
            let conn = Some(&*stream);
            host.publish(PublishOptions { url: &url, conn, protocol: "rtmp", agent: &agent }).await
        }));
        Ok(())
    }

    pub(super) fn on_published(&mut self, publisher: Result<Publisher, Error>) -> Result<(), End> {
        self.role = Role::Idle;
        let publisher = publisher.map_err(|error| self.refuse_publish(error))?;
        self.link.event(UserControl::StreamBegin(crate::packager::STREAM_ID));
        self.status(Level::Status, code::PUBLISH_START, "publishing");
        // Best effort: the list of tasks is for people.
        let _ = self.host.describe(&[("role", "publish"), ("stream", &self.key)]);
        self.role = Role::Publishing(Box::new(Publishing {
            publisher,
            ingest: Ingest::new(self.host.clone()),
            items: Vec::new(),
            frames: Vec::new(),
            is_described: false,
        }));
        Ok(())
    }

    /// Tells the peer why, in the protocol's words. The session ends then.
    fn refuse_publish(&mut self, error: Error) -> End {
        use plugin_api::Status;
        let code = match error.status {
            Status::INVALID | Status::CONFLICT | Status::STATE => code::PUBLISH_BAD_NAME,
            _ => code::PUBLISH_DENIED,
        };
        self.status(Level::Error, code, &error.to_string());
        End::Refused { action: "publish", error }
    }

    /// Audio, video or data. Whoever does not publish may send what it likes, to nobody.
    pub(super) fn on_media(&mut self, kind: u8, timestamp: u32, payload: &Buf, offset: u64) {
        let Role::Publishing(publishing) = &mut self.role else { return };
        let Publishing { ingest, items, .. } = &mut **publishing;
        match kind {
            type_id::AUDIO => ingest.on_audio(timestamp, payload, items),
            type_id::VIDEO => ingest.on_video(timestamp, payload, items),
            type_id::DATA_AMF0 => ingest.on_data(timestamp, payload, offset, items),
            _ => {}
        }
    }

    /// Hands on what one read has given, in as few calls as there are changes of tracks.
    pub(super) fn push(&mut self) -> Result<(), End> {
        let Role::Publishing(publishing) = &mut self.role else { return Ok(()) };
        let Publishing { publisher, ingest, items, frames, is_described } = &mut **publishing;
        for item in items.drain(..) {
            match item {
                Item::Frame(frame) => frames.push(frame),
                Item::Tracks(tracks) => {
                    push_frames(publisher, frames)?;
                    publisher.set_tracks(&tracks).or_else(unless_ended)?;
                }
                Item::Ready => publisher.ready().or_else(unless_ended)?,
            }
        }
        push_frames(publisher, frames)?;
        if !*is_described && let Some(encoder) = ingest.encoder() {
            *is_described = true;
            // Best effort: the list of tasks is for people.
            let _ = self.host.describe(&[("encoder", encoder)]);
        }
        Ok(())
    }

    pub(super) fn on_notice(&mut self, notice: Result<Notice, Error>) -> Result<(), End> {
        let Notice::Ended(reason) = notice.map_err(End::from_host)? else { return Ok(()) };
        // RTMP has no word for keyframes wanted, and who watches does not concern the encoder.
        let (level, code) = match reason {
            Reason::Replaced => (Level::Error, code::PUBLISH_BAD_NAME),
            _ => (Level::Status, code::UNPUBLISH_SUCCESS),
        };
        self.status(level, code, &reason.to_string());
        Err(End::Stream(reason))
    }

    /// The connection may publish or play again.
    pub(super) fn on_unpublish(&mut self) -> Result<(), End> {
        if !matches!(self.role, Role::Publishing(_)) {
            return Ok(());
        }
        self.push()?;
        self.idle()?;
        self.status(Level::Status, code::UNPUBLISH_SUCCESS, "unpublished");
        Ok(())
    }
}

fn push_frames(publisher: &Publisher, frames: &mut Vec<Frame>) -> Result<(), End> {
    if frames.is_empty() {
        return Ok(());
    }
    let pushed = publisher.push(frames);
    frames.clear();
    match pushed {
        // At the memory limit the host has logged it; the end comes as a notice, with its reason.
        Ok(Pushed::Kept | Pushed::Dropped | Pushed::Ended) => Ok(()),
        Err(error) => unless_ended(error),
    }
}

/// A publisher that has ended says so by a notice, which tells the reason.
fn unless_ended(error: Error) -> Result<(), End> {
    match error.status {
        plugin_api::Status::STATE => Ok(()),
        _ => Err(End::from_host(error)),
    }
}
