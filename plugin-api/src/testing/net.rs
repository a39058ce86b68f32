//! pc.net/1 of the fake host: real sockets on loopback.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream};

use super::exec::pending;
use super::state::Object;
use super::tables::{enter, owned, put};
use crate::abi;
use crate::abi::core::{Handle, Host, Str};
use crate::abi::mem::Buf;
use crate::abi::net::{Addr, ConnInfo, NetApi, TcpListen};
use crate::error::{Error, Status};
use crate::ffi::convert::slice;
use crate::ffi::size_u32;

pub(super) static NET: NetApi = NetApi {
    struct_size: size_u32::<NetApi>(),
    revision: 1,
    tcp_listen: Some(tcp_listen),
    listener_addr: Some(listener_addr),
    poll_accept: Some(poll_accept),
    tcp_connect: Some(tcp_connect),
    poll_connect: Some(poll_connect),
    poll_read: Some(poll_read),
    poll_write: Some(poll_write),
    poll_shutdown: Some(poll_shutdown),
    conn_info: Some(conn_info),
};

pub(super) struct Conn {
    pub(super) stream: TcpStream,
    /// A viewer has the write half.
    pub(super) lent: AtomicBool,
}

impl Conn {
    fn object(stream: TcpStream) -> Object {
        let _ = stream.set_nodelay(true);
        Object::Conn(Arc::new(Self { stream, lent: AtomicBool::new(false) }))
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Polls with the plugin's waker.
pub(super) fn poll<T>(
    waker: *mut abi::core::Waker,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    done: impl FnOnce(T) -> Status,
) -> Result<Status, Error> {
    let mut result = Poll::Pending;
    pending(waker, |cx| result = poll(&mut Context::from_waker(cx.waker())))?;
    match result {
        Poll::Pending => Ok(Status::PENDING),
        Poll::Ready(result) => Ok(done(result.map_err(|error| Error::io(error.to_string()))?)),
    }
}

fn conn(object: Object) -> Result<Arc<Conn>, Error> {
    match object {
        Object::Conn(conn) => Ok(conn),
        _ => Err(Error::new(Status::HANDLE, "no connection")),
    }
}

fn listener(object: Object) -> Result<Arc<TcpListener>, Error> {
    match object {
        Object::Listener(listener) => Ok(listener),
        _ => Err(Error::new(Status::HANDLE, "no listener")),
    }
}

fn to_abi(addr: SocketAddr) -> Addr {
    let mut ip = [0; 16];
    let family = match addr.ip().to_canonical() {
        IpAddr::V4(v4) => {
            ip[..4].copy_from_slice(&v4.octets());
            4
        }
        IpAddr::V6(v6) => {
            ip = v6.octets();
            6
        }
    };
    Addr { ip, scope: 0, port: addr.port(), family }
}

unsafe extern "C" fn tcp_listen(
    host: *const Host,
    options: *const TcpListen,
    handle: *mut Handle,
) -> abi::core::Status {
    // SAFETY: net.h: lent for the call.
    let address = owned(unsafe { &*options }.address);
    enter(host, "tcp_listen", |shared| {
        // Tests stay on loopback whatever the config's default says.
        let port: u16 = address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        let bound = std::net::TcpListener::bind(("127.0.0.1", port)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let _context = shared.runtime().enter();
            TcpListener::from_std(listener)
        });
        let listener = bound.map_err(|error| Error::conflict(format!("{address}: {error}")))?;
        let mut state = shared.lock();
        put(handle, state.add(Object::Listener(Arc::new(listener))));
        shared.changed(state);
        Ok(Status::OK)
    })
}

unsafe extern "C" fn listener_addr(
    host: *const Host,
    handle: Handle,
    local: *mut Addr,
) -> abi::core::Status {
    enter(host, "listener_addr", |shared| {
        put(local, to_abi(listener(shared.find(handle)?)?.local_addr().map_err(Error::from)?));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_accept(
    host: *const Host,
    handle: Handle,
    waker: *mut abi::core::Waker,
    out: *mut Handle,
) -> abi::core::Status {
    enter(host, "poll_accept", |shared| {
        let listener = listener(shared.find(handle)?)?;
        let accepted = |(stream, _)| {
            put(out, shared.lock().add(Conn::object(stream)));
            Status::OK
        };
        poll(waker, |cx| listener.poll_accept(cx), accepted)
    })
}

unsafe extern "C" fn tcp_connect(
    host: *const Host,
    address: Str,
    out: *mut Handle,
) -> abi::core::Status {
    let address = owned(address);
    enter(host, "tcp_connect", |shared| {
        let dial = shared.runtime().spawn(TcpStream::connect(address));
        put(out, shared.lock().add(Object::Connecting(Arc::new(Mutex::new(Some(dial))))));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_connect(
    host: *const Host,
    handle: Handle,
    waker: *mut abi::core::Waker,
) -> abi::core::Status {
    enter(host, "poll_connect", |shared| {
        let Object::Connecting(dial) = shared.find(handle)? else {
            return Err(Error::state("connected already"));
        };
        let mut dial = dial.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dial) = dial.as_mut() else { return Err(Error::state("connected already")) };
        let dialled = |stream: TcpStream| {
            shared.lock().objects.insert(handle, Conn::object(stream));
            Status::OK
        };
        let dial = std::pin::Pin::new(dial);
        poll(waker, |cx| dial.poll(cx).map(|joined| joined.map_err(io::Error::other)?), dialled)
    })
}

unsafe extern "C" fn poll_read(
    host: *const Host,
    handle: Handle,
    waker: *mut abi::core::Waker,
    data: *mut u8,
    len: usize,
    n: *mut usize,
) -> abi::core::Status {
    enter(host, "poll_read", |shared| {
        let conn = conn(shared.find(handle)?)?;
        // The plugin's memory may not be initialised, so it is written by copying.
        let mut bytes = vec![0; len.min(64 << 10)];
        let read = |cx: &mut Context<'_>| loop {
            ready!(conn.stream.poll_read_ready(cx))?;
            match conn.stream.try_read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        };
        let mut got = 0;
        let status = poll(waker, read, |count| {
            got = count;
            if count == 0 { Status::END } else { Status::OK }
        })?;
        // SAFETY: net.h: `len` writable bytes, lent for the call, and `got <= len`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, got) };
        put(n, got);
        Ok(status)
    })
}

unsafe extern "C" fn poll_write(
    host: *const Host,
    handle: Handle,
    waker: *mut abi::core::Waker,
    parts: *const Buf,
    n_parts: usize,
    n: *mut usize,
) -> abi::core::Status {
    // SAFETY: net.h: `n_parts` views, lent for the call.
    let parts = unsafe { slice(parts, n_parts) };
    // SAFETY: mem.h: readable bytes.
    let bytes: Vec<&[u8]> =
        parts.iter().map(|part| unsafe { slice(part.data, part.len) }).collect();
    enter(host, "poll_write", |shared| {
        let conn = conn(shared.find(handle)?)?;
        if conn.lent.load(Ordering::SeqCst) {
            return Err(Error::state("the write half is lent to a feed"));
        }
        let slices: Vec<_> = bytes.iter().map(|part| IoSlice::new(part)).collect();
        let taken = |count| {
            put(n, count);
            Status::OK
        };
        poll(waker, |cx| conn.poll_write(cx, &slices), taken)
    })
}

unsafe extern "C" fn poll_shutdown(
    host: *const Host,
    handle: Handle,
    _: *mut abi::core::Waker,
) -> abi::core::Status {
    enter(host, "poll_shutdown", |shared| {
        let conn = conn(shared.find(handle)?)?;
        let socket = socket(&conn.stream)?;
        socket.shutdown(std::net::Shutdown::Write).map_err(Error::from)?;
        Ok(Status::OK)
    })
}

/// A second descriptor of the socket: tokio has no shutdown by shared reference.
#[cfg(unix)]
fn socket(stream: &TcpStream) -> Result<std::net::TcpStream, Error> {
    use std::os::fd::AsFd;
    let fd = stream.as_fd().try_clone_to_owned().map_err(Error::from)?;
    Ok(fd.into())
}

#[cfg(windows)]
fn socket(stream: &TcpStream) -> Result<std::net::TcpStream, Error> {
    use std::os::windows::io::AsSocket;
    let socket = stream.as_socket().try_clone_to_owned().map_err(Error::from)?;
    Ok(socket.into())
}

unsafe extern "C" fn conn_info(
    host: *const Host,
    handle: Handle,
    info: *mut ConnInfo,
) -> abi::core::Status {
    enter(host, "conn_info", |shared| {
        let conn = conn(shared.find(handle)?)?;
        let peer = to_abi(conn.stream.peer_addr().map_err(Error::from)?);
        let local = to_abi(conn.stream.local_addr().map_err(Error::from)?);
        let struct_size = size_u32::<ConnInfo>();
        put(
            info,
            ConnInfo { struct_size, flags: 0, id: handle, peer, local, bytes_in: 0, bytes_out: 0 },
        );
        Ok(Status::OK)
    })
}
