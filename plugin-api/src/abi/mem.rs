//! Mirror of `mem.h`.

use super::core::{Host, Status};

/// `pc_mem_vtable`. Frozen.
#[repr(C)]
#[derive(Debug)]
pub struct MemVtable {
    pub retain: unsafe extern "C" fn(mem: *mut Mem),
    pub release: unsafe extern "C" fn(mem: *mut Mem),
}

/// `pc_mem`. Frozen.
#[repr(C)]
#[derive(Debug)]
pub struct Mem {
    pub vtable: *const MemVtable,
}

/// `pc_buf`. Frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Buf {
    pub data: *const u8,
    pub len: usize,
    pub mem: *mut Mem,
}

/// `PC_MEM_BLOCK_MAX`.
pub const BLOCK_MAX: usize = 64 << 20;

/// `PC_MEM_ID`.
pub const ID: &str = "pc.mem/1";

/// `pc_mem_api`.
#[repr(C)]
#[derive(Debug)]
pub struct MemApi {
    pub struct_size: u32,
    pub revision: u32,
    pub alloc: Option<
        unsafe extern "C" fn(
            host: *const Host,
            len: usize,
            data: *mut *mut u8,
            mem: *mut *mut Mem,
        ) -> Status,
    >,
}
