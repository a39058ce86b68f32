//! The tree as a whole: the root, what all nodes share, and the list.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::runtime::Handle;

use super::info::TaskInfo;
use super::node::{Node, NotRestarted};

type OnPanic = dyn Fn(&Node, &str) + Send + Sync;

/// What the rest of the host wants to know or to replace. Called without any lock held.
pub struct Hooks {
    /// A task's future, its drop or the maker of its attempts has panicked, with this text.
    pub on_panic: Box<OnPanic>,
    /// A number from 0 to 1, for the jitter of retries.
    pub random: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { on_panic: Box::new(|_, _| {}), random: Box::new(splitmix()) }
    }
}

/// Why an operator's wish about a task is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("there is no live task of this id")]
    NotFound,
    #[error("it belongs to the server itself and ends with it")]
    OfTheServer,
    #[error("it is a plugin instance, which ends with its plugin")]
    Instance,
    #[error(transparent)]
    NotRestarted(#[from] NotRestarted),
}

/// What every node can reach.
pub(super) struct Shared {
    pub(super) runtime: Handle,
    pub(super) hooks: Hooks,
    pub(super) panics: AtomicU64,
    pub(super) nodes: AtomicUsize,
    ids: AtomicU64,
}

impl Shared {
    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_panic(&self, node: &Node, message: &str) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        (self.hooks.on_panic)(node, message);
    }
}

/// Everything that runs. Dropping it stops nothing: `root().stop()` does.
pub struct Tree {
    root: Node,
}

impl Tree {
    /// A tree with only the root, whose futures run on `runtime`.
    pub fn new(runtime: Handle) -> Arc<Self> {
        Self::with_hooks(runtime, Hooks::default())
    }

    pub fn with_hooks(runtime: Handle, hooks: Hooks) -> Arc<Self> {
        let shared = Arc::new(Shared {
            runtime,
            hooks,
            panics: AtomicU64::new(0),
            nodes: AtomicUsize::new(1),
            ids: AtomicU64::new(1),
        });
        Arc::new(Self { root: Node::root(shared) })
    }

    /// The job above all others. Stopping it stops the server's work.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The live node of this id.
    pub fn find(&self, id: u64) -> Option<Node> {
        let mut open = vec![self.root.clone()];
        while let Some(node) = open.pop() {
            if node.id() == id {
                return Some(node);
            }
            open.extend(node.children());
        }
        None
    }

    /// Every node and the failed ones that are still remembered, in the order of their ids.
    pub fn list(&self) -> Vec<TaskInfo> {
        let mut infos = Vec::new();
        let mut open = vec![self.root.clone()];
        while let Some(node) = open.pop() {
            infos.push(node.info());
            infos.extend(node.failed_children());
            open.extend(node.children());
        }
        infos.sort_unstable_by_key(|info| info.id);
        infos
    }

    /// One task, also one that has failed and is still remembered.
    pub fn info(&self, id: u64) -> Option<TaskInfo> {
        self.list().into_iter().find(|info| info.id == id)
    }

    /// Stops a task by an operator's will; gives it as it is then. The end itself is not waited for.
    ///
    /// # Errors
    ///
    /// There is no such task, or it is not for operators to stop.
    pub fn stop_task(&self, id: u64) -> Result<TaskInfo, Denied> {
        let node = self.of_a_plugin(id)?;
        // It goes on without anybody waiting for it.
        drop(node.stop());
        Ok(node.info())
    }

    /// Has a task make a new attempt.
    ///
    /// # Errors
    ///
    /// As for `stop_task`; and it has no attempts, or is ending.
    pub fn restart_task(&self, id: u64) -> Result<TaskInfo, Denied> {
        let node = self.of_a_plugin(id)?;
        node.restart()?;
        Ok(node.info())
    }

    fn of_a_plugin(&self, id: u64) -> Result<Node, Denied> {
        let node = self.find(id).ok_or(Denied::NotFound)?;
        if node.owner() == self.root.owner() {
            return Err(Denied::OfTheServer);
        }
        if node.is_trunk() {
            return Err(Denied::Instance);
        }
        Ok(node)
    }

    /// Live nodes, the root among them.
    pub fn nodes(&self) -> usize {
        self.root.shared().nodes.load(Ordering::Relaxed)
    }

    /// Panics caught in tasks since the start.
    pub fn panics(&self) -> u64 {
        self.root.shared().panics.load(Ordering::Relaxed)
    }
}

impl Node {
    /// Live nodes below this one.
    pub fn descendants(&self) -> usize {
        let mut count = 0;
        let mut open = self.children();
        while let Some(node) = open.pop() {
            count += 1;
            open.extend(node.children());
        }
        count
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("nodes", &self.nodes()).finish_non_exhaustive()
    }
}

/// Numbers from 0 to 1, good enough to keep a thousand dead cameras from redialling in step (SplitMix64).
fn splitmix() -> impl Fn() -> f64 + Send + Sync {
    let mut seed = [0; 8];
    // Without entropy all servers jitter alike, which is no reason not to start.
    let _ = getrandom::fill(&mut seed);
    let state = AtomicU64::new(u64::from_le_bytes(seed));
    move || {
        let mut z = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(bits) / f64::from(u32::MAX)
    }
}
