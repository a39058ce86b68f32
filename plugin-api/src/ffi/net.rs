//! Calls of pc.net/1.
#![expect(
    unsafe_code,
    reason = "calls through the host's tables, reads into memory that is not initialised"
)]

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::{Instance, Owned, budget, call, lend, size_u32};
use crate::abi::core::Handle;
use crate::abi::mem::Buf;
use crate::abi::net::{Addr, ConnInfo, PROXY_OFF, PROXY_OPTIONAL, PROXY_REQUIRED, TcpListen};
use crate::error::{Error, Status};
use crate::net::{ListenOptions, ProxyProtocol};

/// Parts of one vectored write; the rest waits for the next call.
const PARTS: usize = 64;

const NO_PART: Buf = Buf { data: std::ptr::null(), len: 0, mem: std::ptr::null_mut() };

impl Instance {
    pub(crate) fn tcp_listen(
        self: &Arc<Self>,
        options: &ListenOptions<'_>,
    ) -> Result<Owned, Error> {
        let options = TcpListen {
            struct_size: size_u32::<TcpListen>(),
            flags: 0,
            address: lend(options.address),
            protocol: lend(options.protocol),
            publish_url: lend(options.publish_url),
            play_url: lend(options.play_url),
            default_port: options.default_port.into(),
            proxy_protocol: match options.proxy_protocol {
                ProxyProtocol::Off => PROXY_OFF,
                ProxyProtocol::Optional => PROXY_OPTIONAL,
                ProxyProtocol::Required => PROXY_REQUIRED,
            },
            tls: lend(options.tls),
        };
        let mut listener = 0;
        call!(self, net.tcp_listen(&raw const options, &raw mut listener))?;
        Ok(Owned::new(self, listener))
    }

    pub(crate) fn listener_addr(&self, listener: Handle) -> Result<SocketAddr, Error> {
        let mut addr = Addr::default();
        call!(self, net.listener_addr(listener, &raw mut addr))?;
        Ok(from_abi(&addr))
    }

    pub(crate) fn poll_accept(
        self: &Arc<Self>,
        listener: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<Owned, Error>> {
        ready!(budget::spend(cx));
        let mut conn = 0;
        ready!(
            self.poll(cx, |waker| call!(self, net.poll_accept(listener, waker, &raw mut conn)))
        )?;
        Poll::Ready(Ok(Owned::new(self, conn)))
    }

    pub(crate) fn tcp_connect(self: &Arc<Self>, address: &str) -> Result<Owned, Error> {
        let mut conn = 0;
        call!(self, net.tcp_connect(lend(address), &raw mut conn))?;
        Ok(Owned::new(self, conn))
    }

    pub(crate) fn poll_connect(&self, conn: Handle, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, net.poll_connect(conn, waker))).map_ok(|_| ())
    }

    /// Reads into the unfilled part; nothing added means that the peer has closed its half.
    pub(crate) fn poll_read(
        &self,
        conn: Handle,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(budget::spend(cx));
        // SAFETY: the host writes initialised bytes only, and the count is tested below (net.h, poll_read).
        let space = unsafe { buf.unfilled_mut() };
        let (data, len) = (space.as_mut_ptr().cast::<u8>(), space.len());
        let mut n = 0;
        let status = ready!(
            self.poll(cx, |waker| call!(self, net.poll_read(conn, waker, data, len, &raw mut n)))
        )?;
        if status == Status::END {
            return Poll::Ready(Ok(()));
        }
        if n > len {
            return Poll::Ready(Err(Error::internal("the host read more than there was room for")));
        }
        // SAFETY: net.h: poll_read has written `n` bytes from the start of the space on.
        unsafe { buf.assume_init(n) };
        buf.advance(n);
        Poll::Ready(Ok(()))
    }

    /// Writes bytes that are lent for the call; how many were taken.
    pub(crate) fn poll_write(
        &self,
        conn: Handle,
        cx: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let mut bufs = [NO_PART; PARTS];
        let mut n_parts = 0;
        for (buf, part) in bufs.iter_mut().zip(parts.iter().filter(|part| !part.is_empty())) {
            *buf = Buf { data: part.as_ptr(), len: part.len(), ..NO_PART };
            n_parts += 1;
        }
        if n_parts == 0 {
            return Poll::Ready(Ok(0));
        }
        ready!(budget::spend(cx));
        let mut n = 0;
        let poll = self.poll(cx, |waker| {
            call!(self, net.poll_write(conn, waker, bufs.as_ptr(), n_parts, &raw mut n))
        });
        ready!(poll)?;
        Poll::Ready(Ok(n))
    }

    pub(crate) fn poll_shutdown(&self, conn: Handle, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, net.poll_shutdown(conn, waker))).map_ok(|_| ())
    }

    pub(crate) fn conn_info(&self, conn: Handle) -> Result<ConnInfo, Error> {
        let mut info = ConnInfo { struct_size: size_u32::<ConnInfo>(), ..ConnInfo::default() };
        call!(self, net.conn_info(conn, &raw mut info))?;
        Ok(info)
    }
}

/// `pc_addr` as Rust writes it; no address becomes `0.0.0.0:0`.
pub(crate) fn from_abi(addr: &Addr) -> SocketAddr {
    match addr.family {
        6 => SocketAddrV6::new(Ipv6Addr::from(addr.ip), addr.port, 0, addr.scope).into(),
        4 => {
            let [a, b, c, d, ..] = addr.ip;
            (Ipv4Addr::new(a, b, c, d), addr.port).into()
        }
        _ => (IpAddr::from([0; 4]), 0).into(),
    }
}
