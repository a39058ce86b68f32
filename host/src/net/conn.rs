//! One TCP connection.
//!
//! ```text
//! plain ──lend──▶ lent ──give back──▶ plain        close(), from anywhere ──▶ closed
//! ```
//!
//! While it is lent, a fan-out thread owns the socket: reads come through a pipe and writes are refused. What the thread
//! has read and the session has not is read first after the socket is back.
//!
//! With TLS, the state of the session travels with the socket. The handshake happens within the first reads; what is written
//! before it is through is kept for its end. Bytes are counted as the protocol sees them, without TLS's own.

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

use super::gate::Admission;
use super::tls::Tls;
use super::{Error, Pipe, addr};

/// A connection, shared by the session that serves it and the host that shows and closes it.
pub struct Conn {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    runtime: Handle,
    /// Of a connection that was accepted.
    admission: Option<Admission>,
    is_tls: bool,
    inner: Mutex<Inner>,
}

/// What is known of a connection beside its socket, when it begins.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// As a proxy says; else the socket's.
    pub(super) peer: Option<SocketAddr>,
    pub(super) admission: Option<Admission>,
    pub(super) tls: Option<Box<Tls>>,
    /// Bytes of the protocol that were read already.
    pub(super) read: Vec<u8>,
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
    Plain { socket: TcpStream, tls: Option<Box<Tls>> },
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
    /// What is read and written has to go through it.
    pub tls: Option<Box<Tls>>,
    pub pipe: Arc<Pipe>,
}

impl Conn {
    pub(super) fn new(
        id: u64,
        runtime: Handle,
        socket: TcpStream,
        beginning: Beginning,
    ) -> Result<Self, Error> {
        // Packets are written whole; waiting for more of them only adds delay.
        socket.set_nodelay(true)?;
        let Beginning { peer, admission, mut tls, read } = beginning;
        let peer = addr::unmapped(peer.map_or_else(|| socket.peer_addr(), Ok)?);
        let local = addr::unmapped(socket.local_addr()?);
        let mut rest = None;
        match &mut tls {
            Some(tls) => tls.feed(&read)?,
            None if !read.is_empty() => {
                let pipe = Pipe::default();
                pipe.push(&read);
                rest = Some(Arc::new(pipe));
            }
            None => {}
        }
        let is_tls = tls.is_some();
        let state = State::Plain { socket, tls };
        let inner = Inner { state, rest, reader: None, writer: None };
        Ok(Self {
            id,
            peer,
            local,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            runtime,
            admission,
            is_tls,
            inner: Mutex::new(inner),
        })
    }

    /// Unique in the server; the same number in log, API and metrics.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Who connected: behind a trusted proxy, who connected to that. IPv4 is given as IPv4, never as mapped IPv6.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Its protocol has made something of it: it counts as handshaking no longer.
    pub fn established(&self) {
        if let Some(admission) = &self.admission {
            admission.established();
        }
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
        let Inner { state, writer, .. } = &mut *inner;
        let (result, borrower) = match state {
            State::Plain { socket, tls: None } => (self.poll_read_socket(socket, cx, buf), None),
            State::Plain { socket, tls: Some(tls) } => {
                (self.poll_read_tls(socket, tls, writer, cx, buf), None)
            }
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
        let result = match &mut inner.state {
            State::Plain { socket, tls: None } => self.poll_write_socket(socket, cx, parts),
            State::Plain { socket, tls: Some(tls) } => self.poll_write_tls(socket, tls, cx, parts),
            State::Lent { .. } => Poll::Ready(Err(Error::State("lent to a feed"))),
            State::Closed => Poll::Ready(Err(Error::State("closed"))),
        };
        if result.is_pending() {
            keep(&mut inner.writer, cx);
        }
        result
    }

    /// Ready when the kernel has everything that was written. Only TLS holds something back.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut inner = self.inner.lock();
        let result = match &mut inner.state {
            State::Plain { socket, tls: Some(tls) } => poll_flush_tls(socket, tls, cx),
            _ => Poll::Ready(Ok(())),
        };
        if result.is_pending() {
            keep(&mut inner.writer, cx);
        }
        result
    }

    /// Closes the write half, so that the peer reads to the end.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut inner = self.inner.lock();
        let result = match &mut inner.state {
            State::Plain { socket, tls } => {
                let flushed = match tls {
                    Some(tls) => {
                        tls.say_goodbye();
                        poll_flush_tls(socket, tls, cx)
                    }
                    None => Poll::Ready(Ok(())),
                };
                flushed.map(|flushed| flushed.and_then(|()| shutdown_write(socket)))
            }
            State::Lent { .. } => Poll::Ready(Err(Error::State("lent to a feed"))),
            State::Closed => Poll::Ready(Err(Error::State("closed"))),
        };
        if result.is_pending() {
            keep(&mut inner.writer, cx);
        }
        result
    }

    /// Closes the connection, wherever its socket is. Bytes that the kernel has taken are still sent.
    pub fn close(&self, reason: CloseReason) {
        let mut inner = self.inner.lock();
        let old = std::mem::replace(&mut inner.state, State::Closed);
        let wakers = [inner.reader.take(), inner.writer.take()];
        inner.rest = None;
        drop(inner);
        match old {
            State::Lent { pipe, borrower } => {
                pipe.fail(io::ErrorKind::NotConnected);
                borrower.close(reason);
            }
            State::Plain { socket, tls: Some(mut tls) } => {
                // Without it players report a stream that was cut.
                tls.say_goodbye();
                let _best_effort = tls.flush(|parts| socket.try_write_vectored(parts));
            }
            State::Plain { .. } | State::Closed => {}
        }
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Hands the socket to a fan-out thread.
    ///
    /// # Errors
    /// [`Error::State`] when it is lent already, or closed.
    pub fn lend(&self, borrower: Arc<dyn Borrower>) -> Result<Lent, Error> {
        let mut inner = self.inner.lock();
        let (socket, tls) = match std::mem::replace(&mut inner.state, State::Closed) {
            // Until its end nobody can say when what is written goes out.
            State::Plain { tls: Some(tls), socket } if tls.is_handshaking() => {
                inner.state = State::Plain { tls: Some(tls), socket };
                return Err(Error::State("in its TLS handshake"));
            }
            State::Plain { socket, tls } => (socket, tls),
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
        Ok(Lent { socket, tls, pipe })
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
        let tls = lent.tls;
        inner.state = socket.map_or(State::Closed, |socket| State::Plain { socket, tls });
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
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let n = ready!(poll_read_some(socket, cx, buf))?;
        self.count_in(n as u64);
        Poll::Ready(Ok(n))
    }

    fn poll_read_tls(
        &self,
        socket: &mut TcpStream,
        tls: &mut Tls,
        writer: &mut Option<Waker>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        loop {
            // The handshake's answers, or what the last write left. While the kernel is full, reading goes on.
            if tls.has_pending() && poll_flush_tls(socket, tls, cx)?.is_ready() {
                writer.take().into_iter().for_each(Waker::wake);
            }
            let was_handshaking = tls.is_handshaking();
            let read = tls.read(buf, |buf| match poll_read_some(socket, cx, buf) {
                Poll::Ready(read) => read,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            });
            if was_handshaking && !tls.is_handshaking() {
                writer.take().into_iter().for_each(Waker::wake);
            }
            match read {
                Ok(n) => {
                    self.count_in(n as u64);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if tls.has_pending() && poll_flush_tls(socket, tls, cx)?.is_ready() {
                        writer.take().into_iter().for_each(Waker::wake);
                    }
                    ready!(socket.poll_read_ready(cx))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(error) => {
                    // The alert that says what is wrong.
                    let _best_effort = tls.flush(|parts| socket.try_write_vectored(parts));
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }

    /// What is taken is encrypted; as much of it as the kernel takes is sent. The rest goes with the next call of any kind.
    fn poll_write_tls(
        &self,
        socket: &TcpStream,
        tls: &mut Tls,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        ready!(poll_flush_tls(socket, tls, cx))?;
        let n = tls.write(parts);
        if n == 0 && parts.iter().any(|part| !part.is_empty()) {
            // Full of what waits for the end of the handshake, which the reader waits for.
            return Poll::Pending;
        }
        self.count_out(n as u64);
        // An error comes out of the next call.
        let _later = poll_flush_tls(socket, tls, cx);
        Poll::Ready(Ok(n))
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

/// One `recv`, when there is something. One that fills less than `buf` has emptied the socket, and tokio takes it so: unlike
/// after `try_read`, the next call waits for the kernel to tell of more instead of asking it.
fn poll_read_some(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(buf);
    ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

fn poll_flush_tls(
    socket: &TcpStream,
    tls: &mut Tls,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    loop {
        match tls.flush(|parts| socket.try_write_vectored(parts)) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(socket.poll_write_ready(cx))?;
            }
            Err(error) => return Poll::Ready(Err(error.into())),
        }
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
        let n = ready!(read).map_err(io::Error::from)?;
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
        self.0.poll_write(cx, &[IoSlice::new(buf)]).map_err(io::Error::from)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, parts).map_err(io::Error::from)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx).map_err(io::Error::from)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::new(io::ErrorKind::NotConnected, other),
        }
    }
}
