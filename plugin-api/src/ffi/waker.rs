//! `pc_waker` ⇄ [`Waker`].
//!
//! A waker of the host becomes a Rust one whose data is the `pc_waker` itself: a clone is the host's one atomic increment, and
//! when it comes back to the host it passes through as it is. A waker that something else made (`FuturesUnordered`,
//! a test, another runtime) is boxed for the one poll.
#![expect(unsafe_code, reason = "wakers shared across the C boundary")]

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::guard;
use crate::abi::core as abi;

/// Rust wakers that are wakers of the host.
static OF_HOST: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// Host side wakers that are Rust wakers.
static BOXED: abi::WakerVtable =
    abi::WakerVtable { retain: boxed_retain, release: boxed_release, wake: boxed_wake };

#[repr(C)]
struct Boxed {
    abi: abi::Waker,
    refs: AtomicUsize,
    waker: Waker,
}

/// Lends a waker to the host for one call.
pub(crate) fn lend<R>(waker: &Waker, call: impl FnOnce(*mut abi::Waker) -> R) -> R {
    if std::ptr::eq(waker.vtable(), &raw const OF_HOST) {
        return call(waker.data().cast::<abi::Waker>().cast_mut());
    }
    let boxed = Boxed {
        abi: abi::Waker { vtable: &raw const BOXED },
        refs: AtomicUsize::new(1),
        waker: waker.clone(),
    };
    let boxed = Box::into_raw(Box::new(boxed)).cast::<abi::Waker>();
    let result = call(boxed);
    // SAFETY: the reference that the box was made with.
    unsafe { boxed_release(boxed) };
    result
}

/// The host's waker as a Rust one, for the length of `call`.
///
/// # Safety
/// core.h: `raw` is a live waker, lent for the length of `call`.
pub(crate) unsafe fn borrow<R>(raw: *mut abi::Waker, call: impl FnOnce(&Waker) -> R) -> R {
    // SAFETY: the table's functions hold to the contract of RawWaker; the waker is not dropped, so it takes no reference.
    let waker = ManuallyDrop::new(unsafe { Waker::new(raw.cast::<()>(), &OF_HOST) });
    call(&waker)
}

/// # Safety
/// `data` is a live `pc_waker`.
unsafe fn table(data: *const ()) -> &'static abi::WakerVtable {
    // SAFETY: core.h: the first word is the table.
    let vtable = unsafe { data.cast::<abi::Waker>().read() }.vtable;
    // SAFETY: core.h: tables are valid for the life of the process.
    unsafe { &*vtable }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: RawWaker: `data` is the live waker that it was made with.
    let vtable = unsafe { table(data) };
    // SAFETY: core.h: retain is [any].
    unsafe { (vtable.retain)(data.cast::<abi::Waker>().cast_mut()) };
    RawWaker::new(data, &OF_HOST)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: RawWaker: `data` is the live waker that it was made with.
    unsafe { wake_by_ref(data) };
    // SAFETY: RawWaker: wake gives up the reference.
    unsafe { release(data) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: RawWaker: `data` is the live waker that it was made with.
    let vtable = unsafe { table(data) };
    // SAFETY: core.h: wake is [any] and keeps the reference.
    unsafe { (vtable.wake)(data.cast::<abi::Waker>().cast_mut()) };
}

unsafe fn release(data: *const ()) {
    // SAFETY: RawWaker: `data` is the live waker that it was made with.
    let vtable = unsafe { table(data) };
    // SAFETY: core.h: release is [any]; the reference is ours.
    unsafe { (vtable.release)(data.cast::<abi::Waker>().cast_mut()) };
}

unsafe extern "C" fn boxed_retain(waker: *mut abi::Waker) {
    // SAFETY: core.h: the caller holds a reference to a waker of this table, which is a `Boxed`.
    unsafe { &*waker.cast::<Boxed>() }.refs.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn boxed_release(waker: *mut abi::Waker) {
    let boxed = waker.cast::<Boxed>();
    // SAFETY: as in `boxed_retain`.
    if unsafe { &*boxed }.refs.fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        // SAFETY: that was the last reference; the box was made in `lend`.
        let boxed = unsafe { Box::from_raw(boxed) };
        guard::catch(|| drop(boxed)).ok();
    }
}

unsafe extern "C" fn boxed_wake(waker: *mut abi::Waker) {
    // SAFETY: as in `boxed_retain`.
    let boxed = unsafe { &*waker.cast::<Boxed>() };
    guard::catch(|| boxed.waker.wake_by_ref()).ok();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Takes a reference to the lent waker, as the host does when it has to wait.
    fn keep(raw: *mut abi::Waker) -> *mut abi::Waker {
        // SAFETY: `raw` is alive: it is lent.
        let vtable = unsafe { table(raw.cast()) };
        // SAFETY: as above.
        unsafe { (vtable.retain)(raw) };
        raw
    }

    #[test]
    fn a_foreign_waker_is_boxed_and_freed_once() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));

        let kept = lend(&waker, keep);
        drop(waker);
        // SAFETY: `keep` took a reference.
        unsafe { boxed_wake(kept) };
        // SAFETY: the reference that `keep` took.
        unsafe { boxed_release(kept) };

        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Arc::strong_count(&count), 1, "the box and its waker are gone");
    }

    #[test]
    fn a_waker_of_the_host_passes_through() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let foreign = Waker::from(Arc::clone(&count));

        lend(&foreign, |raw| {
            // SAFETY: lent for this call.
            unsafe {
                borrow(raw, |waker| {
                    let clone = waker.clone();
                    lend(&clone, |again| assert_eq!(again, raw));
                    clone.wake();
                });
            }
        });
        drop(foreign);

        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Arc::strong_count(&count), 1, "every clone was released");
    }
}
