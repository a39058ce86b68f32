//! Commands that are about the connection, and which command goes where.
//!
//! link → **connect** → link

use super::{Role, Session, link};
use crate::error::End;
use crate::packager::STREAM_ID;
use crate::wire::command::response::{Level, Response, Status, code};
use crate::wire::command::{Capabilities, Command, Connect, Request, caps_ex};
use crate::wire::message::{BandwidthLimit, Control, UserControl};
use crate::wire::url::Target;

/// What we do with any codec: hand it on (Enhanced RTMP v2, FourCcInfoMask).
const CAN_FORWARD: u32 = 4;

impl Session {
    pub(super) fn on_command(&mut self, command: Command) -> Result<(), End> {
        let Command { transaction, request } = command;
        if self.connect.is_none() && !matches!(request, Request::Connect(_)) {
            return self.before_connect(&request);
        }
        match request {
            Request::Connect(connect) => self.on_connect(transaction, connect),
            Request::CreateStream => {
                self.link
                    .respond(&Response::CreateStreamResult { transaction, stream_id: STREAM_ID });
            }
            Request::ReleaseStream { .. } | Request::CheckBandwidth => {
                self.reply_empty(transaction);
            }
            Request::GetStreamLength { .. } => {
                self.link.respond(&Response::StreamLengthResult { transaction, seconds: 0.0 });
            }
            Request::FcPublish { name } => {
                let status = notice(code::PUBLISH_START, "ready to publish", &name);
                self.link.respond(&Response::OnFcPublish { status });
                self.reply_empty(transaction);
            }
            Request::FcSubscribe { name } => {
                let status = notice(code::PLAY_START, "ready to play", &name);
                self.link.respond(&Response::OnFcSubscribe { status });
            }
            Request::Publish { name, .. } => self.on_publish(&name)?,
            Request::FcUnpublish { name } => {
                let status = notice(code::UNPUBLISH_SUCCESS, "unpublished", &name);
                self.link.respond(&Response::OnFcUnpublish { status });
                self.reply_empty(transaction);
                self.on_unpublish()?;
            }
            Request::Play(play) => self.on_play(&play.name)?,
            Request::Play2 { name: Some(name) } => self.on_play(&name)?,
            Request::Pause { paused, .. } => self.on_pause(paused)?,
            // A live stream has no other place to go to.
            Request::Seek { .. } => {
                self.status(Level::Error, code::SEEK_FAILED, "a live stream can't be sought");
            }
            // librtmp and others send both, in either order.
            Request::CloseStream | Request::DeleteStream { .. } => {
                self.on_unpublish()?;
                self.on_stop_playing()?;
            }
            // Players get what the stream has: feeds are made for all of them.
            Request::ReceiveAudio(_) | Request::ReceiveVideo(_) | Request::Play2 { name: None } => {
            }
            Request::Unknown { name } => self.on_unknown(transaction, &name),
        }
        Ok(())
    }

    fn before_connect(&mut self, request: &Request) -> Result<(), End> {
        match request {
            Request::Publish { .. } => Err(End::Order("publish")),
            Request::Play(_) | Request::Play2 { .. } => Err(End::Order("play")),
            // Harmless, and without meaning yet.
            _ => Ok(()),
        }
    }

    fn on_connect(&mut self, transaction: f64, connect: Box<Connect>) {
        self.link.control(Control::WindowAckSize(link::WINDOW));
        let limit = BandwidthLimit::Dynamic;
        self.link.control(Control::SetPeerBandwidth { window: link::WINDOW, limit });
        // Before play: the packets of feeds are cut to this size.
        self.link.set_chunk_size(self.config.chunk_size);
        self.link.event(UserControl::StreamBegin(0));
        let capabilities =
            if connect.capabilities.is_empty() { Capabilities::default() } else { own() };
        self.link.respond(&Response::ConnectResult { transaction, capabilities: &capabilities });
        self.link.respond(&Response::OnBwDone);
        self.connect = Some(connect);
    }

    /// A call with a transaction waits for an answer. Answers to nothing, and events, have none.
    fn on_unknown(&mut self, transaction: f64, name: &str) {
        if transaction != 0.0 && !matches!(name, "_result" | "_error" | "onStatus") {
            let description = "unknown command";
            let status =
                Status { level: Level::Error, code: code::CALL_FAILED, description, details: "" };
            self.link.respond(&Response::Error { transaction, status });
        }
    }

    fn reply_empty(&mut self, transaction: f64) {
        if transaction != 0.0 {
            self.link.respond(&Response::EmptyResult { transaction });
        }
    }

    /// Tells what happened to the stream.
    pub(super) fn status(&mut self, level: Level, code: &str, description: &str) {
        // What a user typed last tells him which of his streams is meant.
        let details = self.key.clone();
        let status = Status { level, code, description, details: &details };
        self.link.respond(&Response::OnStatus { stream_id: STREAM_ID, status });
    }

    /// What the client means by a name, and the URL of it for the host, percent signs and arguments as they came.
    pub(super) fn target(&mut self, name: &str) -> (Target, String) {
        let (app, tc_url) =
            self.connect.as_ref().map_or(("", ""), |connect| (&connect.app, &connect.tc_url));
        let target = Target::new(app, tc_url, name);
        let between = if target.query.is_empty() { "" } else { "?" };
        let url = [&target.path, between, &target.query].concat();
        self.key.clone_from(&target.path);
        (target, url)
    }

    /// What the client calls itself.
    pub(super) fn agent(&self) -> String {
        self.connect.as_ref().map(|connect| connect.flash_ver.clone()).unwrap_or_default()
    }

    /// The server stops: tells the peer, in the words of what it does.
    pub(super) async fn on_stop(&mut self) -> End {
        const TEXT: &str = "the server stops";
        match std::mem::replace(&mut self.role, Role::Idle) {
            Role::Publishing(publishing) => {
                drop(publishing);
                self.status(Level::Status, code::UNPUBLISH_SUCCESS, TEXT);
            }
            Role::Playing(playing) => {
                if !playing.give_back(&self.host).await {
                    return End::Stopped;
                }
                self.say_playing_ended(TEXT);
            }
            Role::Paused(_) | Role::AwaitPlay(_) => self.say_playing_ended(TEXT),
            Role::Idle | Role::AwaitPublish(_) => {}
        }
        let status = Status {
            level: Level::Status,
            code: code::CONNECT_CLOSED,
            description: TEXT,
            details: "",
        };
        if self.connect.is_some() {
            self.link.respond(&Response::OnStatus { stream_id: 0, status });
        }
        End::Stopped
    }
}

fn notice<'a>(code: &'a str, description: &'a str, details: &'a str) -> Status<'a> {
    Status { level: Level::Status, code, description, details }
}

/// What we tell a client that speaks Enhanced RTMP.
fn own() -> Capabilities {
    let any = || vec![("*".to_owned(), CAN_FORWARD)];
    Capabilities {
        four_cc_list: vec!["*".to_owned()],
        video_four_cc_info: any(),
        audio_four_cc_info: any(),
        caps_ex: caps_ex::MULTITRACK | caps_ex::MOD_EX | caps_ex::TIMESTAMP_NANO_OFFSET,
    }
}
