//! A port that is listened on.
//!
//! ```text
//! accept ─▶ gate (how many in all) ─▶ PROXY header, if one is due ─▶ gate (how many of this peer) ─▶ conn
//! ```

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Sleep, timeout};

use super::conn::Beginning;
use super::gate::{Admission, Refused};
use super::proxy::{self, ProxyProtocol};
use super::tls::Profile;
use super::{Conn, Error, Net, addr, holder};

/// Connections that the kernel keeps until they are accepted. More than a burst of reconnecting encoders; the kernel cuts
/// it to its own limit.
const BACKLOG: i32 = 1024;

/// How long accepting rests when descriptors or memory ran out: a retry at once would spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Connections whose PROXY header is awaited; with more, the kernel keeps what comes.
const ENTERING_MAX: usize = 1024;

/// What is special about a listener.
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    /// Its connections speak TLS with this certificate.
    pub tls: Option<Arc<Profile>>,
    pub proxy_protocol: ProxyProtocol,
}

/// Accepts connections until it is closed or dropped.
#[derive(Debug)]
pub struct Listener {
    net: Net,
    local: SocketAddr,
    options: ListenOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once closed.
    socket: Option<tokio::net::TcpListener>,
    /// Set while out of descriptors; the first time is logged.
    pause: Option<Pin<Box<Sleep>>>,
    exhausted: bool,
    /// Read PROXY headers.
    entering: JoinSet<Option<Arc<Conn>>>,
    waker: Option<Waker>,
}

impl Listener {
    pub(super) fn bind(net: Net, address: &str, options: ListenOptions) -> Result<Self, Error> {
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
        let state = State {
            socket: Some(socket),
            pause: None,
            exhausted: false,
            entering: JoinSet::new(),
            waker: None,
        };
        Ok(Self { net, local, options, state: Mutex::new(state) })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Running out of descriptors is no error: it is logged, and accepting goes on when there are
    /// some.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Conn>, Error>> {
        // What was accepted is registered with the runtime, a pause is its timer, and the caller may be on a thread of a plugin.
        let _entered = self.net.runtime().enter();
        let mut state = self.state.lock();
        loop {
            if let Some(pause) = &mut state.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.pause = None;
            }
            match state.entering.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Some(conn)))) => return Poll::Ready(Ok(conn)),
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if state.entering.len() >= ENTERING_MAX {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let Some(socket) = &state.socket else {
                return Poll::Ready(Err(Error::State("closed")));
            };
            let accepted = socket.poll_accept(cx);
            if accepted.is_pending() {
                state.waker = Some(cx.waker().clone());
            }
            match ready!(accepted) {
                Ok((socket, peer)) => {
                    state.exhausted = false;
                    if let Some(conn) = self.take(&mut state, socket, addr::unmapped(peer)) {
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

    /// What becomes of a socket that was accepted; `None`: nothing, or nothing yet.
    fn take(&self, state: &mut State, socket: TcpStream, peer: SocketAddr) -> Option<Arc<Conn>> {
        let gate = &self.net.gate;
        let admission = match gate.enter() {
            Ok(admission) => admission,
            Err(refused) => {
                gate.refuse(refused, self.local, peer.ip(), "");
                return None;
            }
        };
        let entry = Entry {
            net: self.net.clone(),
            listener: self.local,
            tls: self.options.tls.clone(),
            is_header_required: self.options.proxy_protocol == ProxyProtocol::Required,
            peer,
            admission,
        };
        match self.options.proxy_protocol {
            ProxyProtocol::Off => entry.admit(socket, None, Vec::new()),
            _ if gate.is_trusted(peer.ip()) => {
                state.entering.spawn_on(entry.read_header(socket), self.net.runtime());
                None
            }
            ProxyProtocol::Optional => entry.admit(socket, None, Vec::new()),
            ProxyProtocol::Required => {
                let detail = "not in limits.trusted_proxies";
                gate.refuse(Refused::ProxyHeader, self.local, peer.ip(), detail);
                None
            }
        }
    }

    /// Frees the port; whoever waits for a connection gets an error.
    pub fn close(&self) {
        let (socket, entering, waker) = {
            let mut state = self.state.lock();
            (state.socket.take(), std::mem::take(&mut state.entering), state.waker.take())
        };
        drop((socket, entering));
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
        state.pause = Some(Box::pin(tokio::time::sleep(EXHAUSTED_PAUSE)));
    }
}

/// A socket on its way to being a connection.
struct Entry {
    net: Net,
    listener: SocketAddr,
    tls: Option<Arc<Profile>>,
    is_header_required: bool,
    /// Of the socket.
    peer: SocketAddr,
    admission: Admission,
}

impl Entry {
    async fn read_header(self, socket: TcpStream) -> Option<Arc<Conn>> {
        let reading = timeout(proxy::TIMEOUT, proxy::read(&socket, self.is_header_required));
        let detail = match reading.await {
            Ok(Ok(head)) => return self.admit(socket, head.source, head.rest),
            // Health checks of proxies connect and go.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no PROXY header within {:?}", proxy::TIMEOUT),
        };
        let reason = Refused::ProxyHeader;
        self.net.gate.refuse(reason, self.listener, self.peer.ip(), &detail);
        None
    }

    fn admit(
        self,
        socket: TcpStream,
        source: Option<SocketAddr>,
        read: Vec<u8>,
    ) -> Option<Arc<Conn>> {
        let Self { net, listener, tls, peer, admission, .. } = self;
        let peer = source.unwrap_or(peer);
        if let Err(refused) = admission.begin(peer.ip()) {
            net.gate.refuse(refused, listener, peer.ip(), "");
            return None;
        }
        let tls = match tls.map(|profile| profile.accept()).transpose() {
            Ok(tls) => tls.map(Box::new),
            Err(error) => {
                tracing::error!(event = "tls.failed", address = %listener, %error, "no state for a connection");
                return None;
            }
        };
        let beginning = Beginning { peer: Some(peer), admission: Some(admission), tls, read };
        // A peer that has gone between its SYN and here is not worth a word.
        net.adopt_tokio(socket, beginning).ok()
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
