//! One node: its place in the tree and what it tells about itself. How it ends is in [`ending`].

mod ending;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::ending::{NotRestarted, Overrun, Stopped};
use super::driver::{Attempt, Driver};
use super::error::{Refused, TaskError, cut};
use super::external::External;
use super::info::{ErrorInfo, Progress, State, TaskInfo, unix_ms};
use super::retry::Retry;
use super::tree::Shared;
use super::{ATTRIBUTES_MAX, DEPTH_MAX, FAILED_AGE_MAX, TASKS_MAX};

/// Bytes of a kind, a name, an attribute's key and value that are kept.
const KIND_MAX: usize = 64;
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 1024;

/// A handle to one task. Cheap to clone; dropping it stops nothing.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    id: u64,
    depth: usize,
    kind: Box<str>,
    name: Box<str>,
    owner: Arc<str>,
    parent: Option<Place>,
    started_ms: u64,
    /// The future is to be dropped at its next poll. Set under the lock of `live`, read without.
    cancelled: AtomicBool,
    /// Somebody asked for a new attempt; taken by the driver.
    restart: AtomicBool,
    live: Mutex<Live>,
}

struct Place {
    id: u64,
    node: Weak<Inner>,
    /// The name is in the parent's table.
    is_unique: bool,
}

/// What drives a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// Nothing: a job.
    None,
    /// A [`Driver`] or an [`External`] that has not reported its end.
    Alive,
    Ended,
}

struct Live {
    state: State,
    engine: Engine,
    /// The driver can make another attempt.
    has_attempts: bool,
    /// Somebody asked for the end.
    stop: bool,
    /// No new children.
    closed: bool,
    /// It is being taken out of its parent.
    leaving: bool,
    gone: bool,
    failures: u32,
    outcome: Result<(), TaskError>,
    /// Of whoever drives this node.
    waker: Option<Waker>,
    waiters: Vec<Waker>,
    family: Option<Box<Family>>,
    details: Option<Box<Details>>,
}

impl Live {
    fn has_children(&self) -> bool {
        self.family.as_ref().is_some_and(|family| !family.nodes.is_empty())
    }

    fn children(&self) -> Vec<Node> {
        self.family
            .as_ref()
            .map_or_else(Vec::new, |family| family.nodes.values().cloned().collect())
    }
}

/// Boxed, so that a leaf doesn't pay for it.
#[derive(Default)]
struct Family {
    nodes: BTreeMap<u64, Node>,
    names: HashMap<Box<str>, u64>,
    failed: VecDeque<(Instant, TaskInfo)>,
}

#[derive(Default)]
struct Details {
    reason: Box<str>,
    attributes: BTreeMap<Box<str>, Box<str>>,
    progress: Option<Progress>,
    error: Option<ErrorInfo>,
}

/// Making nodes.
impl Node {
    pub(super) fn root(shared: Arc<Shared>) -> Self {
        Self::new(shared, "server", "", Arc::from("server"), None, 0, Engine::None)
    }

    fn new(
        shared: Arc<Shared>,
        kind: &str,
        name: &str,
        owner: Arc<str>,
        parent: Option<Place>,
        depth: usize,
        engine: Engine,
    ) -> Self {
        let state = if engine == Engine::None { State::Running } else { State::Queued };
        let live = Live {
            state,
            engine,
            has_attempts: false,
            stop: false,
            closed: false,
            leaving: false,
            gone: false,
            failures: 0,
            outcome: Ok(()),
            waker: None,
            waiters: Vec::new(),
            family: None,
            details: None,
        };
        Self(Arc::new(Inner {
            id: shared.next_id(),
            shared,
            depth,
            kind: kind.into(),
            name: name.into(),
            owner,
            parent,
            started_ms: unix_ms(),
            cancelled: AtomicBool::new(false),
            restart: AtomicBool::new(false),
            live: Mutex::new(live),
        }))
    }

    /// A job: it only has children, and stays until it is stopped. A name that isn't empty is unique among those of
    /// the parent's jobs and tasks with attempts.
    pub fn job(&self, kind: &str, name: &str) -> Result<Self, Refused> {
        self.add(kind, name, Arc::clone(&self.0.owner), Engine::None, Naming::Unique)
    }

    /// The job of a plugin instance: everything below it belongs to `instance`.
    pub fn instance(&self, instance: &str) -> Result<Self, Refused> {
        self.add(
            "instance",
            instance,
            Arc::from(cut(instance, NAME_MAX)),
            Engine::None,
            Naming::Unique,
        )
    }

    /// Runs `future` on the tree's executor. The name tells this one from others and need not be unique. The future is
    /// dropped also when this is refused (by the caller).
    pub fn spawn<F>(&self, kind: &str, name: &str, future: F) -> Result<Self, Refused>
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let node =
            self.add(kind, name, Arc::clone(&self.0.owner), Engine::Alive, Naming::Shared)?;
        node.0.shared.runtime.spawn(Driver::once(node.clone(), Box::pin(future)));
        Ok(node)
    }

    /// A task with attempts: `attempt` makes the first one and, while `retry` allows, the one after each that failed. A
    /// name that isn't empty is unique, as for [`Node::job`].
    pub fn run<M, F>(
        &self,
        kind: &str,
        name: &str,
        retry: Retry,
        mut attempt: M,
    ) -> Result<Self, Refused>
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let node =
            self.add(kind, name, Arc::clone(&self.0.owner), Engine::Alive, Naming::Unique)?;
        node.0.live.lock().has_attempts = true;
        let make = Box::new(move || -> Attempt { Box::pin(attempt()) });
        node.0.shared.runtime.spawn(Driver::attempts(node.clone(), retry, make));
        Ok(node)
    }

    /// A task that runs elsewhere, on a thread of its own.
    pub fn external(&self, kind: &str, name: &str) -> Result<External, Refused> {
        let node =
            self.add(kind, name, Arc::clone(&self.0.owner), Engine::Alive, Naming::Shared)?;
        node.set_state(State::Running);
        Ok(External::new(node))
    }

    fn add(
        &self,
        kind: &str,
        name: &str,
        owner: Arc<str>,
        engine: Engine,
        naming: Naming,
    ) -> Result<Self, Refused> {
        let (kind, name) = (cut(kind, KIND_MAX), cut(name, NAME_MAX));
        let depth = self.0.depth + 1;
        if depth >= DEPTH_MAX {
            return Err(Refused::Limit("depth"));
        }
        let is_unique = naming == Naming::Unique && !name.is_empty();
        let shared = &self.0.shared;
        if shared.nodes.fetch_add(1, Ordering::Relaxed) >= TASKS_MAX {
            shared.nodes.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Limit("tasks"));
        }
        let place = Place { id: self.0.id, node: Arc::downgrade(&self.0), is_unique };
        let child = Self::new(Arc::clone(shared), kind, name, owner, Some(place), depth, engine);
        if let Err(refused) = self.adopt(&child, is_unique) {
            shared.nodes.fetch_sub(1, Ordering::Relaxed);
            return Err(refused);
        }
        Ok(child)
    }

    fn adopt(&self, child: &Self, is_unique: bool) -> Result<(), Refused> {
        let mut live = self.0.live.lock();
        if live.closed {
            return Err(Refused::Stopping);
        }
        let family = live.family.get_or_insert_default();
        if is_unique {
            if family.names.contains_key(&child.0.name) {
                return Err(Refused::Conflict);
            }
            family.names.insert(child.0.name.clone(), child.0.id);
        }
        family.nodes.insert(child.0.id, child.clone());
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Shared,
    Unique,
}

/// What a node is.
impl Node {
    pub fn id(&self) -> u64 {
        self.0.id
    }

    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The plugin instance that it belongs to; `server` for the host's own.
    pub fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Whether it is the root, or the job of a plugin instance.
    pub(super) fn is_trunk(&self) -> bool {
        self.0.depth <= 1
    }

    pub fn state(&self) -> State {
        self.0.live.lock().state
    }

    /// True once it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.live.lock().stop
    }

    /// Sets attributes by key. All are set or, when there would be too many, none.
    pub fn describe(&self, fields: &[(&str, &str)]) -> Result<(), Refused> {
        let mut live = self.0.live.lock();
        let attributes = &mut live.details.get_or_insert_default().attributes;
        let mut keys: Vec<&str> = fields.iter().map(|(key, _)| cut(key, KIND_MAX)).collect();
        keys.sort_unstable();
        keys.dedup();
        let added = keys.iter().filter(|key| !attributes.contains_key(**key)).count();
        if attributes.len() + added > ATTRIBUTES_MAX {
            return Err(Refused::Limit("attributes"));
        }
        for (key, value) in fields {
            attributes.insert(cut(key, KIND_MAX).into(), cut(value, VALUE_MAX).into());
        }
        Ok(())
    }

    /// Done of total, in any unit; total 0: unknown.
    pub fn progress(&self, done: u64, total: u64) {
        self.0.live.lock().details.get_or_insert_default().progress =
            Some(Progress { done, total });
    }

    /// Says why it was started.
    pub fn because(&self, reason: &str) {
        self.0.live.lock().details.get_or_insert_default().reason = cut(reason, VALUE_MAX).into();
    }

    pub fn info(&self) -> TaskInfo {
        let live = self.0.live.lock();
        let details = live.details.as_deref();
        TaskInfo {
            id: self.0.id,
            parent: self.0.parent.as_ref().map(|place| place.id),
            kind: self.0.kind.to_string(),
            name: self.0.name.to_string(),
            owner: self.0.owner.to_string(),
            state: live.state,
            reason: details.map_or_else(String::new, |details| details.reason.to_string()),
            started_ms: self.0.started_ms,
            failures: live.failures,
            attributes: details.map_or_else(BTreeMap::new, |details| {
                details
                    .attributes
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect()
            }),
            progress: details.and_then(|details| details.progress),
            error: details.and_then(|details| details.error.clone()),
        }
    }

    pub(super) fn children(&self) -> Vec<Self> {
        self.0.live.lock().children()
    }

    /// The children that failed not long ago.
    pub(super) fn failed_children(&self) -> Vec<TaskInfo> {
        let mut live = self.0.live.lock();
        let Some(family) = live.family.as_mut() else { return Vec::new() };
        family.failed.retain(|(at, _)| at.elapsed() < FAILED_AGE_MAX);
        family.failed.iter().map(|(_, info)| info.clone()).collect()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} {} {})", self.0.id, self.0.kind, self.0.name)
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Node {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_stays_small() {
        assert!(size_of::<Inner>() <= 320, "{}", size_of::<Inner>());
    }
}
