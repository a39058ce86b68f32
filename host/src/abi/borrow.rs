//! Arguments that plugins lend: text, bytes, sized structs. Checked here, once, and safe from here on.
#![expect(unsafe_code, reason = "reads memory that plugins lend for a call")]

use plugin_api::abi::core::Str;
use plugin_api::abi::mem as abi;
use plugin_api::mem::{Buf, Pool};

use super::call::Fault;

/// Lent text, as Rust text.
pub(super) fn text<'call>(text: Str, what: &str) -> Result<&'call str, Fault> {
    let bytes = bytes(text.data, text.len, what)?;
    std::str::from_utf8(bytes).map_err(|_| Fault::invalid(format!("{what} is not UTF-8")))
}

/// Lent bytes; length 0 may come with any pointer.
pub(super) fn bytes<'call>(data: *const u8, len: usize, what: &str) -> Result<&'call [u8], Fault> {
    slice(data, len, what)
}

/// Bytes that the plugin lends to be written.
pub(super) fn writable<'call>(
    data: *mut u8,
    len: usize,
    what: &str,
) -> Result<&'call mut [u8], Fault> {
    if len == 0 {
        return Ok(&mut []);
    }
    if data.is_null() || len > isize::MAX as usize {
        return Err(Fault::invalid(format!("{what} is NULL or too long")));
    }
    // SAFETY: net.h: `len` bytes from `data` on are writable for the call. Plugins pass memory that has been written before
    // (the Rust API's `ReadBuf` does), so reading it is defined.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// A lent array.
pub(super) fn slice<'call, T: 'call>(
    data: *const T,
    len: usize,
    what: &str,
) -> Result<&'call [T], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || !data.is_aligned() || len > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Fault::invalid(format!("{what} is NULL, not aligned, or too long")));
    }
    // SAFETY: core.h, Ownership: arguments are lent for the call, with the length given.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// A lent sized struct, as far as this host knows it.
///
/// While the contract is v0 both sides have the same headers, so a shorter one is a mistake. From v1 on, fields behind
/// `struct_size` are read as 0.
pub(super) fn sized<'call, T>(data: *const T, what: &str) -> Result<&'call T, Fault> {
    if data.is_null() || !data.is_aligned() {
        return Err(Fault::invalid(format!("{what} is NULL or not aligned")));
    }
    // SAFETY: core.h: sized structs begin with struct_size, so at least that much can be read.
    let size = unsafe { data.cast::<u32>().read() };
    if usize::try_from(size).unwrap_or(0) < size_of::<T>() {
        return Err(Fault::invalid(format!(
            "{what} has struct_size {size}, this host needs {}",
            size_of::<T>()
        )));
    }
    // SAFETY: lent for the call, and as long as its size says.
    Ok(unsafe { &*data })
}

/// A lent array of pointers to sized structs.
pub(super) fn sized_array<'call, T: 'call>(
    data: *const *const T,
    len: usize,
    what: &str,
) -> Result<impl Iterator<Item = Result<&'call T, Fault>>, Fault> {
    let pointers: &'call [*const T] = slice(data, len, what)?;
    Ok(pointers.iter().map(move |&pointer| sized(pointer, "an element of an array")))
}

/// Writes a result where the plugin wants it.
pub(super) fn put<T>(out: *mut T, value: T, what: &str) -> Result<(), Fault> {
    if out.is_null() || !out.is_aligned() {
        return Err(Fault::invalid(format!("{what} is NULL or not aligned")));
    }
    // SAFETY: core.h, Ownership: out pointers are writable for the call.
    unsafe { out.write(value) };
    Ok(())
}

/// Lent bytes that are kept: shared when they are host memory, else copied.
pub(super) fn keep(buf: &abi::Buf, pool: &Pool) -> Result<Buf, Fault> {
    if Pool::is_own(buf) {
        // SAFETY: mem.h: the view lies inside its block; the block is the host's own.
        if let Some(shared) = unsafe { Buf::retain_abi(buf) } {
            return Ok(shared);
        }
    }
    let bytes = bytes(buf.data, buf.len, "a buffer")?;
    pool.copy(&[bytes]).ok_or_else(|| {
        Fault::new(plugin_api::abi::core::E_NO_MEMORY, "the memory limit is reached")
    })
}

/// A view of every part of a scatter list, lent for the call.
pub(super) fn parts<'call>(data: *const abi::Buf, n: usize) -> Result<Vec<&'call [u8]>, Fault> {
    slice(data, n, "parts")?.iter().map(|part| bytes(part.data, part.len, "a part")).collect()
}

/// Text as it crosses the boundary, lent.
pub(crate) fn lend(text: &str) -> Str {
    Str { data: text.as_ptr(), len: text.len() }
}
