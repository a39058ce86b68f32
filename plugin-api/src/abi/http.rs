//! Mirror of `http.h`.

use std::ffi::c_void;

use super::core::{Field, Handle, Host, Ns, Status, Str, Waker};
use super::mem::Buf;
use super::net::Addr;

/// `PC_HTTP_GET`.
pub const GET: u32 = 1;
/// `PC_HTTP_POST`.
pub const POST: u32 = 2;
/// `PC_HTTP_PUT`.
pub const PUT: u32 = 4;
/// `PC_HTTP_PATCH`.
pub const PATCH: u32 = 8;
/// `PC_HTTP_DELETE`.
pub const DELETE: u32 = 16;

/// `PC_HTTP_ADMIN`.
pub const ADMIN: u32 = 0;
/// `PC_HTTP_MEDIA`.
pub const MEDIA: u32 = 1;
/// `PC_HTTP_OPEN`.
pub const OPEN: u32 = 2;

/// `PC_HTTP_WEBSOCKET`.
pub const WEBSOCKET: u32 = 1;

/// `pc_http_route`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub struct_size: u32,
    pub access: u32,
    pub methods: u32,
    pub flags: u32,
    pub pattern: Str,
    pub protocol: Str,
    pub play_url: Str,
    pub body_max: u32,
    pub reserved: u32,
    pub deadline: Ns,
}

/// `PC_HTTP_BODY_MAX`.
pub const BODY_MAX: u32 = 16 << 20;
/// `PC_HTTP_DEADLINE_SECONDS`.
pub const DEADLINE_SECONDS: u32 = 60;

/// `pc_http_route_vtable`.
#[repr(C)]
#[derive(Debug)]
pub struct RouteVtable {
    pub struct_size: u32,
    pub revision: u32,
    pub on_request: Option<unsafe extern "C" fn(ctx: *mut c_void, request: Handle) -> Status>,
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// `pc_http_request`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub struct_size: u32,
    pub method: u32,
    pub flags: u32,
    pub reserved: u32,
    pub conn: u64,
    pub peer: Addr,
    pub path: Str,
    pub query: Str,
    pub body: *const u8,
    pub body_len: usize,
}

/// `pc_http_head`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub struct_size: u32,
    pub status: u32,
    pub n_headers: u32,
    pub reserved: u32,
    pub headers: *const Field,
}

/// `PC_HTTP_HEADERS_MAX`.
pub const HEADERS_MAX: u32 = 64;
/// `PC_HTTP_QUEUE_BYTES_MAX`.
pub const QUEUE_BYTES_MAX: usize = 256 << 10;

/// `PC_HTTP_ID`.
pub const ID: &str = "pc.http/1";

/// `pc_http_api`.
#[repr(C)]
#[derive(Debug)]
pub struct HttpApi {
    pub struct_size: u32,
    pub revision: u32,
    pub route: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const Route,
            vtable: *const RouteVtable,
            ctx: *mut c_void,
            route: *mut Handle,
        ) -> Status,
    >,
    pub request: Option<
        unsafe extern "C" fn(host: *const Host, request: Handle, info: *mut Request) -> Status,
    >,
    pub param: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            name: Str,
            value: *mut Str,
        ) -> Status,
    >,
    pub header: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            name: Str,
            value: *mut Str,
        ) -> Status,
    >,
    pub poll_gone: Option<
        unsafe extern "C" fn(host: *const Host, request: Handle, waker: *mut Waker) -> Status,
    >,
    pub answer: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            head: *const Head,
            body: *const Buf,
            n_body: usize,
        ) -> Status,
    >,
    pub refuse: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            error: Status,
            text: Str,
        ) -> Status,
    >,
    pub begin: Option<
        unsafe extern "C" fn(host: *const Host, request: Handle, head: *const Head) -> Status,
    >,
    pub poll_write: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            waker: *mut Waker,
            parts: *const Buf,
            n_parts: usize,
        ) -> Status,
    >,
    pub finish: Option<unsafe extern "C" fn(host: *const Host, request: Handle) -> Status>,
    pub attach: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: Handle,
            prepared: Handle,
            head: *const Head,
        ) -> Status,
    >,
}
