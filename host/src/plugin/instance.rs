//! One configured, running copy of a plugin, as the host's side of the boundary sees it.
//!
//! Instances are never freed: a plugin that kept the table it was given must find it alive, whatever it does wrong.
#![expect(unsafe_code, reason = "finds the instance behind the table that a plugin passes back")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use plugin_api::abi::core as abi;
use plugin_api::mem::Pool;

use crate::abi::Object;
use crate::abi::handle::Handles;
use crate::metrics::InstanceMetrics;
use crate::server::Services;
use crate::task;

/// See the module.
pub struct Instance {
    /// The config section's name, and the log target.
    pub name: String,
    /// The plugin's id from its manifest.
    pub plugin: String,
    /// The merged config, as JSON text.
    pub config: String,
    pub(crate) pool: Pool,
    pub(crate) handles: Handles<Object>,
    /// The job that everything of this instance runs under.
    pub(crate) node: task::Node,
    pub(crate) services: Arc<Services>,
    pub(crate) census: Census,
    pub(crate) metrics: InstanceMetrics,
    pub(crate) parkers: crate::abi::thread::Parkers,
    table: OnceLock<Table>,
    draining: AtomicBool,
    cancelled: AtomicBool,
    faults: AtomicU64,
}

/// The host's table for one instance.
struct Table(&'static abi::Host);

// SAFETY: nothing in the table changes after it is made, and what it points to is never freed.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes an instance that lives as long as the process. `owner` is not 0 and never used twice.
    pub(crate) fn leak(
        name: &str,
        plugin: &str,
        config: String,
        owner: u16,
        node: task::Node,
        services: Arc<Services>,
    ) -> &'static Self {
        let instance: &'static Self = Box::leak(Box::new(Self {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            config,
            pool: Pool::new(Arc::clone(&services.memory)),
            handles: Handles::new(owner),
            node,
            census: Census::new(name),
            metrics: services.metrics.instance(name),
            parkers: crate::abi::thread::Parkers::default(),
            services,
            table: OnceLock::new(),
            draining: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            faults: AtomicU64::new(0),
        }));
        let table = crate::abi::host_table(std::ptr::from_ref(instance).cast_mut().cast());
        // Set once, here.
        let _ = instance.table.set(Table(Box::leak(Box::new(table))));
        instance
    }

    /// The table given to the plugin.
    pub(crate) fn table(&self) -> *const abi::Host {
        self.table.get().map_or(std::ptr::null(), |table| std::ptr::from_ref(table.0))
    }

    /// The instance that a plugin's argument belongs to.
    pub(crate) fn of(host: *const abi::Host) -> Option<&'static Self> {
        if host.is_null() || !host.is_aligned() {
            return None;
        }
        // SAFETY: core.h: `host` is the table given to create; host tables are never freed.
        let ctx = unsafe { (*host).ctx };
        // SAFETY: `leak` put the address of an instance there, which is never freed either.
        let instance = unsafe { ctx.cast::<Self>().as_ref() }?;
        std::ptr::eq(instance.table(), host).then_some(instance)
    }

    /// No new listeners and registrations from here on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Every call from the plugin is refused from here on, and its threads are woken.
    pub(crate) fn cancel(&self) {
        self.drain();
        self.cancelled.store(true, Ordering::Release);
        self.parkers.wake_all();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Counts a callback that failed or panicked.
    pub(crate) fn fault(&self, what: &str, text: &str) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        tracing::error!(event = "plugin.faulted", instance = self.name, what, "{text}");
    }

    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// The instance whose code this thread runs. A plain pointer without a destructor: a signal handler reads it.
    static CURRENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The instance that this thread is in a call of; the host's code that the call reached counts as well.
pub(crate) fn current() -> Option<&'static str> {
    CURRENT.get()
}

/// Counts what of a plugin is alive or running, so that its end can be waited for.
pub(crate) struct Census {
    /// The instance, for [`current`].
    name: &'static str,
    /// Calls into the plugin that have not returned.
    inside: AtomicUsize,
    /// Contexts whose `drop` has not been called: futures, registrations, threads.
    contexts: AtomicUsize,
    changed: Condvar,
    lock: Mutex<()>,
}

impl Census {
    /// Of an instance, which is never freed either.
    fn new(name: &str) -> Self {
        Self {
            name: Box::leak(name.into()),
            inside: AtomicUsize::new(0),
            contexts: AtomicUsize::new(0),
            changed: Condvar::new(),
            lock: Mutex::new(()),
        }
    }

    /// Marks a call of this thread into the plugin, until the guard is dropped.
    pub(crate) fn enter(&'static self) -> Inside {
        self.inside.fetch_add(1, Ordering::AcqRel);
        let outer = CURRENT.replace(Some(self.name));
        Inside { census: self, outer, _this_thread: PhantomData }
    }

    /// Marks a context that the plugin has handed over, until the guard is dropped.
    pub(crate) fn context(&'static self) -> Context {
        self.contexts.fetch_add(1, Ordering::AcqRel);
        Context(self)
    }

    /// Waits until nothing is left; `Err` has what is left at the deadline.
    pub(crate) fn wait_empty(&self, deadline: Instant) -> Result<(), String> {
        let mut guard = self.lock.lock();
        loop {
            let inside = self.inside.load(Ordering::Acquire);
            let contexts = self.contexts.load(Ordering::Acquire);
            if inside == 0 && contexts == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("{inside} calls inside, {contexts} contexts not dropped"));
            }
            // Counters change outside the lock, so a wake-up can be missed: look again soon in any case.
            self.changed.wait_for(&mut guard, Duration::from_millis(10));
        }
    }
}

/// See [`Census::enter`].
pub(crate) struct Inside {
    census: &'static Census,
    /// Whose call this one was made within.
    outer: Option<&'static str>,
    _this_thread: PhantomData<*const ()>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        if self.census.inside.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.census.changed.notify_all();
        }
    }
}

/// See [`Census::context`].
pub(crate) struct Context(&'static Census);

impl Drop for Context {
    fn drop(&mut self) {
        if self.0.contexts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_all();
        }
    }
}
