//! A port that is listened on.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::time::Sleep;

use super::{Conn, Error, Net, addr, holder};

/// Connections that the kernel keeps until they are accepted. More than a burst of reconnecting encoders; the kernel cuts
/// it to its own limit.
const BACKLOG: i32 = 1024;

/// How long accepting rests when descriptors or memory ran out: a retry at once would spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until it is closed or dropped.
#[derive(Debug)]
pub struct Listener {
    net: Net,
    local: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once closed.
    socket: Option<tokio::net::TcpListener>,
    /// Set while out of descriptors; the first time is logged.
    pause: Option<Pin<Box<Sleep>>>,
    exhausted: bool,
    waker: Option<Waker>,
}

impl Listener {
    pub(super) fn bind(net: Net, address: &str) -> Result<Self, Error> {
        let wanted = addr::parse_listen(address)?;
        let socket = match (bind(wanted), addr::without_ipv6(wanted)) {
            (Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL), Some(ipv4)) => bind(ipv4),
            (result, _) => result,
        };
        let socket = socket.map_err(|errno| match errno {
            Errno::ADDRINUSE => {
                Error::Conflict { address: wanted, holder: holder::find(wanted.port()) }
            }
            errno => Error::Listen { address: wanted, source: errno.into() },
        })?;
        let socket = {
            let _entered = net.runtime().enter();
            tokio::net::TcpListener::from_std(socket)?
        };
        let local = socket.local_addr()?;
        let state = State { socket: Some(socket), pause: None, exhausted: false, waker: None };
        Ok(Self { net, local, state: Mutex::new(state) })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Running out of descriptors is no error: it is logged, and accepting goes on when there are
    /// some.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Conn>, Error>> {
        let mut state = self.state.lock();
        loop {
            if let Some(pause) = &mut state.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.pause = None;
            }
            let Some(socket) = &state.socket else {
                return Poll::Ready(Err(Error::State("closed")));
            };
            let accepted = socket.poll_accept(cx);
            if accepted.is_pending() {
                state.waker = Some(cx.waker().clone());
            }
            match ready!(accepted) {
                Ok((socket, _)) => {
                    state.exhausted = false;
                    // A peer that has gone between its SYN and here is not worth a word.
                    if let Ok(conn) = self.net.adopt_tokio(socket) {
                        return Poll::Ready(Ok(conn));
                    }
                }
                Err(error) if is_of_peer(&error) => {}
                Err(error) if is_exhausted(&error) => self.rest(&mut state, &error),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// When the listener is closed, or the kernel refuses for good.
    pub async fn accept(&self) -> Result<Arc<Conn>, Error> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Frees the port; whoever waits for a connection gets an error.
    pub fn close(&self) {
        let (socket, waker) = {
            let mut state = self.state.lock();
            (state.socket.take(), state.waker.take())
        };
        drop(socket);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn rest(&self, state: &mut State, error: &io::Error) {
        if !state.exhausted {
            tracing::error!(
                event = "listener.exhausted", address = %self.local, %error,
                "cannot accept connections until some are closed"
            );
        }
        state.exhausted = true;
        let _entered = self.net.runtime().enter();
        state.pause = Some(Box::pin(tokio::time::sleep(EXHAUSTED_PAUSE)));
    }
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if let SocketAddr::V6(v6) = address {
        // Only the wildcard has two stacks; the system's default may be either.
        sockopt::set_ipv6_v6only(&socket, !v6.ip().is_unspecified())?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn is_exhausted(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Errors of accept(2) that belong to the one connection: pending network errors are reported there too.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NOPROTOOPT
                | Errno::PERM
                | Errno::PROTO
        )
    )
}
