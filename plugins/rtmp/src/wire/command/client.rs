//! The client's side: writes calls, reads answers. For pullers, pushers and tests.
//!
//! puller, pusher → **client** → chunk_writer → socket, and back through message.

use media::container::flv::amf0::{self, Value};

use super::super::chunk_writer::{ChunkWriter, MessageHeader};
use super::super::error::{AmfProblem, Error};
use super::super::message::{chunk_stream, type_id};
use super::{Arguments, Connect, to_u32};

/// A call as a client makes it. Names go out as given, query included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call<'a> {
    Connect(&'a Connect),
    ReleaseStream {
        name: &'a str,
    },
    FcPublish {
        name: &'a str,
    },
    FcUnpublish {
        name: &'a str,
    },
    CreateStream,
    Publish {
        stream_id: u32,
        name: &'a str,
    },
    /// Live if there is a live stream, else recorded.
    Play {
        stream_id: u32,
        name: &'a str,
    },
    DeleteStream {
        stream_id: u32,
    },
}

impl Call<'_> {
    /// Appends the message, in chunks, to `output`.
    ///
    /// # Errors
    ///
    /// [`Error::OutgoingTooLong`] if a name has 16 MiB.
    pub fn write(
        &self,
        transaction: f64,
        writer: &ChunkWriter,
        output: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (name, object, arguments, stream_id) = match *self {
            Self::Connect(connect) => ("connect", connect.to_value(), vec![], 0),
            Self::ReleaseStream { name } => ("releaseStream", Value::Null, vec![name.into()], 0),
            Self::FcPublish { name } => ("FCPublish", Value::Null, vec![name.into()], 0),
            Self::FcUnpublish { name } => ("FCUnpublish", Value::Null, vec![name.into()], 0),
            Self::CreateStream => ("createStream", Value::Null, vec![], 0),
            Self::Publish { stream_id, name } => {
                ("publish", Value::Null, vec![name.into(), "live".into()], stream_id)
            }
            Self::Play { stream_id, name } => {
                ("play", Value::Null, vec![name.into(), Value::from(-2000.0)], stream_id)
            }
            Self::DeleteStream { stream_id } => {
                ("deleteStream", Value::Null, vec![f64::from(stream_id).into()], 0)
            }
        };
        let mut payload = Vec::new();
        let start = [Value::from(name), Value::from(transaction), object];
        for value in start.iter().chain(&arguments) {
            amf0::write(value, &mut payload);
        }
        let chunk_stream =
            if stream_id == 0 { chunk_stream::COMMAND } else { chunk_stream::STREAM_COMMAND };
        let type_id = type_id::COMMAND_AMF0;
        let header = MessageHeader { chunk_stream, timestamp: 0, type_id, stream_id };
        writer.write(&header, &payload, output)
    }
}

/// An answer as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The two values after the transaction: those of connect are its properties and information.
    Result {
        transaction: f64,
        first: Value,
        second: Value,
    },
    Error {
        transaction: f64,
        code: String,
        description: String,
    },
    OnStatus {
        level: String,
        code: String,
        description: String,
    },
    /// onBWDone, onFCPublish, close, …: to be ignored.
    Other {
        name: String,
    },
}

impl Reply {
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
        // Number 0 is the transaction here, 1 and 2 what follows.
        let arguments = Arguments::parse(input)?;
        let transaction = arguments.number(0).unwrap_or_default();
        let value = |index| arguments.get(index).cloned().unwrap_or(Value::Undefined);
        let text = |property: &str| {
            let found = arguments.get(2).and_then(|status| status.get(property));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Ok(match name.as_str() {
            "_result" => Self::Result { transaction, first: value(1), second: value(2) },
            "_error" => {
                Self::Error { transaction, code: text("code"), description: text("description") }
            }
            "onStatus" => Self::OnStatus {
                level: text("level"),
                code: text("code"),
                description: text("description"),
            },
            _ => Self::Other { name },
        })
    }

    /// The stream id, if this is the answer to createStream.
    pub fn stream_id(&self) -> Option<u32> {
        match self {
            Self::Result { second, .. } => second.as_f64().and_then(to_u32),
            _ => None,
        }
    }
}
