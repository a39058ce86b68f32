//! The playing side of a [`Client`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::client::{ANSWER_LIMIT, status};
use super::{Client, Dialect, Message};
use crate::amf::Value;
use crate::flv::{self, Tag};
use crate::media::Frames;
use crate::wait;

/// A connection that plays.
#[derive(Debug)]
pub struct Player {
    client: Client,
    stream: u32,
    /// The number of messages that had come before `play`.
    from: usize,
    asked: Instant,
}

impl Player {
    pub(super) fn new(client: Client, stream: u32, from: usize) -> Self {
        Self { client, stream, from, asked: Instant::now() }
    }

    /// Opens a connection of its own and plays `app/name`.
    #[track_caller]
    pub fn open(address: SocketAddr, key: &str) -> Self {
        Self::open_as(address, key, Dialect::Enhanced)
    }

    #[track_caller]
    pub fn open_as(address: SocketAddr, key: &str, dialect: Dialect) -> Self {
        let (app, name) = key.split_once('/').expect("a key is app/name");
        Client::connect(address, app, dialect).play(name)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// When `play` was sent.
    pub fn asked(&self) -> Instant {
        self.asked
    }

    /// Plays another stream on the same connection and message stream. What comes before the answer belongs to the old one.
    #[track_caller]
    pub fn play_instead(&mut self, name: &str) {
        let asked_at = self.client.messages().len();
        self.ask(name);
        self.from = self.client.until("the second play to start", ANSWER_LIMIT, |messages| {
            let starts = |message: &Message| {
                status(message).is_some_and(|status| status.code == "NetStream.Play.Start")
            };
            messages.iter().skip(asked_at).position(starts).map(|at| asked_at + at)
        });
    }

    /// Asks to play, without waiting for an answer.
    pub fn ask(&mut self, name: &str) {
        let arguments = vec![Value::Null, Value::text(name), Value::Number(-2000.0)];
        self.client.call(self.stream, "play", arguments);
        self.asked = Instant::now();
    }

    /// Ends the play and begins another one on a new message stream of the same connection.
    #[track_caller]
    pub fn play_anew(&mut self, name: &str) {
        let old = f64::from(self.stream);
        self.client.call(0, "deleteStream", vec![Value::Null, Value::Number(old)]);
        self.stream = self.client.create_stream();
        self.play_instead(name);
    }

    /// Asks to pause or to go on. Returns the number of messages that had come before.
    pub fn pause(&mut self, on: bool, at_ms: u32) -> usize {
        let from = self.client.messages().len();
        let arguments = vec![Value::Null, Value::Boolean(on), Value::Number(f64::from(at_ms))];
        self.client.call(self.stream, "pause", arguments);
        from
    }

    /// The audio and video messages since `play`.
    pub fn media(&self) -> Vec<Message> {
        self.media_from(self.from)
    }

    /// The audio and video messages from message `from` on.
    pub fn media_from(&self, from: usize) -> Vec<Message> {
        let messages = self.client.messages();
        let ours = messages.get(from..).unwrap_or_default().iter();
        ours.filter(|message| message.is_media() && message.stream == self.stream)
            .cloned()
            .collect()
    }

    /// The same as tags.
    pub fn tags(&self) -> Vec<Tag> {
        self.media().iter().map(Message::tag).collect()
    }

    /// The same as frames.
    pub fn frames(&self) -> Frames {
        Frames::of_tags(&self.tags())
    }

    /// Waits for the first video frame; returns it.
    #[track_caller]
    pub fn first_video(&self) -> Message {
        self.first_video_from(self.from)
    }

    /// The same among the messages from message `from` on.
    #[track_caller]
    pub fn first_video_from(&self, from: usize) -> Message {
        self.client.until("the first video frame", ANSWER_LIMIT, |messages| {
            let mut ours =
                messages.get(from..)?.iter().filter(|message| message.stream == self.stream);
            ours.find(|message| message.is_media() && message.tag().is_video_frame()).cloned()
        })
    }

    /// Waits until `count` frames of one kind have come since `play`.
    #[track_caller]
    pub fn wait_for_frames(&self, kind: u8, count: usize, limit: Duration) {
        self.client.until(&format!("{count} frames of tag type {kind}"), limit, |messages| {
            let ours = messages.get(self.from..)?.iter().filter(|message| message.kind == kind);
            (ours.filter(|message| message.tag().is_frame()).count() >= count).then_some(())
        });
    }

    #[track_caller]
    pub fn wait_for_video(&self, count: usize, limit: Duration) {
        self.wait_for_frames(flv::VIDEO, count, limit);
    }

    /// Waits for the orderly end of the play: a status that says so, or the end of the connection.
    #[track_caller]
    pub fn wait_for_stream_end(&self, limit: Duration) {
        wait::until("the end of the play", limit, || {
            let ended = self
                .client
                .messages()
                .get(self.from..)
                .unwrap_or_default()
                .iter()
                .filter_map(status)
                .any(|status| {
                    ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]
                        .contains(&status.code.as_str())
                });
            (ended || self.client.end().is_some()).then_some(())
        });
    }
}
