//! Mirror of `tasks.h`.

use std::ffi::c_void;

use super::core::{Field, Future, Handle, Host, Ns, Status, Str};

/// `pc_retry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub struct_size: u32,
    pub count: u32,
    pub interval: Ns,
    pub interval_max: Ns,
    pub steady: Ns,
}

/// `pc_task_vtable`.
#[repr(C)]
#[derive(Debug)]
pub struct TaskVtable {
    pub struct_size: u32,
    pub revision: u32,
    pub attempt: Option<unsafe extern "C" fn(ctx: *mut c_void, future: *mut Future) -> Status>,
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// `PC_TASKS_ID`.
pub const ID: &str = "pc.tasks/1";

/// `pc_tasks_api`.
#[repr(C)]
#[derive(Debug)]
pub struct TasksApi {
    pub struct_size: u32,
    pub revision: u32,
    pub job: Option<
        unsafe extern "C" fn(
            host: *const Host,
            parent: Handle,
            kind: Str,
            name: Str,
            job: *mut Handle,
        ) -> Status,
    >,
    pub run: Option<
        unsafe extern "C" fn(
            host: *const Host,
            parent: Handle,
            kind: Str,
            name: Str,
            retry: *const Retry,
            vtable: *const TaskVtable,
            ctx: *mut c_void,
            task: *mut Handle,
        ) -> Status,
    >,
    pub describe: Option<
        unsafe extern "C" fn(
            host: *const Host,
            task: Handle,
            fields: *const Field,
            n: usize,
        ) -> Status,
    >,
    pub progress: Option<
        unsafe extern "C" fn(host: *const Host, task: Handle, done: u64, total: u64) -> Status,
    >,
}
