//! Sockets. The host owns every one of them, so that it can count, limit, show and close them.
//!
//! ```text
//! listener ─▶ conn ─▶ session (plugin)          poll_read, poll_write
//!               │ lend ▲ give back
//!               ▼      │
//!            fan-out thread ─▶ pipe ─▶ session  while a feed has the connection
//! ```
//!
//! Every call may come from any thread: the runtime's handle is kept inside, and entered where tokio needs it.

mod addr;
mod conn;
mod connect;
mod gate;
mod holder;
mod listener;
mod pipe;
pub mod proxy;
pub mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

pub(crate) use self::addr::shown;
use self::conn::Beginning;
pub use self::conn::{Borrower, CloseReason, Conn, ConnIo, Lent};
pub use self::connect::Connecting;
pub(crate) use self::gate::bucket;
pub use self::gate::{Gate, Limits, RefusedCounts, Trusted};
pub use self::holder::Holder;
pub use self::listener::{ListenOptions, Listener};
pub use self::pipe::{PIPE_BYTES_MAX, Pipe};
pub use self::proxy::ProxyProtocol;

/// Makes listeners and connections, and gives each connection its number. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Net {
    runtime: Handle,
    next_id: Arc<AtomicU64>,
    gate: Arc<Gate>,
}

impl Net {
    /// `runtime` drives the sockets. Listeners take what comes.
    pub fn new(runtime: Handle) -> Self {
        Self::with_limits(runtime, Limits::default())
    }

    /// As [`Net::new`], with limits for what listeners take.
    pub fn with_limits(runtime: Handle, limits: Limits) -> Self {
        let gate = Arc::new(Gate::new(limits));
        Self { runtime, next_id: Arc::new(AtomicU64::new(1)), gate }
    }

    /// Connections that were closed at once, since the start.
    pub fn refused(&self) -> RefusedCounts {
        self.gate.refused()
    }

    /// Connections accepted and dialled since the start.
    pub fn connections(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed) - 1
    }

    /// The runtime that drives the sockets.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Listens on `"[::]:1935"` (dual stack, IPv4 only where IPv6 is off), `"0.0.0.0:1935"` or `":1935"`; port 0 is any
    /// free one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the port is taken, with its holder when that can be read.
    pub fn listen(&self, address: &str) -> Result<Listener, Error> {
        self.listen_with(address, ListenOptions::default())
    }

    /// As [`Net::listen`], with TLS or behind a proxy.
    ///
    /// # Errors
    /// As [`Net::listen`].
    pub fn listen_with(&self, address: &str, options: ListenOptions) -> Result<Listener, Error> {
        Listener::bind(self.clone(), address, options)
    }

    /// Dials `"host:port"`; the time-out covers the look-up too. Drop the value to give up.
    pub fn connect(&self, address: &str, timeout: Duration) -> Connecting {
        Connecting::new(self.clone(), address, timeout)
    }

    /// Takes over a connected socket.
    ///
    /// # Errors
    /// When the socket has gone already, or the runtime can't take it.
    pub fn adopt(&self, socket: std::net::TcpStream) -> Result<Arc<Conn>, Error> {
        socket.set_nonblocking(true)?;
        let _entered = self.runtime.enter();
        let socket = tokio::net::TcpStream::from_std(socket)?;
        self.adopt_tokio(socket, Beginning::default())
    }

    fn adopt_tokio(
        &self,
        socket: tokio::net::TcpStream,
        beginning: Beginning,
    ) -> Result<Arc<Conn>, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Conn::new(id, self.runtime.clone(), socket, beginning)?))
    }
}

/// Why something with a socket could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{text:?} is not an address: expected \"[::]:1935\", \"0.0.0.0:1935\" or \":1935\"")]
    Address { text: String },

    #[error("address {address} is in use{}", held_by(holder.as_ref()))]
    Conflict { address: SocketAddr, holder: Option<Holder> },

    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },

    #[error("{0}")]
    Io(#[from] io::Error),

    #[error("no connection to {address} within {after:?}")]
    Timeout { address: String, after: Duration },

    #[error(transparent)]
    Tls(#[from] tls::Error),

    /// The socket is lent to a feed, or closed.
    #[error("the connection is {0}")]
    State(&'static str),
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}
