//! A client's connection from the first byte to media: handshake, connect, publish or play.
//!
//! socket → **session** → checker (play), publisher → **session** → socket
//!
//! Bytes go in, bytes and media come out: no socket here. Sections are those of Adobe RTMP 1.0.

use crate::amf::{self, Reply, Value};
use crate::chunk::{self, Header, Message, Walker, type_id};
use crate::clip;
use crate::error::Error;

/// C0 and C1, also S0 and S1 (section 5.2).
const HANDSHAKE_LEN: usize = 1537;
const S2_LEN: usize = 1536;
/// What encoders use.
const PUBLISHER_CHUNK_SIZE: usize = 4096;

/// What the client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub role: Role,
    /// `rtmp://host:port/app`
    pub tc_url: String,
    pub app: String,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Play,
    Publish,
}

#[derive(Debug)]
pub(crate) struct Session {
    wish: Wish,
    handshake: Vec<u8>,
    walker: Walker,
    dialogue: Dialogue,
    ack: Ack,
}

/// What the commands have led to.
#[derive(Debug)]
struct Dialogue {
    phase: Phase,
    stream_id: u32,
    chunk_size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitHandshake,
    AwaitConnected,
    AwaitStream,
    /// `publish` or `play` was sent.
    Asked,
    /// The server has said yes.
    Ready,
}

/// Counts what was received, for Acknowledgement (section 5.4.3).
#[derive(Debug, Default)]
struct Ack {
    window: Option<u32>,
    received: u32,
    acknowledged: u32,
}

impl Session {
    /// Appends C0 and C1 to `out`.
    pub(crate) fn new(wish: Wish, out: &mut Vec<u8>) -> Self {
        out.push(3);
        out.extend_from_slice(&[0; 8]);
        out.resize(HANDSHAKE_LEN, 0x5a);
        Self::with_phase(wish, Phase::AwaitHandshake)
    }

    /// For a server that sends chunks at once and reads nothing: the bare loop.
    pub(crate) fn bare() -> Self {
        let nothing = String::new;
        let (tc_url, app, name) = (nothing(), nothing(), nothing());
        Self::with_phase(Wish { role: Role::Play, tc_url, app, name }, Phase::Ready)
    }

    fn with_phase(wish: Wish, phase: Phase) -> Self {
        let dialogue = Dialogue { phase, stream_id: 0, chunk_size: chunk::SIZE_DEFAULT };
        let walker = Walker::new();
        Self { wish, handshake: Vec::new(), walker, dialogue, ack: Ack::default() }
    }

    /// Whether `publish` or `play` has been sent.
    pub(crate) fn has_asked(&self) -> bool {
        matches!(self.dialogue.phase, Phase::Asked | Phase::Ready)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.dialogue.phase == Phase::Ready
    }

    /// Takes received bytes; appends what is to be sent to `out`; gives audio and video to `media`.
    ///
    /// # Errors
    ///
    /// The server said no, or does not speak RTMP.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        mut media: impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        if self.dialogue.phase == Phase::AwaitHandshake {
            let missing = HANDSHAKE_LEN + S2_LEN - self.handshake.len();
            let (taken, rest) = input.split_at(missing.min(input.len()));
            self.handshake.extend_from_slice(taken);
            input = rest;
            if taken.len() < missing {
                return Ok(());
            }
            // C2 repeats S1.
            out.extend_from_slice(&self.handshake[1..HANDSHAKE_LEN]);
            self.handshake = Vec::new();
            self.dialogue.connect(&self.wish, out);
        }
        let Self { wish, walker, dialogue, ack, .. } = self;
        let mut outcome = Ok(());
        walker.push(input, &mut |message| match message.type_id {
            clip::AUDIO | clip::VIDEO => media(message),
            type_id::COMMAND if outcome.is_ok() => {
                outcome = dialogue.on_command(message.head, wish, out);
            }
            type_id::USER_CONTROL => dialogue.on_user_control(message.head, out),
            type_id::WINDOW_ACK_SIZE => {
                ack.window = message.head.first_chunk().copied().map(u32::from_be_bytes);
            }
            _ => {}
        })?;
        outcome?;
        self.acknowledge(input.len(), out);
        Ok(())
    }

    fn acknowledge(&mut self, received: usize, out: &mut Vec<u8>) {
        let ack = &mut self.ack;
        ack.received = ack.received.wrapping_add(u32::try_from(received).unwrap_or(0));
        let pending = ack.received.wrapping_sub(ack.acknowledged);
        if ack.window.is_some_and(|window| pending >= window) {
            ack.acknowledged = ack.received;
            let body = ack.received.to_be_bytes();
            self.dialogue.control(type_id::ACKNOWLEDGEMENT, &body, out);
        }
    }

    /// Appends an audio, video or data message of the published stream.
    pub(crate) fn write(&self, type_id: u8, timestamp: u32, body: &[u8], out: &mut Vec<u8>) {
        let chunk_stream = match type_id {
            clip::AUDIO => 4,
            clip::VIDEO => 6,
            _ => 5,
        };
        let stream_id = self.dialogue.stream_id;
        let header = Header { chunk_stream, type_id, stream_id, timestamp };
        chunk::write(&header, body, self.dialogue.chunk_size, out);
    }
}

impl Dialogue {
    fn connect(&mut self, wish: &Wish, out: &mut Vec<u8>) {
        let object = Value::Object(vec![
            ("app", wish.app.as_str().into()),
            ("flashVer", "LNX 9,0,124,2".into()),
            ("tcUrl", wish.tc_url.as_str().into()),
            ("fpad", Value::Boolean(false)),
        ]);
        self.call(0, &["connect".into(), Value::Number(1.0), object], out);
        self.phase = Phase::AwaitConnected;
    }

    fn on_command(&mut self, body: &[u8], wish: &Wish, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(reply) = Reply::parse(body) else { return Ok(()) };
        match (self.phase, reply.name.as_str()) {
            (_, "_error") => return Err(Error::Refused(reply.code)),
            (_, "onStatus") if reply.level == "error" => return Err(Error::Refused(reply.code)),
            (Phase::AwaitConnected, "_result") => {
                self.call(0, &["createStream".into(), Value::Number(2.0), Value::Null], out);
                self.phase = Phase::AwaitStream;
            }
            (Phase::AwaitStream, "_result") => {
                self.stream_id = stream_id(reply.number);
                self.ask(wish, out);
            }
            (Phase::Asked, "onStatus") if reply.code.ends_with(".Start") => {
                self.phase = Phase::Ready;
            }
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, wish: &Wish, out: &mut Vec<u8>) {
        let name: Value = wish.name.as_str().into();
        match wish.role {
            Role::Play => {
                // -2000: live if there is a live stream (section 7.2.2.1).
                let start = Value::Number(-2000.0);
                let values = ["play".into(), Value::Number(3.0), Value::Null, name, start];
                self.call(self.stream_id, &values, out);
            }
            Role::Publish => {
                let size = u32::try_from(PUBLISHER_CHUNK_SIZE).unwrap_or(u32::MAX);
                self.control(type_id::SET_CHUNK_SIZE, &size.to_be_bytes(), out);
                self.chunk_size = PUBLISHER_CHUNK_SIZE;
                let values =
                    ["publish".into(), Value::Number(3.0), Value::Null, name, "live".into()];
                self.call(self.stream_id, &values, out);
            }
        }
        self.phase = Phase::Asked;
    }

    /// Answers a ping request with its own four bytes (section 7.1.7).
    fn on_user_control(&self, body: &[u8], out: &mut Vec<u8>) {
        if let Some([0, 6, time @ ..]) = body.first_chunk::<6>() {
            self.control(type_id::USER_CONTROL, &[&[0, 7], time.as_slice()].concat(), out);
        }
    }

    fn call(&self, stream_id: u32, values: &[Value], out: &mut Vec<u8>) {
        let header = Header { chunk_stream: 3, type_id: type_id::COMMAND, stream_id, timestamp: 0 };
        chunk::write(&header, &amf::write(values), self.chunk_size, out);
    }

    fn control(&self, type_id: u8, body: &[u8], out: &mut Vec<u8>) {
        let header = Header { chunk_stream: 2, type_id, stream_id: 0, timestamp: 0 };
        chunk::write(&header, body, self.chunk_size, out);
    }
}

/// Servers count from 1; a strange number becomes 1 as well.
fn stream_id(number: Option<f64>) -> u32 {
    (0..=255).find(|id| number == Some(f64::from(*id))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(role: Role) -> Wish {
        Wish {
            role,
            tc_url: "rtmp://127.0.0.1:1935/live".to_owned(),
            app: "live".to_owned(),
            name: "bench".to_owned(),
        }
    }

    fn command(values: &[Value]) -> Vec<u8> {
        let header =
            Header { chunk_stream: 3, type_id: type_id::COMMAND, stream_id: 0, timestamp: 0 };
        let mut out = Vec::new();
        chunk::write(&header, &amf::write(values), chunk::SIZE_DEFAULT, &mut out);
        out
    }

    fn status(level: &str, code: &str) -> Vec<u8> {
        let information = Value::Object(vec![("level", level.into()), ("code", code.into())]);
        command(&["onStatus".into(), Value::Number(0.0), Value::Null, information])
    }

    fn result(transaction: f64, value: Value) -> Vec<u8> {
        command(&["_result".into(), Value::Number(transaction), Value::Null, value])
    }

    /// Plays through the answers of a server; gives everything that the client sent.
    fn converse(session: &mut Session, answers: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
        let mut sent = Vec::new();
        for answer in answers {
            session.push(answer, &mut sent, |_| {})?;
        }
        Ok(sent)
    }

    #[test]
    fn comes_to_play_and_to_publish() {
        for (role, word, code) in [
            (Role::Play, "play", "NetStream.Play.Start"),
            (Role::Publish, "publish", "NetStream.Publish.Start"),
        ] {
            let mut sent = Vec::new();
            let mut session = Session::new(wish(role), &mut sent);
            let answers = [
                vec![3; HANDSHAKE_LEN + S2_LEN - 1],
                [vec![3], result(1.0, Value::Null)].concat(),
                result(2.0, Value::Number(1.0)),
            ];
            sent.extend(converse(&mut session, &answers).unwrap());

            assert!(session.has_asked() && !session.is_ready());
            for expected in ["connect", "createStream", word, "bench"] {
                let found =
                    sent.windows(expected.len()).any(|window| window == expected.as_bytes());
                assert!(found, "{expected} was not sent");
            }
            converse(&mut session, &[status("status", code)]).unwrap();
            assert!(session.is_ready());
        }
    }

    #[test]
    fn tells_a_refusal() {
        let mut session = Session::with_phase(wish(Role::Play), Phase::Asked);

        let refusal = converse(&mut session, &[status("error", "NetStream.Play.StreamNotFound")]);

        assert!(matches!(refusal, Err(Error::Refused(code)) if code.contains("NotFound")));
    }

    #[test]
    fn acknowledges_and_answers_pings() {
        let mut session = Session::with_phase(wish(Role::Play), Phase::Ready);
        let mut input = Vec::new();
        let control = |type_id| Header { chunk_stream: 2, type_id, stream_id: 0, timestamp: 0 };
        chunk::write(&control(type_id::WINDOW_ACK_SIZE), &[0, 0, 0, 16], 128, &mut input);
        chunk::write(&control(type_id::USER_CONTROL), &[0, 6, 1, 2, 3, 4], 128, &mut input);

        let sent = converse(&mut session, &[input]).unwrap();

        assert!(sent.windows(6).any(|window| window == [0, 7, 1, 2, 3, 4]), "no pong");
        assert!(sent.ends_with(&[0, 0, 0, 34]), "no acknowledgement of 34 bytes");
    }
}
