//! `pc.net/1`.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use plugin_api::abi::core::{self as abi, END, Handle, Host, OK, PENDING, Status, Str, Waker};
use plugin_api::abi::mem::Buf;
use plugin_api::abi::net::{
    Addr, CONN_TLS, ConnInfo, NetApi, PROXY_OFF, PROXY_OPTIONAL, PROXY_REQUIRED, TcpListen,
};

use super::call::{Fault, call};
use super::waker::with_context;
use super::{Object, borrow, no_waker};
use crate::listeners::ListenerEntry;
use crate::net::{CloseReason, Conn, Connecting, Error, ListenOptions, Listener, ProxyProtocol};
use crate::plugin::instance::Instance;

/// How long a dialled connection may take, look-up included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) static API: NetApi = NetApi {
    struct_size: super::size_of_table::<NetApi>(),
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

/// A listener, and what it is listed as.
pub(crate) struct Listening {
    listener: Listener,
    listed: crate::listeners::ListenerGuard,
}

impl Listening {
    pub(super) fn close(&self) {
        self.listener.close();
        if let Some(entry) = self.listed.remove() {
            let ListenerEntry { instance, protocol, address, .. } = entry;
            tracing::info!(event = "listener.close", instance, protocol, %address);
        }
    }
}

/// A connection, or one that is being dialled. A clone is a share of it.
#[derive(Clone)]
pub(crate) enum Socket {
    Conn(Arc<Conn>),
    Dialling(Arc<Mutex<Dialling>>),
}

pub(crate) enum Dialling {
    Closed,
    Connected(Arc<Conn>),
    Connecting(Connecting),
}

impl Socket {
    /// `PC_E_STATE` while it is being dialled.
    pub(super) fn conn(self) -> Result<Arc<Conn>, Fault> {
        match self {
            Self::Conn(conn) => Ok(conn),
            Self::Dialling(state) => match &*state.lock() {
                Dialling::Connected(conn) => Ok(Arc::clone(conn)),
                _ => Err(Fault::state("not connected")),
            },
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Conn(conn) => conn.close(CloseReason::Asked),
            Self::Dialling(state) => {
                let before = std::mem::replace(&mut *state.lock(), Dialling::Closed);
                if let Dialling::Connected(conn) = before {
                    conn.close(CloseReason::Asked);
                }
            }
        }
    }
}

/// The connection of a handle.
pub(super) fn conn(instance: &'static Instance, handle: Handle) -> Result<Arc<Conn>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Conn(socket)) => socket.conn(),
        _ => Err(Fault::handle()),
    }
}

/// The peer that a request names, if it names one: by its connection, or its HTTP request.
pub(super) fn peer(
    instance: &'static Instance,
    handle: Handle,
) -> Result<(Option<SocketAddr>, u64), Fault> {
    if handle == 0 {
        return Ok((None, 0));
    }
    if let Some(Object::Request(request)) = instance.handles.get(handle) {
        return Ok((Some(request.peer), request.conn));
    }
    let conn = conn(instance, handle)?;
    Ok((Some(conn.peer()), conn.id()))
}

pub(super) fn fault(error: &Error) -> Fault {
    let status = match error {
        Error::Address { .. } => abi::E_INVALID,
        Error::Conflict { .. } => abi::E_CONFLICT,
        Error::State(_) => abi::E_STATE,
        Error::Timeout { .. } => abi::E_TIMEOUT,
        _ => abi::E_IO,
    };
    Fault::new(status, error.to_string())
}

pub(super) fn to_abi(addr: SocketAddr) -> Addr {
    let mut ip = [0; 16];
    let (family, scope) = match addr {
        SocketAddr::V4(v4) => {
            ip.first_chunk_mut::<4>().into_iter().for_each(|place| *place = v4.ip().octets());
            (4, 0)
        }
        SocketAddr::V6(v6) => {
            ip = v6.ip().octets();
            (6, v6.scope_id())
        }
    };
    Addr { ip, scope, port: addr.port(), family }
}

fn listen_options(
    instance: &'static Instance,
    options: &TcpListen,
) -> Result<ListenOptions, Fault> {
    let proxy_protocol = match options.proxy_protocol {
        PROXY_OFF => ProxyProtocol::Off,
        PROXY_OPTIONAL => ProxyProtocol::Optional,
        PROXY_REQUIRED => ProxyProtocol::Required,
        other => return Err(Fault::invalid(format!("proxy_protocol {other} is not known"))),
    };
    let tls = match borrow::text(options.tls, "tls")? {
        "" => None,
        name => Some(instance.services.tls.get(name).cloned().ok_or_else(|| {
            Fault::new(
                abi::E_NOT_FOUND,
                format!("there is no certificate profile tls.{name} in the config"),
            )
        })?),
    };
    Ok(ListenOptions { tls, proxy_protocol })
}

unsafe extern "C" fn tcp_listen(
    host: *const Host,
    options: *const TcpListen,
    listener: *mut Handle,
) -> Status {
    call(host, |instance| {
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let options = borrow::sized(options, "options")?;
        let address = borrow::text(options.address, "address")?;
        let protocol = borrow::text(options.protocol, "protocol")?;
        let (publish, play) = (
            borrow::text(options.publish_url, "publish_url")?,
            borrow::text(options.play_url, "play_url")?,
        );
        let services = &instance.services;
        let listen_options = listen_options(instance, options)?;
        let bound = match services.net.listen_with(address, listen_options) {
            Ok(bound) => bound,
            Err(error) => {
                tracing::error!(
                    event = "listener.failed",
                    instance = instance.name,
                    protocol,
                    address,
                    "{error}"
                );
                if matches!(error, Error::Conflict { .. }) {
                    services.listeners.conflict(&instance.name, &error.to_string());
                }
                return Err(fault(&error));
            }
        };
        let entry = ListenerEntry {
            instance: instance.name.clone(),
            protocol: protocol.to_owned(),
            address: bound.local_addr(),
            publish_url: publish.to_owned(),
            play_url: play.to_owned(),
            default_port: u16::try_from(options.default_port).unwrap_or(0),
        };
        tracing::info!(event = "listener.open", instance = instance.name, protocol, address = %entry.address);
        let listed = services.listeners.add(entry);
        super::give(
            instance,
            Object::Listener(Arc::new(Listening { listener: bound, listed })),
            listener,
        )
    })
}

unsafe extern "C" fn listener_addr(
    host: *const Host,
    listener: Handle,
    local: *mut Addr,
) -> Status {
    call(host, |instance| {
        let Some(Object::Listener(listening)) = instance.handles.get(listener) else {
            return Err(Fault::handle());
        };
        borrow::put(local, to_abi(listening.listener.local_addr()), "local")?;
        Ok(OK)
    })
}

unsafe extern "C" fn poll_accept(
    host: *const Host,
    listener: Handle,
    waker: *mut Waker,
    conn: *mut Handle,
) -> Status {
    call(host, |instance| {
        let Some(Object::Listener(listening)) = instance.handles.get(listener) else {
            return Err(Fault::handle());
        };
        match with_context(waker, |cx| listening.listener.poll_accept(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(accepted)) => {
                super::give(instance, Object::Conn(Socket::Conn(accepted)), conn)
            }
            Poll::Ready(Err(error)) => Err(fault(&error)),
        }
    })
}

unsafe extern "C" fn tcp_connect(host: *const Host, address: Str, conn: *mut Handle) -> Status {
    call(host, |instance| {
        let connecting =
            instance.services.net.connect(borrow::text(address, "address")?, CONNECT_TIMEOUT);
        let socket = Socket::Dialling(Arc::new(Mutex::new(Dialling::Connecting(connecting))));
        super::give(instance, Object::Conn(socket), conn)
    })
}

unsafe extern "C" fn poll_connect(host: *const Host, conn: Handle, waker: *mut Waker) -> Status {
    call(host, |instance| {
        let Some(Object::Conn(socket)) = instance.handles.get(conn) else {
            return Err(Fault::handle());
        };
        let Socket::Dialling(state) = socket else { return Ok(OK) };
        let mut state = state.lock();
        let Dialling::Connecting(connecting) = &*state else { return Ok(OK) };
        match with_context(waker, |cx| connecting.poll(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(connected)) => {
                *state = Dialling::Connected(connected);
                Ok(OK)
            }
            Poll::Ready(Err(error)) => {
                *state = Dialling::Closed;
                Err(fault(&error))
            }
        }
    })
}

unsafe extern "C" fn poll_read(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    data: *mut u8,
    len: usize,
    n: *mut usize,
) -> Status {
    call(host, |instance| {
        let conn = conn(instance, handle)?;
        let buffer = borrow::writable(data, len, "data")?;
        if buffer.is_empty() {
            return Err(Fault::invalid("there is no room to read into"));
        }
        match with_context(waker, |cx| conn.poll_read(cx, buffer)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(0)) => Ok(END),
            Poll::Ready(Ok(read)) => {
                borrow::put(n, read, "n")?;
                Ok(OK)
            }
            Poll::Ready(Err(error)) => Err(fault(&error)),
        }
    })
}

/// The kernel takes no more slices than this in one call.
const SLICES_MAX: usize = 64;

unsafe extern "C" fn poll_write(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    parts: *const Buf,
    n_parts: usize,
    n: *mut usize,
) -> Status {
    call(host, |instance| {
        let conn = conn(instance, handle)?;
        let parts = borrow::slice(parts, n_parts, "parts")?;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        for (place, part) in slices.iter_mut().zip(parts) {
            *place = IoSlice::new(borrow::bytes(part.data, part.len, "a part")?);
        }
        let slices = slices.get(..parts.len().min(SLICES_MAX)).unwrap_or_default();
        match with_context(waker, |cx| conn.poll_write(cx, slices)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(written)) => {
                borrow::put(n, written, "n")?;
                Ok(OK)
            }
            Poll::Ready(Err(error)) => Err(fault(&error)),
        }
    })
}

unsafe extern "C" fn poll_shutdown(host: *const Host, handle: Handle, waker: *mut Waker) -> Status {
    call(host, |instance| {
        let conn = conn(instance, handle)?;
        match with_context(waker, |cx| conn.poll_shutdown(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(())) => Ok(OK),
            Poll::Ready(Err(error)) => Err(fault(&error)),
        }
    })
}

unsafe extern "C" fn conn_info(host: *const Host, handle: Handle, info: *mut ConnInfo) -> Status {
    call(host, |instance| {
        let conn = conn(instance, handle)?;
        let struct_size = borrow::sized(info.cast_const(), "info")?.struct_size;
        let known = ConnInfo {
            struct_size,
            flags: if conn.is_tls() { CONN_TLS } else { 0 },
            id: conn.id(),
            peer: to_abi(conn.peer()),
            local: to_abi(conn.local()),
            bytes_in: conn.bytes_in(),
            bytes_out: conn.bytes_out(),
        };
        borrow::put(info, known, "info")?;
        Ok(OK)
    })
}

/// The connection that a request names has said what it wants: it counts as handshaking no longer.
pub(super) fn established(instance: &'static Instance, handle: Handle) {
    if let Ok(conn) = conn(instance, handle) {
        conn.established();
    }
}

/// The address that rules and limits look at.
pub(super) fn ip(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip())
}
