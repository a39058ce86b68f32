//! The publishing side of a [`Client`].

use std::net::SocketAddr;
use std::time::Instant;

use super::client::{ACKNOWLEDGEMENT, WINDOW_SIZE};
use super::{Client, Dialect, Refusal};
use crate::amf::{self, Value};
use crate::flv::{self, Tag};

/// A connection that publishes.
#[derive(Debug)]
pub struct Publisher {
    client: Client,
    stream: u32,
}

impl Publisher {
    pub(super) fn new(client: Client, stream: u32) -> Self {
        Self { client, stream }
    }

    /// Opens a connection of its own and publishes `app/name`.
    #[track_caller]
    pub fn open(address: SocketAddr, key: &str) -> Self {
        Self::try_open(address, key)
            .unwrap_or_else(|refusal| panic!("publishing {key} was refused: {refusal:?}"))
    }

    /// As [`Self::open`], for those who expect to be refused.
    #[track_caller]
    pub fn try_open(address: SocketAddr, key: &str) -> Result<Self, Refusal> {
        let (app, name) = key.split_once('/').expect("a key is app/name");
        Client::connect(address, app, Dialect::Enhanced).publish(name)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a tag now.
    pub fn send(&self, tag: &Tag) -> std::io::Result<()> {
        let chunk_stream = match tag.kind {
            flv::AUDIO => 4,
            flv::VIDEO => 6,
            _ => 5,
        };
        if tag.kind == flv::SCRIPT {
            // A file says onMetaData, a connection says @setDataFrame first.
            let mut body = amf::write(&[Value::text("@setDataFrame")]);
            body.extend(&tag.body);
            return self.client.try_send(chunk_stream, tag.kind, self.stream, tag.time_ms, &body);
        }
        self.client.try_send(chunk_stream, tag.kind, self.stream, tag.time_ms, &tag.body)
    }

    /// Every byte sent so far, as acknowledgements count them.
    pub fn bytes_sent(&self) -> u64 {
        self.client.bytes_sent()
    }

    /// When the server acknowledged, and how many bytes.
    pub fn acknowledgements(&self) -> Vec<(Instant, u32)> {
        let messages = self.client.messages();
        let acknowledgements = messages.iter().filter(|message| message.kind == ACKNOWLEDGEMENT);
        acknowledgements
            .filter_map(|message| {
                Some((message.at, u32::from_be_bytes(*message.body.first_chunk()?)))
            })
            .collect()
    }

    /// Asks for acknowledgements at least every `bytes`.
    pub fn ask_for_acknowledgements(&self, bytes: u32) {
        self.client.send(2, WINDOW_SIZE, 0, 0, &bytes.to_be_bytes());
    }

    /// Ends the stream in an orderly way.
    pub fn finish(mut self) {
        let stream = f64::from(self.stream);
        self.client.call(0, "deleteStream", vec![Value::Null, Value::Number(stream)]);
    }

    /// The link is lost.
    pub fn hang_up(self) {
        self.client.hang_up();
    }
}
