//! Host memory: counted blocks that payload lives in, from the socket to the last viewer.
//!
//! [`Buf`] is a shared view of a block, as [`bytes::Bytes`] is of its own; it converts into `Bytes` without copying.
//! [`BufMut`] is a block that is still being filled. Blocks are made by the host only ([`Pool`]; the fake host of
//! `testing` has one too): so payload is counted against the server's memory limit, outlives the plugin that
//! filled it, and is freed by host code.
#![expect(unsafe_code, reason = "reference counted memory shared across the C boundary")]

use std::alloc::{Layout, alloc, dealloc};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, RangeBounds};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::abi::mem as abi;

/// A shared, immutable view of counted memory. A clone is one atomic increment.
///
/// It has the layout of `pc_buf`, so that a slice of views crosses the boundary as it is.
#[repr(C)]
pub struct Buf {
    data: NonNull<u8>,
    len: usize,
    /// `None` for static bytes.
    mem: Option<NonNull<abi::Mem>>,
}

const _: () = assert!(
    size_of::<Buf>() == size_of::<abi::Buf>()
        && align_of::<Buf>() == align_of::<abi::Buf>()
        && std::mem::offset_of!(Buf, len) == std::mem::offset_of!(abi::Buf, len)
        && std::mem::offset_of!(Buf, mem) == std::mem::offset_of!(abi::Buf, mem)
);

// SAFETY: the bytes are immutable once a `Buf` exists, and the count is atomic (mem.h: retain and release are [any]).
unsafe impl Send for Buf {}
// SAFETY: as above; a `&Buf` gives out `&[u8]` and clones only.
unsafe impl Sync for Buf {}

impl Buf {
    /// A view of static bytes, which nobody counts.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        let data = match NonNull::new(bytes.as_ptr().cast_mut()) {
            Some(data) => data,
            None => NonNull::dangling(),
        };
        Self { data, len: bytes.len(), mem: None }
    }

    /// A view of a part of the same block.
    ///
    /// # Panics
    /// When the range is out of bounds, as slices do.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let part = &self[(range.start_bound().cloned(), range.end_bound().cloned())];
        let data = match NonNull::new(part.as_ptr().cast_mut()) {
            Some(data) => data,
            None => NonNull::dangling(),
        };
        let len = part.len();
        let whole = self.clone();
        let mem = whole.mem;
        std::mem::forget(whole);
        Self { data, len, mem }
    }

    /// The view as it crosses the boundary: lent, valid as long as `self`.
    pub fn as_abi(&self) -> abi::Buf {
        let mem = self.mem.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        abi::Buf { data: self.data.as_ptr(), len: self.len, mem }
    }

    /// Takes a share in a view that was lent. `None` when it has no memory of its own: then it has to be copied.
    ///
    /// # Safety
    /// `buf` is as mem.h says: `data` and `len` describe readable, immutable bytes inside the live block `mem`.
    pub unsafe fn retain_abi(buf: &abi::Buf) -> Option<Self> {
        let mem = NonNull::new(buf.mem)?;
        let data = NonNull::new(buf.data.cast_mut())?;
        // SAFETY: the caller's block is alive.
        unsafe { retain(mem) };
        Some(Self { data, len: buf.len, mem: Some(mem) })
    }
}

/// # Safety
/// The block is alive.
unsafe fn table(mem: NonNull<abi::Mem>) -> &'static abi::MemVtable {
    // SAFETY: the caller's block is alive.
    let block = unsafe { mem.as_ref() };
    // SAFETY: mem.h: a block's first word is its table, valid for the life of the process.
    unsafe { &*block.vtable }
}

/// # Safety
/// The block is alive.
unsafe fn retain(mem: NonNull<abi::Mem>) {
    // SAFETY: the caller's block is alive.
    let vtable = unsafe { table(mem) };
    // SAFETY: as above.
    unsafe { (vtable.retain)(mem.as_ptr()) };
}

impl Clone for Buf {
    fn clone(&self) -> Self {
        if let Some(mem) = self.mem {
            // SAFETY: `self` holds a reference, so the block is alive.
            unsafe { retain(mem) };
        }
        Self { data: self.data, len: self.len, mem: self.mem }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        if let Some(mem) = self.mem {
            // SAFETY: `self` holds a reference, so the block is alive.
            let vtable = unsafe { table(mem) };
            // SAFETY: this gives back the one reference that `self` holds.
            unsafe { (vtable.release)(mem.as_ptr()) };
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the constructors take only pointer and length of readable bytes, kept alive by `mem`.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Buf {
    fn default() -> Self {
        Self::from_static(&[])
    }
}

impl PartialEq for Buf {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Buf {}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}

impl From<Buf> for bytes::Bytes {
    fn from(buf: Buf) -> Self {
        Self::from_owner(buf)
    }
}

/// A block that is being filled; [`BufMut::freeze`] makes it a [`Buf`]. It never grows.
#[derive(Debug)]
pub struct BufMut {
    data: NonNull<u8>,
    len: usize,
    capacity: usize,
    mem: NonNull<abi::Mem>,
}

// SAFETY: a `BufMut` is the only owner of its block.
unsafe impl Send for BufMut {}
// SAFETY: a shared reference gives out `&[u8]` of the filled part only.
unsafe impl Sync for BufMut {}

impl BufMut {
    /// # Safety
    /// `data` points to `capacity` writable bytes of the live block `mem`, whose one reference passes to the new value.
    pub unsafe fn from_raw(data: NonNull<u8>, capacity: usize, mem: NonNull<abi::Mem>) -> Self {
        Self { data, len: 0, capacity, mem }
    }

    /// Data and block, as `alloc` of mem.h gives them; the reference passes to the caller.
    pub fn into_raw(self) -> (NonNull<u8>, NonNull<abi::Mem>) {
        let raw = (self.data, self.mem);
        std::mem::forget(self);
        raw
    }

    /// How many bytes may still be added.
    pub fn remaining(&self) -> usize {
        self.capacity - self.len
    }

    /// Appends as many of `bytes` as fit and says how many.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.remaining());
        // SAFETY: `len <= capacity`, so the end of the filled part is inside the block or just behind it.
        let end = unsafe { self.data.add(self.len) };
        // SAFETY: `n` bytes are readable in `bytes` and writable at `end`; the block is ours alone, so they don't overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), n) };
        self.len += n;
        n
    }

    /// A view of the part that is filled so far. More may be appended behind it; what the view shows never changes.
    pub fn filled(&self) -> Buf {
        let whole = ManuallyDrop::new(Buf { data: self.data, len: self.len, mem: Some(self.mem) });
        Buf::clone(&whole)
    }

    /// The filled part, shared from here on.
    pub fn freeze(self) -> Buf {
        let buf = Buf { data: self.data, len: self.len, mem: Some(self.mem) };
        std::mem::forget(self);
        buf
    }
}

impl Deref for BufMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written by `extend_from_slice`.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl Drop for BufMut {
    fn drop(&mut self) {
        drop(Buf { data: self.data, len: self.len, mem: Some(self.mem) });
    }
}

// SAFETY: `chunk_mut` is the unfilled part of a block that is ours alone, and `advance_mut` never passes its end.
unsafe impl bytes::BufMut for BufMut {
    fn remaining_mut(&self) -> usize {
        self.remaining()
    }

    unsafe fn advance_mut(&mut self, n: usize) {
        assert!(n <= self.remaining(), "{n} bytes do not fit");
        self.len += n;
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        // SAFETY: `len <= capacity`, so the end of the filled part is inside the block or just behind it.
        let end = unsafe { self.data.add(self.len) };
        // SAFETY: the rest of the block is writable and lent as long as `self`.
        unsafe { bytes::buf::UninitSlice::from_raw_parts_mut(end.as_ptr(), self.remaining()) }
    }
}

/// What a set of blocks may take together. Shared by the pools that count against the same limit.
#[derive(Debug)]
pub struct Account {
    used: AtomicUsize,
    limit: usize,
}

impl Account {
    /// `limit` in bytes; `usize::MAX` for none.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Bytes in blocks that are alive, with their headers.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit it was made with.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limit {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// Makes blocks. The host has one per plugin instance, all on one [`Account`].
#[derive(Clone, Debug)]
pub struct Pool {
    account: Arc<Account>,
}

/// The header in front of a block's bytes; the table comes first, as mem.h asks.
#[repr(C)]
struct Block {
    mem: abi::Mem,
    refs: AtomicUsize,
    capacity: usize,
    account: Arc<Account>,
}

static BLOCK_VTABLE: abi::MemVtable =
    abi::MemVtable { retain: block_retain, release: block_release };

impl Pool {
    /// A pool whose blocks count against `account`.
    pub fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// What the blocks count against.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// A block of `capacity` bytes. `None` at the account's limit, above [`abi::BLOCK_MAX`], or when the system has none.
    pub fn alloc(&self, capacity: usize) -> Option<BufMut> {
        let layout = block_layout(capacity)?;
        if !self.account.take(layout.size()) {
            return None;
        }
        // SAFETY: the layout has a size, that of the header at least.
        let Some(block) = NonNull::new(unsafe { alloc(layout) }.cast::<Block>()) else {
            self.account.used.fetch_sub(layout.size(), Ordering::Relaxed);
            return None;
        };
        let header = Block {
            mem: abi::Mem { vtable: &raw const BLOCK_VTABLE },
            refs: AtomicUsize::new(1),
            capacity,
            account: Arc::clone(&self.account),
        };
        // SAFETY: `block` has the size and alignment of `block_layout`, which begins with a `Block`.
        unsafe { block.write(header) };
        // SAFETY: the bytes follow the header inside the same allocation.
        let data = unsafe { block.add(1) }.cast::<u8>();
        // SAFETY: `capacity` bytes from `data` on are ours, and so is the one reference.
        Some(unsafe { BufMut::from_raw(data, capacity, block.cast()) })
    }

    /// A block that holds a copy of `parts`.
    pub fn copy(&self, parts: &[&[u8]]) -> Option<Buf> {
        let mut buf = self.alloc(parts.iter().map(|part| part.len()).sum())?;
        for part in parts {
            buf.extend_from_slice(part);
        }
        Some(buf.freeze())
    }

    /// Whether the view's block was made by a pool of this library, so that it need not be copied.
    pub fn is_own(buf: &abi::Buf) -> bool {
        let Some(mem) = NonNull::new(buf.mem) else { return false };
        // SAFETY: mem.h: a block's first word is its table.
        let vtable = unsafe { mem.as_ref().vtable };
        std::ptr::eq(vtable, &raw const BLOCK_VTABLE)
    }
}

fn block_layout(capacity: usize) -> Option<Layout> {
    if capacity > abi::BLOCK_MAX {
        return None;
    }
    let size = size_of::<Block>().checked_add(capacity)?;
    Layout::from_size_align(size, align_of::<Block>()).ok()
}

unsafe extern "C" fn block_retain(mem: *mut abi::Mem) {
    // SAFETY: mem.h: the caller holds a reference to a block of this pool, so the header is alive.
    let block = unsafe { &*mem.cast::<Block>() };
    let before = block.refs.fetch_add(1, Ordering::Relaxed);
    if before > isize::MAX as usize {
        // A leak of that many references can only be a bug; wrapping would free memory in use.
        std::process::abort();
    }
}

unsafe extern "C" fn block_release(mem: *mut abi::Mem) {
    let block = mem.cast::<Block>();
    // SAFETY: mem.h: the caller gives back a reference that it holds, so the header is alive.
    if unsafe { &*block }.refs.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    // Every write to the bytes by threads that released before must be seen before the block is freed.
    fence(Ordering::Acquire);
    // SAFETY: that was the last reference: nobody reads the header from here on.
    let header = unsafe { block.read() };
    let Some(layout) = block_layout(header.capacity) else { std::process::abort() };
    header.account.used.fetch_sub(layout.size(), Ordering::Relaxed);
    // SAFETY: allocated in `Pool::alloc` with this layout.
    unsafe { dealloc(block.cast(), layout) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_blocks_and_frees_them_with_the_last_view() {
        let pool = Pool::new(Account::new(usize::MAX));
        let buf = pool.copy(&[b"ab", b"cdef"]).unwrap();

        let part = buf.slice(1..4);
        drop(buf);
        let bytes = bytes::Bytes::from(part.clone());
        drop(part);

        assert_eq!(&bytes[..], b"bcd");
        assert!(pool.account().used() > 6);
        drop(bytes);
        assert_eq!(pool.account().used(), 0);
    }

    #[test]
    fn refuses_above_the_limit() {
        let pool = Pool::new(Account::new(1000));

        let first = pool.alloc(700);

        assert!(first.is_some());
        assert!(pool.alloc(700).is_none());
        drop(first);
        assert!(pool.alloc(700).is_some());
    }

    #[test]
    fn a_view_survives_the_boundary() {
        let pool = Pool::new(Account::new(usize::MAX));
        let buf = pool.copy(&[b"payload"]).unwrap();

        // SAFETY: `buf` is alive during the call.
        let again = unsafe { Buf::retain_abi(&buf.as_abi()) }.unwrap();
        drop(buf);

        assert!(Pool::is_own(&again.as_abi()));
        assert_eq!(&again[..], b"payload");
        assert!(!Pool::is_own(&Buf::from_static(b"x").as_abi()));
    }

    #[test]
    fn a_block_is_filled_behind_the_views_of_it() {
        let pool = Pool::new(Account::new(usize::MAX));
        let mut block = pool.alloc(6).unwrap();

        block.extend_from_slice(b"abc");
        let first = block.filled();
        block.extend_from_slice(b"def");
        let second = block.filled();
        drop(block);

        assert_eq!((&first[..], &second[..]), (&b"abc"[..], &b"abcdef"[..]));
        drop((first, second));
        assert_eq!(pool.account().used(), 0);
    }

    #[test]
    fn a_block_never_grows() {
        let pool = Pool::new(Account::new(usize::MAX));
        let mut buf = pool.alloc(3).unwrap();

        assert_eq!(buf.extend_from_slice(b"abcd"), 3);
        assert_eq!(buf.extend_from_slice(b"e"), 0);
        assert_eq!(&buf.freeze()[..], b"abc");
    }
}
