//! The task tree: everything that runs in the server, as the operator sees it.
//!
//! ```text
//! server ─▶ plugin instance (job) ─▶ listener ─▶ session
//!                                 └▶ puller   ─▶ …
//! ```
//!
//! A node is a *job* (it only has children and stays until it is stopped), a *task* (it drives a future, and may have
//! children), a task with *attempts* (a failed one is made again by a [`Retry`] policy), or an *external* task (it runs on a
//! thread of its own). Three rules hold for all of them:
//!
//! 1. A future is polled and dropped by the same executor, never by the caller of [`Node::stop`], and never during a poll:
//!    stopping marks the node and wakes it, and its next poll drops the future.
//! 2. Children end first. A task's future is dropped after its children are gone, or after they have had
//!    [`STOP_DEADLINE`]; a node that still has children then stays listed, and says so.
//! 3. Nothing blocks siblings. Starts, waits between attempts and stops of children run concurrently, and no lock is held
//!    while a future, a waker or a hook runs.
//!
//! Locks: each node has its own, and no two are ever held together.

mod driver;
mod error;
mod external;
mod info;
mod node;
mod retry;
mod tree;

#[cfg(test)]
mod tests;

use std::cell::RefCell;

pub use self::error::{Refused, TaskError};
pub use self::external::External;
pub use self::info::{Progress, State, TaskInfo};
pub use self::node::{Node, NotRestarted, Overrun, Stopped};
pub use self::retry::Retry;
pub use self::tree::{Denied, Hooks, Tree};

/// How long children may take to end before their parent goes on without them.
///
/// Every future is dropped at its next poll, so that only a thread stuck inside a poll needs longer than this.
pub const STOP_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);
/// Nodes of the whole tree; above it a new one is refused. 64-bit servers run out of sockets long before.
pub const TASKS_MAX: usize = 1_000_000;
/// Nodes from the root to a leaf. Stopping walks down this far.
pub const DEPTH_MAX: usize = 16;
/// Attributes of a node; further keys are refused.
pub const ATTRIBUTES_MAX: usize = 32;
/// Failed children that a parent keeps for the list, newest first to stay.
pub const FAILED_MAX: usize = 16;
/// How long a failed child stays listed.
pub const FAILED_AGE_MAX: std::time::Duration = std::time::Duration::from_secs(600);

thread_local! {
    static CURRENT: RefCell<Option<Node>> = const { RefCell::new(None) };
}

/// The node whose future is being polled or dropped on this thread.
pub fn current() -> Option<Node> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Runs `f` with `node` as [`current`], also when it unwinds.
fn with_current<T>(node: &Node, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Node>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let previous = self.0.take();
            // The node that leaves is dropped outside of the borrow: it may be the last reference.
            let leaving = CURRENT.try_with(|current| current.replace(previous));
            drop(leaving);
        }
    }

    let _restore = Restore(CURRENT.with(|current| current.replace(Some(node.clone()))));
    f()
}
