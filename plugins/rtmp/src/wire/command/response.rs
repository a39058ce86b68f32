//! What a server answers (RTMP 1.0, sections 7.2.1 and 7.2.2).
//!
//! session → **response** → chunk_writer → socket

use media::container::flv::amf0::{self, Value};

use super::super::chunk_writer::{ChunkWriter, MessageHeader};
use super::super::error::Error;
use super::super::message::{chunk_stream, type_id};
use super::Capabilities;

/// What we say that we are. Clients look for the version of Flash Media Server to know what they
/// may use: 3.5 is the first with all of RTMP 1.0.
const FMS_VERSION: &str = "FMS/3,5,7,7009";
/// The bits of the same server's `capabilities` property.
const FMS_CAPABILITIES: f64 = 31.0;

/// Codes of status objects. Section 7.2.2 names those of play and publish; the rest are those of
/// Flash Media Server, which clients know.
pub mod code {
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    pub const CONNECT_INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    pub const CONNECT_CLOSED: &str = "NetConnection.Connect.Closed";
    /// Enhanced RTMP v2, "Reconnect Request".
    pub const CONNECT_RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
    pub const CALL_FAILED: &str = "NetConnection.Call.Failed";
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
    pub const DATA_START: &str = "NetStream.Data.Start";
    pub const PLAY_RESET: &str = "NetStream.Play.Reset";
    pub const PLAY_START: &str = "NetStream.Play.Start";
    pub const PLAY_STOP: &str = "NetStream.Play.Stop";
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    pub const PLAY_PUBLISH_NOTIFY: &str = "NetStream.Play.PublishNotify";
    pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
    pub const PAUSE_NOTIFY: &str = "NetStream.Pause.Notify";
    pub const UNPAUSE_NOTIFY: &str = "NetStream.Unpause.Notify";
    pub const SEEK_FAILED: &str = "NetStream.Seek.Failed";
}

/// The `level` of a status object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Status,
    Warning,
}

/// A status object: what happened, for the program and for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    pub level: Level,
    /// One of [`code`].
    pub code: &'a str,
    pub description: &'a str,
    /// The stream's name, or nothing.
    pub details: &'a str,
}

/// One message of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Response<'a> {
    /// To connect, if all is well. `capabilities` are ours, left out if empty (Enhanced RTMP v2).
    ConnectResult {
        transaction: f64,
        capabilities: &'a Capabilities,
    },
    /// To any call with a transaction, if it is refused.
    Error {
        transaction: f64,
        status: Status<'a>,
    },
    CreateStreamResult {
        transaction: f64,
        stream_id: u32,
    },
    /// To calls of which only the success matters: releaseStream, _checkbw, deleteStream.
    EmptyResult {
        transaction: f64,
    },
    /// To getStreamLength; zero for a live stream.
    StreamLengthResult {
        transaction: f64,
        seconds: f64,
    },
    /// To FCPublish; librtmp waits for none, FMLE does.
    OnFcPublish {
        status: Status<'a>,
    },
    OnFcUnpublish {
        status: Status<'a>,
    },
    OnFcSubscribe {
        status: Status<'a>,
    },
    /// After connect: there is no bandwidth to be measured. librtmp answers with _checkbw.
    OnBwDone,
    /// To publish, play, pause, seek; also unasked. Stream id 0 is about the connection.
    OnStatus {
        stream_id: u32,
        status: Status<'a>,
    },
    /// A data message: whether the client may read raw samples. Flash players wait for it.
    SampleAccess {
        stream_id: u32,
        allowed: bool,
    },
}

impl Response<'_> {
    /// Appends the message, in chunks, to `output`.
    ///
    /// # Errors
    ///
    /// [`Error::OutgoingTooLong`] if a description has 16 MiB.
    pub fn write(&self, writer: &ChunkWriter, output: &mut Vec<u8>) -> Result<(), Error> {
        let (chunk_stream, type_id, stream_id) = match *self {
            Self::OnStatus { stream_id, .. } if stream_id != 0 => {
                (chunk_stream::STREAM_COMMAND, type_id::COMMAND_AMF0, stream_id)
            }
            Self::SampleAccess { stream_id, .. } => {
                (chunk_stream::DATA, type_id::DATA_AMF0, stream_id)
            }
            _ => (chunk_stream::COMMAND, type_id::COMMAND_AMF0, 0),
        };
        let header = MessageHeader { chunk_stream, timestamp: 0, type_id, stream_id };
        let mut payload = Vec::new();
        for value in self.values() {
            amf0::write(&value, &mut payload);
        }
        writer.write(&header, &payload, output)
    }

    fn values(&self) -> Vec<Value> {
        let result = |transaction: f64, first: Value, second: Value| {
            vec![Value::from("_result"), Value::from(transaction), first, second]
        };
        let event = |name: &str, last: Option<Value>| {
            let start = [Value::from(name), Value::from(0.0), Value::Null];
            start.into_iter().chain(last).collect()
        };
        match self {
            Self::ConnectResult { transaction, capabilities } => {
                let (properties, information) = connect_objects(capabilities);
                result(*transaction, properties, information)
            }
            Self::Error { transaction, status } => vec![
                Value::from("_error"),
                Value::from(*transaction),
                Value::Null,
                status.to_value(),
            ],
            Self::CreateStreamResult { transaction, stream_id } => {
                result(*transaction, Value::Null, Value::from(f64::from(*stream_id)))
            }
            Self::EmptyResult { transaction } => {
                result(*transaction, Value::Null, Value::Undefined)
            }
            Self::StreamLengthResult { transaction, seconds } => {
                result(*transaction, Value::Null, Value::from(*seconds))
            }
            Self::OnFcPublish { status } => event("onFCPublish", Some(status.to_value())),
            Self::OnFcUnpublish { status } => event("onFCUnpublish", Some(status.to_value())),
            Self::OnFcSubscribe { status } => event("onFCSubscribe", Some(status.to_value())),
            Self::OnBwDone => event("onBWDone", None),
            Self::OnStatus { status, .. } => event("onStatus", Some(status.to_value())),
            Self::SampleAccess { allowed, .. } => {
                let allowed = || Value::from(*allowed);
                vec![Value::from("|RtmpSampleAccess"), allowed(), allowed()]
            }
        }
    }
}

impl Status<'_> {
    fn to_value(self) -> Value {
        let level = match self.level {
            Level::Error => "error",
            Level::Status => "status",
            Level::Warning => "warning",
        };
        let mut properties = vec![
            ("level".to_owned(), Value::from(level)),
            ("code".to_owned(), Value::from(self.code)),
            ("description".to_owned(), Value::from(self.description)),
        ];
        if !self.details.is_empty() {
            properties.push(("details".to_owned(), Value::from(self.details)));
        }
        Value::Object(properties)
    }
}

/// The two objects of the answer to connect: properties and information.
fn connect_objects(capabilities: &Capabilities) -> (Value, Value) {
    let mut properties = vec![
        ("fmsVer".to_owned(), Value::from(FMS_VERSION)),
        ("capabilities".to_owned(), Value::from(FMS_CAPABILITIES)),
        ("mode".to_owned(), Value::from(1.0)),
    ];
    capabilities.add_to(&mut properties);
    let information = vec![
        ("level".to_owned(), Value::from("status")),
        ("code".to_owned(), Value::from(code::CONNECT_SUCCESS)),
        ("description".to_owned(), Value::from("connection succeeded")),
        // AMF0, whatever the client asked for.
        ("objectEncoding".to_owned(), Value::from(0.0)),
    ];
    (Value::Object(properties), Value::Object(information))
}
