//! Mirror of `exec.h`.

use std::ffi::c_void;

use super::core::{Future, Handle, Host, Ns, Status, Str, Waker};

/// `pc_thread_vtable`.
#[repr(C)]
#[derive(Debug)]
pub struct ThreadVtable {
    pub struct_size: u32,
    pub revision: u32,
    pub run: Option<unsafe extern "C" fn(ctx: *mut c_void) -> Status>,
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// Starts a thread: `thread` and `blocking` of [`ExecApi`].
pub type StartThread = unsafe extern "C" fn(
    host: *const Host,
    name: Str,
    vtable: *const ThreadVtable,
    ctx: *mut c_void,
    handle: *mut Handle,
) -> Status;

/// `PC_EXEC_ID`.
pub const ID: &str = "pc.exec/1";
/// `PC_THREADS_MAX`.
pub const THREADS_MAX: u32 = 64;

/// `pc_exec_api`.
#[repr(C)]
#[derive(Debug)]
pub struct ExecApi {
    pub struct_size: u32,
    pub revision: u32,
    pub now: Option<unsafe extern "C" fn(host: *const Host) -> Ns>,
    pub spawn: Option<
        unsafe extern "C" fn(
            host: *const Host,
            parent: Handle,
            kind: Str,
            name: Str,
            future: Future,
            task: *mut Handle,
        ) -> Status,
    >,
    pub poll_task:
        Option<unsafe extern "C" fn(host: *const Host, task: Handle, waker: *mut Waker) -> Status>,
    pub thread: Option<StartThread>,
    pub blocking: Option<StartThread>,
    pub thread_waker: Option<unsafe extern "C" fn(host: *const Host) -> *mut Waker>,
    pub park: Option<unsafe extern "C" fn(host: *const Host, deadline: Ns) -> Status>,
    pub timer: Option<unsafe extern "C" fn(host: *const Host, timer: *mut Handle) -> Status>,
    pub poll_timer: Option<
        unsafe extern "C" fn(
            host: *const Host,
            timer: Handle,
            deadline: Ns,
            waker: *mut Waker,
        ) -> Status,
    >,
}
