//! Mirror of `feeds.h`.

use std::ffi::c_void;

use super::core::{Handle, Host, Ns, Status, Str, Waker};
use super::mem::Buf;
use super::streams::{Frame, Shape};

/// `PC_PACKET_START_POINT`.
pub const PACKET_START_POINT: u32 = 1;
/// `PC_PACKET_DROPPABLE`.
pub const PACKET_DROPPABLE: u32 = 2;

/// `pc_packet`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub struct_size: u32,
    pub flags: u32,
    pub dts: Ns,
    pub head: u32,
    pub n_parts: u32,
    pub parts: *const Buf,
}

/// `PC_PACKET_BYTES_MAX`.
pub const PACKET_BYTES_MAX: usize = 32 << 20;
/// `PC_HEAD_BYTES_MAX`.
pub const HEAD_BYTES_MAX: usize = 1 << 20;

/// `pc_feed_out`.
#[repr(C)]
#[derive(Debug)]
pub struct FeedOut {
    pub struct_size: u32,
    pub revision: u32,
    pub set_head: Option<
        unsafe extern "C" fn(
            out: *mut c_void,
            preamble: *const Buf,
            n_preamble: usize,
            config: *const Buf,
            n_config: usize,
            head: *mut u32,
        ) -> Status,
    >,
    pub write: Option<
        unsafe extern "C" fn(out: *mut c_void, packets: *const *const Packet, n: usize) -> Status,
    >,
}

/// `pc_packager_vtable`.
#[repr(C)]
#[derive(Debug)]
pub struct PackagerVtable {
    pub struct_size: u32,
    pub revision: u32,
    pub open: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            shape: *const Shape,
            variant: Str,
            table: *const FeedOut,
            out: *mut c_void,
            packager: *mut *mut c_void,
        ) -> Status,
    >,
    pub on_shape: Option<
        unsafe extern "C" fn(
            packager: *mut c_void,
            shape: *const Shape,
            table: *const FeedOut,
            out: *mut c_void,
        ) -> Status,
    >,
    pub on_frames: Option<
        unsafe extern "C" fn(
            packager: *mut c_void,
            frames: *const *const Frame,
            n: usize,
            table: *const FeedOut,
            out: *mut c_void,
        ) -> Status,
    >,
    pub close: Option<unsafe extern "C" fn(packager: *mut c_void)>,
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// `pc_prepare`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Prepare {
    pub struct_size: u32,
    pub flags: u32,
    pub url: Str,
    pub format: Str,
    pub variant: Str,
    pub conn: Handle,
    pub agent: Str,
    pub wait: Ns,
}

/// `PC_VARIANT_MAX`.
pub const VARIANT_MAX: usize = 64;

/// `pc_detached`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Detached {
    pub struct_size: u32,
    pub reason: u32,
    pub bytes: u64,
    pub skipped: u64,
}

/// `PC_FEEDS_ID`.
pub const ID: &str = "pc.feeds/1";
/// `PC_INJECT_BYTES_MAX`.
pub const INJECT_BYTES_MAX: usize = 65_536;
/// `PC_PREPARED_SECONDS`.
pub const PREPARED_SECONDS: u32 = 10;

/// `pc_feeds_api`.
#[repr(C)]
#[derive(Debug)]
pub struct FeedsApi {
    pub struct_size: u32,
    pub revision: u32,
    pub register_packager: Option<
        unsafe extern "C" fn(
            host: *const Host,
            format: Str,
            vtable: *const PackagerVtable,
            ctx: *mut c_void,
            packager: *mut Handle,
        ) -> Status,
    >,
    pub prepare: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const Prepare,
            prepared: *mut Handle,
        ) -> Status,
    >,
    pub poll_prepared: Option<
        unsafe extern "C" fn(host: *const Host, prepared: Handle, waker: *mut Waker) -> Status,
    >,
    pub attach: Option<
        unsafe extern "C" fn(
            host: *const Host,
            conn: Handle,
            prepared: Handle,
            first: *const Buf,
            n_first: usize,
            viewer: *mut Handle,
        ) -> Status,
    >,
    pub inject: Option<
        unsafe extern "C" fn(
            host: *const Host,
            viewer: Handle,
            parts: *const Buf,
            n_parts: usize,
        ) -> Status,
    >,
    pub detach: Option<unsafe extern "C" fn(host: *const Host, viewer: Handle) -> Status>,
    pub poll_detached: Option<
        unsafe extern "C" fn(
            host: *const Host,
            viewer: Handle,
            waker: *mut Waker,
            detached: *mut Detached,
        ) -> Status,
    >,
}
