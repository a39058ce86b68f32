//! One TCP connection.
//!
//! ```text
//! plain ──lend──▶ lent ──give back──▶ plain        close(), from anywhere ──▶ closed
//! ```
//!
//! While it is lent, a fan-out thread owns the socket: reads come through a pipe and writes are refused. What the thread
//! has read and the session has not is read first after the socket is back.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::{Error, Pipe, addr};

/// A connection, shared by the session that serves it and the host that shows and closes it.
pub struct Conn {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    runtime: Handle,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// Read by the last borrower, not yet by the session.
    rest: Option<Arc<Pipe>>,
    /// tokio's own wakers don't fire when the socket changes hands or is dropped.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum State {
    Plain(TcpStream),
    Lent { pipe: Arc<Pipe>, borrower: Arc<dyn Borrower> },
    Closed,
}

/// Why a connection is closed by the host's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// By its own side: the session has finished.
    Asked,
    /// By the operator, or the server stops.
    Stopped,
}

/// Who has the socket while it is lent. Calls come from any thread and only leave a message.
pub trait Borrower: Send + Sync {
    /// The pipe was full and has room again.
    fn resume_reading(&self);

    /// The connection is to be closed now; the socket is not given back.
    fn close(&self, reason: CloseReason);
}

/// A socket on loan, non-blocking, and where to put what is read from it.
#[derive(Debug)]
pub struct Lent {
    pub socket: std::net::TcpStream,
    pub pipe: Arc<Pipe>,
}

impl Conn {
    pub(super) fn new(id: u64, runtime: Handle, socket: TcpStream) -> Result<Self, Error> {
        // Packets are written whole; waiting for more of them only adds delay.
        socket.set_nodelay(true)?;
        let peer = addr::unmapped(socket.peer_addr()?);
        let local = addr::unmapped(socket.local_addr()?);
        let inner = Inner { state: State::Plain(socket), rest: None, reader: None, writer: None };
        Ok(Self {
            id,
            peer,
            local,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            runtime,
            inner: Mutex::new(inner),
        })
    }

    /// Unique in the server; the same number in log, API and metrics.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// IPv4 is given as IPv4, never as mapped IPv6.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Reads what is there; 0 when the peer has closed its half.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let mut inner = self.inner.lock();
        if inner.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            inner.rest = None;
        }
        if let Some(rest) = &inner.rest {
            return rest.poll_read(cx, buf).map(|taken| Ok(taken.result?));
        }
        let (result, borrower) = match &inner.state {
            State::Plain(socket) => (self.poll_read_socket(socket, cx, buf), None),
            State::Lent { pipe, borrower } => match pipe.poll_read(cx, buf) {
                Poll::Ready(taken) => {
                    let borrower = taken.has_room_again.then(|| Arc::clone(borrower));
                    (Poll::Ready(taken.result.map_err(Error::from)), borrower)
                }
                Poll::Pending => (Poll::Pending, None),
            },
            State::Closed => (Poll::Ready(Err(Error::State("closed"))), None),
        };
        if result.is_pending() {
            keep(&mut inner.reader, cx);
        }
        drop(inner);
        if let Some(borrower) = borrower {
            borrower.resume_reading();
        }
        result
    }

    /// Writes from the parts, in order, and says how many bytes were taken.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let mut inner = self.inner.lock();
        let result = match &inner.state {
            State::Plain(socket) => self.poll_write_socket(socket, cx, parts),
            State::Lent { .. } => Poll::Ready(Err(Error::State("lent to a feed"))),
            State::Closed => Poll::Ready(Err(Error::State("closed"))),
        };
        if result.is_pending() {
            keep(&mut inner.writer, cx);
        }
        result
    }

    /// Closes the write half, so that the peer reads to the end.
    pub fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let inner = self.inner.lock();
        Poll::Ready(match &inner.state {
            State::Plain(socket) => shutdown_write(socket),
            State::Lent { .. } => Err(Error::State("lent to a feed")),
            State::Closed => Err(Error::State("closed")),
        })
    }

    /// Closes the connection, wherever its socket is. Bytes that the kernel has taken are still sent.
    pub fn close(&self, reason: CloseReason) {
        let mut inner = self.inner.lock();
        let old = std::mem::replace(&mut inner.state, State::Closed);
        let wakers = [inner.reader.take(), inner.writer.take()];
        inner.rest = None;
        drop(inner);
        if let State::Lent { pipe, borrower } = old {
            pipe.fail(io::ErrorKind::NotConnected);
            borrower.close(reason);
        }
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Hands the socket to a fan-out thread.
    ///
    /// # Errors
    /// [`Error::State`] when it is lent already, or closed.
    pub fn lend(&self, borrower: Arc<dyn Borrower>) -> Result<Lent, Error> {
        let mut inner = self.inner.lock();
        let socket = match std::mem::replace(&mut inner.state, State::Closed) {
            State::Plain(socket) => socket,
            other => {
                let text = if matches!(other, State::Closed) { "closed" } else { "lent already" };
                inner.state = other;
                return Err(Error::State(text));
            }
        };
        // Deregisters from the runtime; the socket stays non-blocking.
        let socket = socket.into_std()?;
        // What the last borrower read comes before what this one will read.
        let pipe = inner.rest.take().unwrap_or_default();
        pipe.reopen();
        inner.state = State::Lent { pipe: Arc::clone(&pipe), borrower };
        let wakers = [inner.reader.take(), inner.writer.take()];
        drop(inner);
        // Whoever waits on the socket has to look again, at the pipe.
        wakers.into_iter().flatten().for_each(Waker::wake);
        Ok(Lent { socket, pipe })
    }

    /// Takes the socket back from its borrower. After [`Conn::close`] it is dropped.
    pub fn give_back(&self, lent: Lent) {
        let socket = {
            let _entered = self.runtime.enter();
            TcpStream::from_std(lent.socket)
        };
        let mut inner = self.inner.lock();
        if matches!(inner.state, State::Closed) {
            return;
        }
        inner.state = socket.map_or(State::Closed, State::Plain);
        inner.rest = Some(Arc::clone(&lent.pipe));
        let wakers = [inner.reader.take(), inner.writer.take()];
        drop(inner);
        lent.pipe.wake_reader();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether [`Conn::close`] was called, or the socket could not be taken back.
    pub fn is_closed(&self) -> bool {
        matches!(self.inner.lock().state, State::Closed)
    }

    /// The borrower sent `bytes` on the lent socket.
    pub fn count_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The borrower read `bytes` from the lent socket.
    pub fn count_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The connection as tokio's I/O traits, for code of the host that wants them.
    pub fn into_io(self: Arc<Self>) -> ConnIo {
        ConnIo(self)
    }

    fn poll_read_socket(
        &self,
        socket: &TcpStream,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match socket.try_read(buf) {
                Ok(n) => {
                    self.count_in(n as u64);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_write_socket(
        &self,
        socket: &TcpStream,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        loop {
            ready!(socket.poll_write_ready(cx))?;
            match socket.try_write_vectored(parts) {
                Ok(n) => {
                    self.count_out(n as u64);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conn({} {})", self.id, self.peer)
    }
}

fn shutdown_write(socket: &TcpStream) -> Result<(), Error> {
    rustix::net::shutdown(socket, rustix::net::Shutdown::Write).or_else(|errno| match errno {
        // The peer was faster.
        rustix::io::Errno::NOTCONN => Ok(()),
        errno => Err(errno.into()),
    })
}

fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// A [`Conn`] with tokio's I/O traits: one more share in it.
#[derive(Debug)]
pub struct ConnIo(Arc<Conn>);

impl ConnIo {
    /// The connection itself.
    pub fn conn(&self) -> &Arc<Conn> {
        &self.0
    }
}

impl AsyncRead for ConnIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.poll_read(cx, buf.initialize_unfilled());
        let n = ready!(read).map_err(into_io_error)?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ConnIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &[IoSlice::new(buf)]).map_err(into_io_error)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, parts).map_err(into_io_error)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx).map_err(into_io_error)
    }
}

fn into_io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::NotConnected, other),
    }
}
