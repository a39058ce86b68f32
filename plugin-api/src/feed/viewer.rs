//! One connection that watches a feed.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::abi::core::Handle;
use crate::error::{Error, Status};
use crate::ffi::{Instance, Owned};
use crate::host::Host;
use crate::net::TcpStream;
use crate::stream::{Reason, Wait};

/// What a peer wants to watch, and in which form.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrepareOptions<'a> {
    /// As in [`PublishOptions::url`](crate::stream::PublishOptions::url).
    pub url: &'a str,
    /// `rtmp`.
    pub format: &'a str,
    /// Options that change the feed's bytes; at most 64 bytes.
    pub variant: &'a str,
    /// The connection that will be attached.
    pub conn: Option<&'a TcpStream>,
    pub agent: &'a str,
    pub wait: Wait,
}

impl Host {
    /// Waits for the stream and opens the feed. Where the viewer begins is fixed, and held for ten seconds.
    ///
    /// # Errors
    /// [`Status::NOT_FOUND`] after the wait, [`Status::DENIED`], [`Status::LIMIT`], [`Status::INVALID`] for the stream key,
    /// [`Status::UNSUPPORTED`] when the packager can't carry the stream.
    pub async fn prepare(&self, options: PrepareOptions<'_>) -> Result<Prepared, Error> {
        let conn = options.conn.map_or(0, TcpStream::handle);
        Prepared::wait(&self.instance, conn, options).await
    }
}

/// A place in a feed that is held for a viewer. Dropping it gives it up.
#[derive(Debug)]
pub struct Prepared(Owned);

impl Prepared {
    /// For the connection or request behind the handle.
    pub(crate) async fn wait(
        instance: &Arc<Instance>,
        conn: Handle,
        options: PrepareOptions<'_>,
    ) -> Result<Self, Error> {
        let PrepareOptions { url, format, variant, conn: _, agent, wait } = options;
        let owned = instance.prepare(url, (format, variant), conn, agent, wait.to_abi())?;
        std::future::poll_fn(|cx| owned.instance.poll_prepared(owned.handle, cx)).await?;
        Ok(Self(owned))
    }

    pub(crate) fn into_owned(self) -> Owned {
        self.0
    }

    /// Lends the connection's write half to the host: `first` (the plugin's last own bytes) is sent, then head and packets.
    /// Everything written before must have been taken by the socket; a writer with a buffer of its own is flushed first.
    ///
    /// # Errors
    /// [`Status::STATE`] when the write half is lent already, [`Status::HANDLE`] when the ten seconds are over.
    pub fn attach(self, conn: &TcpStream, first: &[&[u8]]) -> Result<Viewer, Error> {
        let viewer = self.0.instance.attach(conn.handle(), self.0.handle, first)?;
        self.0.forget();
        Ok(Viewer(viewer))
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached {
    pub reason: Reason,
    /// Sent as a viewer.
    pub bytes: u64,
    /// Packets skipped because it lagged.
    pub skipped: u64,
}

/// A connection whose write half is lent to the host. Dropping it before [`Viewer::detached`] has answered closes the
/// connection.
#[derive(Debug)]
#[must_use = "dropping it closes the connection"]
pub struct Viewer(Owned);

impl Viewer {
    /// Puts a whole small message between two packets. `false`: it is detached.
    ///
    /// # Errors
    /// [`Status::LIMIT`] when more than 64 KiB wait to be sent.
    pub fn inject(&self, parts: &[&[u8]]) -> Result<bool, Error> {
        Ok(self.0.instance.inject(self.0.handle, parts)? != Status::END)
    }

    /// Asks to stop at the next packet boundary; [`Viewer::detached`] says when it has.
    ///
    /// # Errors
    /// [`Status::CANCELLED`] when the instance stops.
    pub fn detach(&self) -> Result<(), Error> {
        self.0.instance.detach(self.0.handle)
    }

    /// Waits until the write half is back: the connection can be written again unless the reason says that it is dead. One
    /// call at a time; dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Status::CANCELLED`] when the instance stops.
    pub async fn detached(&self) -> Result<Detached, Error> {
        std::future::poll_fn(|cx| self.poll_detached(cx)).await
    }

    /// As [`Viewer::detached`].
    pub fn poll_detached(&self, cx: &mut Context<'_>) -> Poll<Result<Detached, Error>> {
        let detached = ready!(self.0.instance.poll_detached(self.0.handle, cx))?;
        let reason = Reason::from_abi(detached.reason);
        Poll::Ready(Ok(Detached { reason, bytes: detached.bytes, skipped: detached.skipped }))
    }
}
