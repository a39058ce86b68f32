//! Mirror of `mem.h`.

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
