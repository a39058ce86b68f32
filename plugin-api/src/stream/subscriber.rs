//! A reader of a stream's frames.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::abi::streams as abi;
use crate::error::Error;
use crate::ffi::{Owned, lend, size_u32};
use crate::frame::{Frame, Shape};
use crate::host::Host;
use crate::net::TcpStream;
use crate::stream::{Reason, Wait};

/// Who reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// The only kind that counts as somebody watching.
    #[default]
    Player,
    Pusher,
    Recorder,
    Snapshot,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The next start point.
    Live,
    /// The newest start point that is there: at once.
    #[default]
    Newest,
    /// The oldest start point that is still held.
    Oldest,
}

/// What to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubscribeOptions<'a> {
    /// As in [`PublishOptions::url`](crate::stream::PublishOptions::url).
    pub url: &'a str,
    pub reader: Reader,
    /// The peer's connection; `None`: the plugin itself.
    pub conn: Option<&'a TcpStream>,
    pub protocol: &'a str,
    pub start: Start,
    pub wait: Wait,
}

impl Host {
    /// Waits for the stream and subscribes to it.
    ///
    /// # Errors
    /// [`Status::NOT_FOUND`](crate::Status::NOT_FOUND) after the wait, [`Status::DENIED`](crate::Status::DENIED),
    /// [`Status::LIMIT`](crate::Status::LIMIT), [`Status::INVALID`](crate::Status::INVALID) for the stream key.
    pub async fn subscribe(&self, options: SubscribeOptions<'_>) -> Result<Subscriber, Error> {
        let owned = start(self, &options)?;
        std::future::poll_fn(|cx| owned.instance.poll_subscribe(owned.handle, cx)).await?;
        Ok(Subscriber(owned))
    }
}

fn start(host: &Host, options: &SubscribeOptions<'_>) -> Result<Owned, Error> {
    let numbers = abi::Subscribe {
        struct_size: size_u32::<abi::Subscribe>(),
        kind: match options.reader {
            Reader::Player => abi::READER_PLAYER,
            Reader::Pusher => abi::READER_PUSHER,
            Reader::Recorder => abi::READER_RECORDER,
            Reader::Snapshot => abi::READER_SNAPSHOT,
        },
        url: lend(""),
        conn: options.conn.map_or(0, TcpStream::handle),
        protocol: lend(""),
        start: match options.start {
            Start::Live => abi::START_LIVE,
            Start::Newest => abi::START_NEWEST,
            Start::Oldest => abi::START_OLDEST,
        },
        flags: 0,
        wait: options.wait.to_abi(),
    };
    host.instance.subscribe(options.url, options.protocol, numbers)
}

/// Frames in order. A batch never crosses a change of shape.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In force from here on; always set in the first batch.
    pub shape: Option<Arc<Shape>>,
    /// Empty when only the shape changed.
    pub frames: Vec<Frame>,
    /// Frames skipped before this batch because the reader was lapped.
    pub lost: u64,
}

/// Why there is nothing more to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub reason: Reason,
    /// With [`Reason::Error`] and [`Reason::Stopped`]: the text.
    pub error: Option<Error>,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => error.fmt(f),
            None => self.reason.fmt(f),
        }
    }
}

impl std::error::Error for End {}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let stopped = error.status == crate::Status::CANCELLED;
        Self { reason: if stopped { Reason::Stopped } else { Reason::Error }, error: Some(error) }
    }
}

/// Reads one stream. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscriber(Owned);

impl Subscriber {
    /// The next batch, of at most `max` frames. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The end, and why.
    pub async fn read(&mut self, max: usize) -> Result<Batch, End> {
        std::future::poll_fn(|cx| self.poll_read(cx, max)).await
    }

    /// As [`Subscriber::read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Batch, End>> {
        let end = match ready!(self.0.instance.poll_batch(self.0.handle, max, cx))? {
            Ok(batch) => return Poll::Ready(Ok(batch)),
            Err(reason) => End { reason: Reason::from_abi(reason), error: None },
        };
        Poll::Ready(Err(end))
    }
}
