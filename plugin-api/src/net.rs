//! TCP sockets, owned by the host.
//!
//! They implement tokio's I/O traits, so `AsyncReadExt`, `select!`, `tokio::io::split` and `tokio_util` codecs work on
//! them. Dropping a future that reads or writes leaves nothing in flight. One poll at a time per direction: the last waker wins.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::abi::core::Handle;
use crate::abi::net::CONN_TLS;
use crate::error::{Error, Status};
use crate::ffi::Owned;
use crate::ffi::net::from_abi;
use crate::host::Host;

/// What to listen on, and what to say about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListenOptions<'a> {
    /// `[::]:1935` (dual stack, IPv4 only where IPv6 is off), `0.0.0.0:1935`, `:1935`; port 0: any free.
    pub address: &'a str,
    /// Short word for lists and logs: `rtmp`.
    pub protocol: &'a str,
    /// `rtmp://{host}/{key}`, for the start banner and the stream list; may be empty. `{host}` holds the port unless it is
    /// `default_port`.
    pub publish_url: &'a str,
    /// As `publish_url`, for players.
    pub play_url: &'a str,
    /// 0: none.
    pub default_port: u16,
    /// A certificate profile of the config: connections speak TLS, and reads and writes are plain. Empty: none.
    pub tls: &'a str,
    pub proxy_protocol: ProxyProtocol,
}

/// Whether connections begin with a PROXY header, of which the host takes the peer's address. Only peers in the config's
/// `limits.trusted_proxies` may send one. It is written so that it can stand in a plugin's config.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    serde::Deserialize,
    Eq,
    schemars::JsonSchema,
    PartialEq,
    serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    #[default]
    Off,
    /// Those of trusted peers may. Use `Required` where all of them do: otherwise who reaches such a peer past its own
    /// header can lie.
    Optional,
    /// Connections without a header are closed, and so are those of peers that are not trusted.
    Required,
}

/// Accepts connections. Dropping it stops listening; accepted connections stay.
#[derive(Debug)]
pub struct TcpListener(Owned);

impl TcpListener {
    /// Listens.
    ///
    /// # Errors
    /// [`Status::CONFLICT`](crate::Status::CONFLICT) when the port is taken, with the address and the holder in the text;
    /// [`Status::NOT_FOUND`](crate::Status::NOT_FOUND) when there is no such certificate profile.
    pub fn bind(host: &Host, options: ListenOptions<'_>) -> Result<Self, Error> {
        host.instance.tcp_listen(&options).map(Self)
    }

    /// The bound address.
    ///
    /// # Errors
    /// [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.0.instance.listener_addr(self.0.handle)
    }

    /// The next connection. Running out of descriptors is no error: the host logs it and goes on when there are some.
    ///
    /// # Errors
    /// [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops. Any error is final.
    pub async fn accept(&self) -> Result<TcpStream, Error> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`TcpListener::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, Error>> {
        loop {
            let conn = ready!(self.0.instance.poll_accept(self.0.handle, cx))?;
            match TcpStream::new(conn) {
                // A peer that has gone already is no reason to stop listening.
                Err(error) if error.status != Status::CANCELLED => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// The same number in log, API and metrics.
    pub id: u64,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub is_tls: bool,
}

/// A connection. Dropping it closes it.
///
/// `&TcpStream` reads and writes too, so that one session can do both at once without splitting.
#[derive(Debug)]
pub struct TcpStream {
    conn: Owned,
    info: ConnInfo,
}

impl TcpStream {
    fn new(conn: Owned) -> Result<Self, Error> {
        let info = conn.instance.conn_info(conn.handle)?;
        let info = ConnInfo {
            id: info.id,
            peer: from_abi(&info.peer),
            local: from_abi(&info.local),
            is_tls: info.flags & CONN_TLS != 0,
        };
        Ok(Self { conn, info })
    }

    /// Dials `host:port`.
    ///
    /// # Errors
    /// [`Status::IO`](crate::Status::IO) with the system's text, [`Status::INVALID`](crate::Status::INVALID) for a bad address.
    pub async fn connect(host: &Host, address: &str) -> Result<Self, Error> {
        let conn = host.instance.tcp_connect(address)?;
        std::future::poll_fn(|cx| conn.instance.poll_connect(conn.handle, cx)).await?;
        Self::new(conn)
    }

    /// Number and addresses.
    pub fn info(&self) -> ConnInfo {
        self.info
    }

    /// Bytes received and sent so far, (0, 0) once the instance stops.
    pub fn bytes(&self) -> (u64, u64) {
        let info = self.conn.instance.conn_info(self.conn.handle).unwrap_or_default();
        (info.bytes_in, info.bytes_out)
    }

    /// Two halves that own the connection together, for two tasks. It is closed when both are gone.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        let stream = Arc::new(self);
        (ReadHalf(Arc::clone(&stream)), WriteHalf(stream))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.conn.handle
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.conn.instance.poll_read(self.conn.handle, cx, buf).map_err(Into::into)
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.conn.instance.poll_write(self.conn.handle, cx, parts).map_err(Into::into)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is held back: what was taken is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.instance.poll_shutdown(self.conn.handle, cx).map_err(Into::into)
    }
}

/// The reading half; see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct ReadHalf(Arc<TcpStream>);

/// The writing half; see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct WriteHalf(Arc<TcpStream>);

macro_rules! borrowed {
    ($half:ty, |$this:ident| $stream:expr) => {
        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                let $this = self;
                $stream
            }
        }
    };
}

macro_rules! reads {
    ($half:ty) => {
        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut (*self).as_ref()).poll_read(cx, buf)
            }
        }
    };
}

macro_rules! writes {
    ($half:ty) => {
        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_write_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut (*self).as_ref()).poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut (*self).as_ref()).poll_shutdown(cx)
            }
        }
    };
}

borrowed!(TcpStream, |this| this);
borrowed!(ReadHalf, |this| &this.0);
borrowed!(WriteHalf, |this| &this.0);
reads!(TcpStream);
reads!(ReadHalf);
writes!(TcpStream);
writes!(WriteHalf);
