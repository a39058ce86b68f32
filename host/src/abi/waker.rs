//! Wakers in both directions: the host's as `pc_waker` for plugins, and whatever a plugin passes as a Rust waker.
#![expect(unsafe_code, reason = "reference counted objects shared across the C boundary")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use plugin_api::abi::core as abi;

/// A Rust waker behind the table of core.h; the table is the first word.
#[repr(C)]
struct HostWaker {
    abi: abi::Waker,
    refs: AtomicUsize,
    waker: Waker,
}

static VTABLE: abi::WakerVtable = abi::WakerVtable { retain, release, wake };

unsafe extern "C" fn retain(waker: *mut abi::Waker) {
    // SAFETY: core.h: the caller holds a reference to a waker that this file made.
    let waker = unsafe { &*waker.cast::<HostWaker>() };
    waker.refs.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn release(waker: *mut abi::Waker) {
    let waker = waker.cast::<HostWaker>();
    // SAFETY: core.h: the caller gives back a reference that it holds.
    if unsafe { &*waker }.refs.fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        // SAFETY: made by `Box::into_raw` in `OwnedWaker::new`, and that was the last reference.
        drop(unsafe { Box::from_raw(waker) });
    }
}

unsafe extern "C" fn wake(waker: *mut abi::Waker) {
    // SAFETY: core.h: the caller holds a reference to a waker that this file made.
    let waker = unsafe { &*waker.cast::<HostWaker>() };
    waker.waker.wake_by_ref();
}

/// One reference to a waker that plugins can hold.
#[derive(Debug)]
pub(crate) struct OwnedWaker(NonNull<HostWaker>);

// SAFETY: the count is atomic and `Waker` is `Send` and `Sync`.
unsafe impl Send for OwnedWaker {}
// SAFETY: as above.
unsafe impl Sync for OwnedWaker {}

impl OwnedWaker {
    pub(crate) fn new(waker: Waker) -> Self {
        let abi = abi::Waker { vtable: &raw const VTABLE };
        let boxed = Box::new(HostWaker { abi, refs: AtomicUsize::new(1), waker });
        Self(NonNull::from(Box::leak(boxed)))
    }

    /// Lent: valid as long as `self`.
    pub(crate) fn as_abi(&self) -> *mut abi::Waker {
        self.0.as_ptr().cast()
    }

    pub(crate) fn will_wake(&self, other: &Waker) -> bool {
        // SAFETY: `self` holds a reference.
        unsafe { self.0.as_ref() }.waker.will_wake(other)
    }
}

impl Drop for OwnedWaker {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that `self` holds.
        unsafe { release(self.as_abi()) };
    }
}

/// Runs `body` with a context that wakes `waker`. `None` when the plugin gave none.
pub(super) fn with_context<T>(
    waker: *mut abi::Waker,
    body: impl FnOnce(&mut Context<'_>) -> T,
) -> Option<T> {
    let waker = NonNull::new(waker)?;
    // SAFETY: core.h: a waker argument is lent for the call, its table is its first word.
    let vtable = unsafe { waker.as_ref() }.vtable;
    if std::ptr::eq(vtable, &raw const VTABLE) {
        // SAFETY: only this file makes wakers with this table, and the reference is lent for the call.
        let own = unsafe { waker.cast::<HostWaker>().as_ref() };
        return Some(body(&mut Context::from_waker(&own.waker)));
    }
    // SAFETY: as above; the clone takes its own reference.
    let raw = unsafe { clone_foreign(waker.as_ptr().cast_const().cast()) };
    // SAFETY: FOREIGN keeps the rules of `RawWakerVTable` as core.h gives them: counted, and from any thread.
    let foreign = unsafe { Waker::from_raw(raw) };
    Some(body(&mut Context::from_waker(&foreign)))
}

static FOREIGN: RawWakerVTable =
    RawWakerVTable::new(clone_foreign, wake_foreign, wake_foreign_by_ref, drop_foreign);

/// The waker and its table, from the data pointer of a [`FOREIGN`] waker.
///
/// # Safety
/// `data` is a live `pc_waker`.
unsafe fn foreign(data: *const ()) -> (*mut abi::Waker, &'static abi::WakerVtable) {
    let waker = data.cast_mut().cast::<abi::Waker>();
    // SAFETY: alive, says the caller.
    let vtable = unsafe { (*waker).vtable };
    // SAFETY: core.h: tables are valid for the life of the process.
    (waker, unsafe { &*vtable })
}

unsafe fn clone_foreign(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned holds a reference.
    let (waker, vtable) = unsafe { foreign(data) };
    // SAFETY: as above.
    unsafe { (vtable.retain)(waker) };
    RawWaker::new(data, &FOREIGN)
}

unsafe fn wake_foreign(data: *const ()) {
    // SAFETY: `wake` passes its reference on to the drop.
    unsafe { wake_foreign_by_ref(data) };
    // SAFETY: as above.
    unsafe { drop_foreign(data) };
}

unsafe fn wake_foreign_by_ref(data: *const ()) {
    // SAFETY: the waker holds a reference.
    let (waker, vtable) = unsafe { foreign(data) };
    // SAFETY: as above.
    unsafe { (vtable.wake)(waker) };
}

unsafe fn drop_foreign(data: *const ()) {
    // SAFETY: the waker holds a reference.
    let (waker, vtable) = unsafe { foreign(data) };
    // SAFETY: gives back that reference.
    unsafe { (vtable.release)(waker) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_that_went_through_a_plugin_is_the_same_one() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let owned = OwnedWaker::new(waker.clone());

        let same = with_context(owned.as_abi(), |cx| cx.waker().will_wake(&waker));
        // SAFETY: `owned` is alive.
        unsafe { wake(owned.as_abi()) };
        drop(owned);
        drop(waker);

        assert_eq!(same, Some(true));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_foreign_waker_is_counted() {
        static RETAINED: AtomicUsize = AtomicUsize::new(1);
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "C" fn retain(_: *mut abi::Waker) {
            RETAINED.fetch_add(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn release(_: *mut abi::Waker) {
            RETAINED.fetch_sub(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn wake(_: *mut abi::Waker) {
            WOKEN.fetch_add(1, Ordering::Relaxed);
        }
        static VTABLE: abi::WakerVtable = abi::WakerVtable { retain, release, wake };
        let mut foreign = abi::Waker { vtable: &raw const VTABLE };

        let kept = with_context(&raw mut foreign, |cx| cx.waker().clone()).unwrap();
        assert_eq!(RETAINED.load(Ordering::Relaxed), 2);
        kept.wake();

        assert_eq!((RETAINED.load(Ordering::Relaxed), WOKEN.load(Ordering::Relaxed)), (1, 1));
        assert!(with_context(std::ptr::null_mut(), |_| ()).is_none());
    }
}
