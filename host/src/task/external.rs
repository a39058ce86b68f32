//! A task that runs on a thread of its own: the tree lists it, tells it to stop, and waits for it.

use std::task::Waker;

use super::error::TaskError;
use super::node::Node;

/// The end of a node that its thread holds. The task ends when this is dropped.
#[derive(Debug)]
pub struct External {
    node: Node,
    result: Result<(), TaskError>,
}

impl External {
    pub(super) fn new(node: Node) -> Self {
        Self { node, result: Ok(()) }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Woken when the task is told to stop. Replaces the one before.
    pub fn set_waker(&self, waker: &Waker) {
        self.node.set_waker(waker.clone());
        if self.is_cancelled() {
            waker.wake_by_ref();
        }
    }

    /// True once the task is to end: its children are gone.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Ends the task.
    pub fn end(mut self, result: Result<(), TaskError>) {
        self.result = result;
    }
}

impl Drop for External {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        self.node.ended(result);
    }
}
