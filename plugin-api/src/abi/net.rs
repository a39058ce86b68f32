//! Mirror of `net.h`.

use super::core::{Handle, Host, Status, Str, Waker};
use super::mem::Buf;

/// `pc_addr`. Frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Addr {
    pub ip: [u8; 16],
    pub scope: u32,
    pub port: u16,
    pub family: u16,
}

/// `pc_tcp_listen`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TcpListen {
    pub struct_size: u32,
    pub flags: u32,
    pub address: Str,
    pub protocol: Str,
    pub publish_url: Str,
    pub play_url: Str,
    pub default_port: u32,
    /// `PC_PROXY_*`.
    pub proxy_protocol: u32,
    pub tls: Str,
}

/// `PC_PROXY_OFF`.
pub const PROXY_OFF: u32 = 0;
/// `PC_PROXY_OPTIONAL`.
pub const PROXY_OPTIONAL: u32 = 1;
/// `PC_PROXY_REQUIRED`.
pub const PROXY_REQUIRED: u32 = 2;
/// `PC_CONN_TLS`.
pub const CONN_TLS: u32 = 1;

/// `pc_conn_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnInfo {
    pub struct_size: u32,
    pub flags: u32,
    pub id: u64,
    pub peer: Addr,
    pub local: Addr,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// `PC_NET_ID`.
pub const ID: &str = "pc.net/1";

/// `pc_net_api`.
#[repr(C)]
#[derive(Debug)]
pub struct NetApi {
    pub struct_size: u32,
    pub revision: u32,
    pub tcp_listen: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const TcpListen,
            listener: *mut Handle,
        ) -> Status,
    >,
    pub listener_addr: Option<
        unsafe extern "C" fn(host: *const Host, listener: Handle, local: *mut Addr) -> Status,
    >,
    pub poll_accept: Option<
        unsafe extern "C" fn(
            host: *const Host,
            listener: Handle,
            waker: *mut Waker,
            conn: *mut Handle,
        ) -> Status,
    >,
    pub tcp_connect:
        Option<unsafe extern "C" fn(host: *const Host, address: Str, conn: *mut Handle) -> Status>,
    pub poll_connect:
        Option<unsafe extern "C" fn(host: *const Host, conn: Handle, waker: *mut Waker) -> Status>,
    pub poll_read: Option<
        unsafe extern "C" fn(
            host: *const Host,
            conn: Handle,
            waker: *mut Waker,
            data: *mut u8,
            len: usize,
            n: *mut usize,
        ) -> Status,
    >,
    pub poll_write: Option<
        unsafe extern "C" fn(
            host: *const Host,
            conn: Handle,
            waker: *mut Waker,
            parts: *const Buf,
            n_parts: usize,
            n: *mut usize,
        ) -> Status,
    >,
    pub poll_shutdown:
        Option<unsafe extern "C" fn(host: *const Host, conn: Handle, waker: *mut Waker) -> Status>,
    pub conn_info: Option<
        unsafe extern "C" fn(host: *const Host, conn: Handle, info: *mut ConnInfo) -> Status,
    >,
}
