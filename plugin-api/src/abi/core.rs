//! Mirror of `core.h`.

use std::ffi::c_void;

/// `PC_ABI_MAJOR`.
pub const ABI_MAJOR: u32 = 0;
/// `PC_ABI_MINOR`.
pub const ABI_MINOR: u32 = 1;

/// `pc_str`. Frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    pub data: *const u8,
    pub len: usize,
}

/// `pc_status`.
pub type Status = i32;
/// `PC_OK`.
pub const OK: Status = 0;
/// `PC_PENDING`.
pub const PENDING: Status = 1;
/// `PC_END`.
pub const END: Status = 2;
/// `PC_DROPPED`.
pub const DROPPED: Status = 3;
/// `PC_E_INVALID`.
pub const E_INVALID: Status = -1;
/// `PC_E_HANDLE`.
pub const E_HANDLE: Status = -2;
/// `PC_E_UNSUPPORTED`.
pub const E_UNSUPPORTED: Status = -3;
/// `PC_E_LIMIT`.
pub const E_LIMIT: Status = -4;
/// `PC_E_STATE`.
pub const E_STATE: Status = -5;
/// `PC_E_IO`.
pub const E_IO: Status = -6;
/// `PC_E_TIMEOUT`.
pub const E_TIMEOUT: Status = -7;
/// `PC_E_CANCELLED`.
pub const E_CANCELLED: Status = -8;
/// `PC_E_DENIED`.
pub const E_DENIED: Status = -9;
/// `PC_E_NO_MEMORY`.
pub const E_NO_MEMORY: Status = -10;
/// `PC_E_PANIC`.
pub const E_PANIC: Status = -11;
/// `PC_E_INTERNAL`.
pub const E_INTERNAL: Status = -12;
/// `PC_E_NOT_FOUND`.
pub const E_NOT_FOUND: Status = -13;
/// `PC_E_CONFLICT`.
pub const E_CONFLICT: Status = -14;

/// `pc_handle`: slot, generation and owner; 0 is none.
pub type Handle = u64;

/// `pc_ns`: nanoseconds.
pub type Ns = i64;

/// `pc_field`. Frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub key: Str,
    pub value: Str,
}

/// `pc_waker_vtable`. Frozen.
#[repr(C)]
#[derive(Debug)]
pub struct WakerVtable {
    pub retain: unsafe extern "C" fn(waker: *mut Waker),
    pub release: unsafe extern "C" fn(waker: *mut Waker),
    pub wake: unsafe extern "C" fn(waker: *mut Waker),
}

/// `pc_waker`. Frozen.
#[repr(C)]
#[derive(Debug)]
pub struct Waker {
    pub vtable: *const WakerVtable,
}

/// `pc_future_vtable`.
#[repr(C)]
#[derive(Debug)]
pub struct FutureVtable {
    pub struct_size: u32,
    pub revision: u32,
    pub poll: Option<unsafe extern "C" fn(ctx: *mut c_void, waker: *mut Waker) -> Status>,
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// `pc_future`. Frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Future {
    pub vtable: *const FutureVtable,
    pub ctx: *mut c_void,
}

/// `pc_host`.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    pub struct_size: u32,
    pub abi_minor: u32,
    pub ctx: *mut c_void,
    pub server_name: Str,
    pub server_version: Str,
    pub get_interface: Option<
        unsafe extern "C" fn(host: *const Self, id: Str, min_revision: u32) -> *const c_void,
    >,
    pub set_error: Option<unsafe extern "C" fn(host: *const Self, code: Status, message: Str)>,
    pub last_error: Option<unsafe extern "C" fn(host: *const Self, message: *mut Str) -> Status>,
    pub close: Option<unsafe extern "C" fn(host: *const Self, handle: Handle) -> Status>,
}

/// `pc_plugin`.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    pub struct_size: u32,
    pub abi_minor: u32,
    pub id: Str,
    pub version: Str,
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            instance: Str,
            config_json: Str,
            this: *mut *mut c_void,
        ) -> Status,
    >,
    pub activate: Option<unsafe extern "C" fn(this: *mut c_void) -> Status>,
    pub deactivate: Option<unsafe extern "C" fn(this: *mut c_void, deadline_ns: u64) -> Status>,
    pub destroy: Option<unsafe extern "C" fn(this: *mut c_void)>,
    pub get_interface: Option<
        unsafe extern "C" fn(this: *mut c_void, id: Str, min_revision: u32) -> *const c_void,
    >,
}

/// `pc_entry`.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;
/// `PC_ENTRY_SYMBOL`.
pub const ENTRY_SYMBOL: &str = "plugcast_plugin_v0";
/// `PC_MANIFEST_SYMBOL`.
pub const MANIFEST_SYMBOL: &str = "PLUGCAST_MANIFEST";

/// `pc_manifest_head`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ManifestHead {
    pub magic: [u8; 8],
    pub format: u32,
    pub length: u32,
    pub crc: u32,
    pub reserved: u32,
}

/// The value of [`ManifestHead::magic`].
pub const MANIFEST_MAGIC: [u8; 8] = *b"PLUGCAST";
/// The value of [`ManifestHead::format`].
pub const MANIFEST_FORMAT: u32 = 1;
/// `PC_MANIFEST_MAX`.
pub const MANIFEST_MAX: u32 = 1 << 20;
