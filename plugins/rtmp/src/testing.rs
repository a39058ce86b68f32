//! Helpers of this crate's unit tests: samples of real encoders as messages, and their way through.

use std::fmt;
use std::sync::Arc;

use plugin_api::frame::{Frame, Shape, Track};
use plugin_api::mem::{Account, Buf, Pool};

use crate::ingest::{Ingest, Item};
use crate::wire::message::type_id;

/// One message as a publisher sends it: type, time, body.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) type_id: u8,
    pub(crate) timestamp: u32,
    pub(crate) body: Vec<u8>,
}

/// In one line: enough to see which one is meant.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { type_id, timestamp, body } = self;
        let start = &body[..body.len().min(16)];
        write!(f, "{type_id} at {timestamp}: {start:02x?}, {} bytes", body.len())
    }
}

impl Sent {
    pub(crate) fn video(timestamp: u32, body: &[u8]) -> Self {
        Self { type_id: type_id::VIDEO, timestamp, body: body.to_vec() }
    }

    pub(crate) fn audio(timestamp: u32, body: &[u8]) -> Self {
        Self { type_id: type_id::AUDIO, timestamp, body: body.to_vec() }
    }
}

pub(crate) fn pool() -> Pool {
    Pool::new(Account::new(usize::MAX))
}

pub(crate) fn buf(bytes: &[u8]) -> Buf {
    pool().copy(&[bytes]).expect("memory")
}

/// The tags of an FLV file of the media crate, which are the messages that its encoder sends.
pub(crate) fn sample(name: &str) -> Vec<Sent> {
    let path = format!("{}/../lib/media/testdata/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut rest = &file[9 + 4..];
    let mut tags = Vec::new();
    while let [type_id, l2, l1, l0, t2, t1, t0, t3, _, _, _, tail @ ..] = rest {
        let length = u32::from_be_bytes([0, *l2, *l1, *l0]) as usize;
        let timestamp = u32::from_be_bytes([*t3, *t2, *t1, *t0]);
        tags.push(Sent { type_id: *type_id, timestamp, body: tail[..length].to_vec() });
        rest = &tail[length + 4..];
    }
    tags
}

/// All that comes out of messages.
pub(crate) fn ingest(messages: &[Sent]) -> Vec<Item> {
    let mut ingest = Ingest::new(pool());
    let mut items = Vec::new();
    for message in messages {
        feed(&mut ingest, message, &mut items);
    }
    items
}

pub(crate) fn feed(ingest: &mut Ingest<Pool>, message: &Sent, items: &mut Vec<Item>) {
    let body = buf(&message.body);
    match message.type_id {
        type_id::AUDIO => ingest.on_audio(message.timestamp, &body, items),
        type_id::VIDEO => ingest.on_video(message.timestamp, &body, items),
        _ => ingest.on_data(message.timestamp, &body, 0, items),
    }
}

pub(crate) fn frames(items: &[Item]) -> Vec<&Frame> {
    let items = items.iter();
    items
        .filter_map(|item| if let Item::Frame(frame) = item { Some(frame) } else { None })
        .collect()
}

/// Each set of tracks, in order.
pub(crate) fn track_sets(items: &[Item]) -> Vec<&[Track]> {
    let items = items.iter();
    items
        .filter_map(|item| if let Item::Tracks(set) = item { Some(&set[..]) } else { None })
        .collect()
}

pub(crate) fn shape(tracks: &[Track]) -> Shape {
    let tracks = tracks.iter().cloned().map(Arc::new).collect();
    Shape { number: 1, settled: true, discontinuity: false, tracks }
}
