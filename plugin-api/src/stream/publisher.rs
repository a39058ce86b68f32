//! The one writer of a stream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use crate::abi::streams as abi;
use crate::error::{Error, Status};
use crate::ffi::Owned;
use crate::frame::{Frame, Track};
use crate::host::Host;
use crate::net::TcpStream;
use crate::stream::Reason;

/// What a peer wants to publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishOptions<'a> {
    /// What the peer asked for: `app/name?arguments`, percent-encoded as on the wire; the host makes the stream key.
    pub url: &'a str,
    /// The peer's connection; `None`: the plugin itself, which auth rules see as no address.
    pub conn: Option<&'a TcpStream>,
    /// `rtmp`.
    pub protocol: &'a str,
    /// What the peer calls itself; may be empty.
    pub agent: &'a str,
}

impl Host {
    /// Asks to publish, and waits until it is allowed.
    ///
    /// # Errors
    /// [`Status::INVALID`] for the stream key, [`Status::DENIED`], [`Status::CONFLICT`] when the stream has a publisher that
    /// stays, [`Status::LIMIT`].
    pub async fn publish(&self, options: PublishOptions<'_>) -> Result<Publisher, Error> {
        let PublishOptions { url, conn, protocol, agent } = options;
        let owned =
            self.instance.publish(url, conn.map_or(0, TcpStream::handle), protocol, agent)?;
        std::future::poll_fn(|cx| owned.instance.poll_publish(owned.handle, cx)).await?;
        Ok(Publisher { owned, busy: AtomicBool::new(false) })
    }
}

/// What became of pushed frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Nothing was kept: the server is at its memory limit. Go on.
    Dropped,
    /// The publisher has ended; [`Publisher::notice`] says why.
    Ended,
    Kept,
}

/// What the host tells a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The publisher has ended; the last notice.
    Ended(Reason),
    /// Somebody reads the stream now.
    FirstReader,
    /// A reader waits for a start point.
    KeyframeWanted,
    /// Nobody reads the stream any more.
    LastReader,
    /// One that this revision does not know: ignore it.
    Other(u32),
}

/// Writes one stream. Dropping it without [`Publisher::finish`] is a lost link: the stream waits for it to come back.
///
/// Everything goes by `&self`, so that a session can push while it waits for a notice. Two calls at the same time, from two
/// threads, are [`Status::STATE`].
#[derive(Debug)]
pub struct Publisher {
    owned: Owned,
    busy: AtomicBool,
}

impl Publisher {
    /// The whole set of tracks from here on. When it equals the set in force, nothing happens.
    ///
    /// # Errors
    /// [`Status::INVALID`] for two tracks with one id, [`Status::LIMIT`] above 64 tracks, [`Status::STATE`] after the end.
    pub fn set_tracks(&self, tracks: &[Track]) -> Result<(), Error> {
        self.alone(|| self.owned.instance.set_tracks(self.owned.handle, tracks))
    }

    /// Appends frames, in decoding order over all tracks. Stamps are the publisher's own; the host maps them to the
    /// stream's timeline. Push what one read of the socket gave in one call.
    ///
    /// # Errors
    /// [`Status::INVALID`] for an unknown track or a dts that does not increase, [`Status::LIMIT`] above 4096 parts or
    /// 32 MiB a frame.
    pub fn push(&self, frames: &[Frame]) -> Result<Pushed, Error> {
        match self.alone(|| self.owned.instance.push(self.owned.handle, frames))? {
            Status::END => Ok(Pushed::Ended),
            Status::DROPPED => Ok(Pushed::Dropped),
            _ => Ok(Pushed::Kept),
        }
    }

    /// All tracks are there: formats that fix their tracks up front may begin.
    ///
    /// # Errors
    /// [`Status::STATE`] after the end.
    pub fn ready(&self) -> Result<(), Error> {
        self.alone(|| self.owned.instance.ready(self.owned.handle))
    }

    /// The orderly end of the stream.
    ///
    /// # Errors
    /// [`Status::STATE`] after the end.
    pub fn finish(&self) -> Result<(), Error> {
        self.alone(|| self.owned.instance.finish(self.owned.handle))
    }

    /// The next notice. One call at a time; dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Status::CANCELLED`] when the instance stops.
    pub async fn notice(&self) -> Result<Notice, Error> {
        std::future::poll_fn(|cx| self.poll_notice(cx)).await
    }

    /// As [`Publisher::notice`].
    pub fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Result<Notice, Error>> {
        let (status, value) = ready!(self.owned.instance.poll_notice(self.owned.handle, cx))?;
        Poll::Ready(Ok(match (status, value) {
            (Status::END, reason) => Notice::Ended(Reason::from_abi(reason)),
            (_, abi::NOTICE_FIRST_READER) => Notice::FirstReader,
            (_, abi::NOTICE_LAST_READER) => Notice::LastReader,
            (_, abi::NOTICE_KEYFRAME_WANTED) => Notice::KeyframeWanted,
            (_, other) => Notice::Other(other),
        }))
    }

    /// The contract asks for one call at a time per publisher.
    fn alone<R>(&self, call: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(Error::state("two calls to one publisher at the same time"));
        }
        let result = call();
        self.busy.store(false, Ordering::Release);
        result
    }
}
