//! The calls that a client makes: NetConnection and NetStream commands (RTMP 1.0, section 7.2).
//!
//! socket → chunk_reader → message → **command** → session
//!
//! A command is AMF0 values in a row: a name, a transaction id, a command object, arguments. The
//! answer is a command too, `_result` or `_error` with the same transaction id, or `onStatus`;
//! those are in [`response`].
//!
//! Parsing is forgiving, since every client library left something out at some time: a missing
//! argument is an empty or default one, a name that we do not know is [`Request::Unknown`],
//! arguments too many are ignored. Only bytes that are no AMF0 are an error, and that error
//! concerns this message alone.

pub mod client;
mod connect;
pub mod response;

pub use connect::{Capabilities, Connect, caps_ex};

use media::container::flv::amf0::{self, Value};

use super::error::{AmfProblem, Error};

/// Arguments after the transaction id that are looked at: `play` has the most, five.
const ARGUMENTS_MAX: usize = 8;

/// A command, in the order of the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What an answer must repeat; zero if none is wanted (section 7.2.1.2). GStreamer's rtmp2sink
    /// sends zero with everything but connect and createStream.
    pub transaction: f64,
    pub request: Request,
}

/// What is asked for. Those not in RTMP 1.0 are habits of Flash Media Live Encoder, which all
/// encoders have copied.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Section 7.2.1.1.
    Connect(Box<Connect>),
    /// Flash Media Live Encoder: end whatever is published under that name.
    ReleaseStream { name: String },
    /// Flash Media Live Encoder: about to publish. Answered with `onFCPublish`.
    FcPublish { name: String },
    /// Flash Media Live Encoder: done publishing.
    FcUnpublish { name: String },
    /// librtmp, before play with `--live`. Answered with `onFCSubscribe`.
    FcSubscribe { name: String },
    /// Section 7.2.1.3.
    CreateStream,
    /// Section 7.2.2.3. rtmp2sink gives the stream's name instead of its id: `None`.
    DeleteStream { stream_id: Option<u32> },
    /// Not in the specification: end publish or play, keep the stream id.
    CloseStream,
    /// ffmpeg and librtmp, before play: how many seconds a recording has.
    GetStreamLength { name: String },
    /// Section 7.2.2.6. An empty name is for the session to refuse.
    Publish { name: String, kind: PublishKind },
    /// Section 7.2.2.1.
    Play(Play),
    /// Section 7.2.2.2: switch to another bit rate. The new name, if there is one.
    Play2 { name: Option<String> },
    /// Section 7.2.2.8. Flash players spell it `pauseRaw` too.
    Pause { paused: bool, position_ms: f64 },
    /// Section 7.2.2.7.
    Seek { position_ms: f64 },
    /// Section 7.2.2.4.
    ReceiveAudio(bool),
    /// Section 7.2.2.5.
    ReceiveVideo(bool),
    /// Flash players: measure the bandwidth. `_result` will do.
    CheckBandwidth,
    /// `_result`, `_error` and `onStatus` too: a server gets them as answers to nothing.
    Unknown { name: String },
}

/// What becomes of the stream on the server (section 7.2.2.6). Live if it says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishKind {
    Append,
    Live,
    Record,
}

/// The arguments of `play`.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    pub name: String,
    /// -2: live, else recorded; -1: live only; from 0: recorded, from there (section 7.2.2.1, in
    /// seconds). ffmpeg and librtmp count in milliseconds, also the negative ones: -2000, -1000.
    /// So only the sign is to be relied on.
    pub start: f64,
    /// Negative: to the end.
    pub duration: f64,
    /// Whether an earlier playlist is dropped.
    pub reset: bool,
}

impl Command {
    /// Parses the payload of a command message; `offset` is the message's, for the error.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] for bytes that are no AMF0 or do not begin with a name.
    pub fn parse(mut payload: &[u8], offset: u64) -> Result<Self, Error> {
        Self::parse_values(&mut payload).map_err(|problem| Error::Command { problem, offset })
    }

    fn parse_values(input: &mut &[u8]) -> Result<Self, AmfProblem> {
        let Value::String(name) = amf0::parse(input)? else {
            return Err(AmfProblem::Missing { expected: "a command name" });
        };
        // Flash leaves the id out of some calls without an answer.
        let transaction = match input.is_empty() {
            true => 0.0,
            false => amf0::parse(input)?.as_f64().unwrap_or_default(),
        };
        Ok(Self { transaction, request: Request::parse(name, input)? })
    }
}

impl Request {
    fn parse(name: String, input: &mut &[u8]) -> Result<Self, AmfProblem> {
        Ok(match name.as_str() {
            "connect" => Self::Connect(Box::new(Connect::parse(&Arguments::parse(input)?))),
            "releaseStream" => Self::ReleaseStream { name: Arguments::parse(input)?.text(1) },
            "FCPublish" => Self::FcPublish { name: Arguments::parse(input)?.text(1) },
            "FCUnpublish" => Self::FcUnpublish { name: Arguments::parse(input)?.text(1) },
            "FCSubscribe" => Self::FcSubscribe { name: Arguments::parse(input)?.text(1) },
            "createStream" => Self::CreateStream,
            "deleteStream" => {
                let stream_id = Arguments::parse(input)?.number(1).and_then(to_u32);
                Self::DeleteStream { stream_id }
            }
            "closeStream" => Self::CloseStream,
            "getStreamLength" => Self::GetStreamLength { name: Arguments::parse(input)?.text(1) },
            "publish" => Self::parse_publish(&Arguments::parse(input)?),
            "play" => Self::parse_play(&Arguments::parse(input)?),
            "play2" => {
                let arguments = Arguments::parse(input)?;
                let name = arguments.get(1).and_then(|options| options.get("streamName"));
                Self::Play2 { name: name.and_then(Value::as_str).map(str::to_owned) }
            }
            "pause" | "pauseRaw" => {
                let arguments = Arguments::parse(input)?;
                let paused = arguments.flag(1).unwrap_or(true);
                Self::Pause { paused, position_ms: arguments.number(2).unwrap_or_default() }
            }
            "seek" => {
                let position_ms = Arguments::parse(input)?.number(1).unwrap_or_default();
                Self::Seek { position_ms }
            }
            "receiveAudio" => Self::ReceiveAudio(Arguments::parse(input)?.flag(1).unwrap_or(true)),
            "receiveVideo" => Self::ReceiveVideo(Arguments::parse(input)?.flag(1).unwrap_or(true)),
            "_checkbw" | "checkBandwidth" => Self::CheckBandwidth,
            _ => Self::Unknown { name },
        })
    }

    fn parse_publish(arguments: &Arguments) -> Self {
        let kind = match arguments.get(2).and_then(Value::as_str) {
            Some("record") => PublishKind::Record,
            Some("append") => PublishKind::Append,
            _ => PublishKind::Live,
        };
        Self::Publish { name: arguments.text(1), kind }
    }

    fn parse_play(arguments: &Arguments) -> Self {
        Self::Play(Play {
            name: arguments.text(1),
            start: arguments.number(2).unwrap_or(-2.0),
            duration: arguments.number(3).unwrap_or(-1.0),
            reset: arguments.flag(4).unwrap_or(true),
        })
    }
}

/// What follows the transaction id: number 0 is the command object, mostly null.
struct Arguments(Vec<Value>);

impl Arguments {
    fn parse(input: &mut &[u8]) -> Result<Self, AmfProblem> {
        let mut values = Vec::new();
        while !input.is_empty() && values.len() < ARGUMENTS_MAX {
            values.push(amf0::parse(input)?);
        }
        Ok(Self(values))
    }

    fn get(&self, index: usize) -> Option<&Value> {
        self.0.get(index)
    }

    /// Empty if it is missing or no string.
    fn text(&self, index: usize) -> String {
        self.get(index).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, index: usize) -> Option<f64> {
        self.get(index).and_then(Value::as_f64)
    }

    /// A boolean, or a number as one: `play` has both in the wild.
    fn flag(&self, index: usize) -> Option<bool> {
        match self.get(index)? {
            Value::Number(number) => Some(*number != 0.0),
            value => value.as_bool(),
        }
    }
}

/// A number of AMF0 as an integer: ids, bit masks. `None` if it is none.
fn to_u32(number: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and no conversion without a cast exists"
    )]
    (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

#[cfg(test)]
mod tests;
