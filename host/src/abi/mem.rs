//! `pc.mem/1`.

use plugin_api::abi::core::{E_NO_MEMORY, Host, OK, Status};
use plugin_api::abi::mem::{BLOCK_MAX, Mem, MemApi};

use super::borrow;
use super::call::{Fault, call};

pub(super) static API: MemApi =
    MemApi { struct_size: super::size_of_table::<MemApi>(), revision: 1, alloc: Some(alloc) };

unsafe extern "C" fn alloc(
    host: *const Host,
    len: usize,
    data: *mut *mut u8,
    mem: *mut *mut Mem,
) -> Status {
    call(host, |instance| {
        if len > BLOCK_MAX {
            return Err(Fault::invalid(format!(
                "{len} bytes are more than a block may have, {BLOCK_MAX}"
            )));
        }
        let block = instance.pool.alloc(len);
        let block =
            block.ok_or_else(|| Fault::new(E_NO_MEMORY, "the server's memory limit is reached"))?;
        let (bytes, owner) = block.into_raw();
        borrow::put(data, bytes.as_ptr(), "data")?;
        borrow::put(mem, owner.as_ptr(), "mem")?;
        Ok(OK)
    })
}
