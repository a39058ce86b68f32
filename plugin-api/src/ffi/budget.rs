//! A poll has a budget: after so many ready operations it yields, so that one busy session can't hold a worker.
//!
//! The budget is that of the task being polled on this thread. Threads of the plugin's own have none.

use std::cell::Cell;
use std::task::{Context, Poll};

/// Ready operations (reads, accepts, batches, channel items) in one poll of a task.
const OPERATIONS: u32 = 128;

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Runs one poll of a task with a fresh budget.
pub(crate) fn with<R>(poll: impl FnOnce() -> R) -> R {
    struct Restore(Option<u32>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    let _restore = Restore(LEFT.replace(Some(OPERATIONS)));
    poll()
}

/// Takes one operation; pending, and the task woken, when there is none left.
pub(crate) fn spend(cx: &Context<'_>) -> Poll<()> {
    match LEFT.get() {
        None => Poll::Ready(()),
        Some(0) => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Some(left) => {
            LEFT.set(Some(left - 1));
            Poll::Ready(())
        }
    }
}
