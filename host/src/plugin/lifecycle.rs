//! One instance from create to destroy.
//!
//! ```text
//! open ▸ create ▸ activate ▸ (runs) ▸ drain ▸ deactivate ▸ cancel ▸ tasks dropped ▸ threads joined, calls left ▸ destroy
//! ```
//!
//! Calls into the plugin are made on a control thread, so that one that hangs costs a thread and not the server. An instance
//! that does not end in time is *stuck*: its sockets are closed, it is listed, and it is never destroyed.
#![expect(unsafe_code, reason = "calls the plugin's table")]

use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use plugin_api::abi::core::{self as abi, Status};

use super::instance::Instance;
use super::library::Library;
use super::manifest::Manifest;
use crate::abi::{borrow, call};
use crate::server::Services;

/// How long loading, `create` and `activate` may take, each.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What `destroy` may take, and what is given to tasks that have been cancelled.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Owners in handles: never used twice, so that a handle of an instance that ended is foreign to the next.
static NEXT_OWNER: AtomicU16 = AtomicU16::new(1);

/// An instance that was activated.
#[derive(Debug)]
pub(crate) struct Running {
    library: Library,
    this: This,
    pub(crate) instance: &'static Instance,
}

/// How an instance ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Stopped,
    Stuck(String),
}

/// The plugin's own pointer.
#[derive(Clone, Copy, Debug)]
struct This(*mut c_void);

// SAFETY: core.h: [control] calls come from any thread, one at a time.
unsafe impl Send for This {}
// SAFETY: the pointer is only passed back to the plugin.
unsafe impl Sync for This {}

/// Loads the file and brings an instance up.
pub(crate) fn start(
    path: &Path,
    manifest: &Manifest,
    name: &str,
    config: String,
    services: &Arc<Services>,
) -> Result<Running, String> {
    if let Some(missing) = manifest.requires.iter().find(|id| !crate::abi::offers(id)) {
        return Err(format!("requires {missing}, which this host does not offer"));
    }
    let (file, own) = (path.to_owned(), manifest.clone());
    let library = on_control_thread(name, START_TIMEOUT, move || Library::open(&file, &own))
        .ok_or_else(|| overrun("loading", START_TIMEOUT))??;
    let owner = NEXT_OWNER.fetch_add(1, Ordering::Relaxed);
    if owner == 0 || owner == u16::MAX {
        return Err("65,534 instances were started since the server began; restart it".into());
    }
    let node = services.tasks.root().instance(name).map_err(|refused| refused.to_string())?;
    let instance = Instance::leak(name, &manifest.id, config, owner, node, Arc::clone(services));
    let this = match create(library, instance) {
        Ok(this) => this,
        Err(reason) => {
            return Err(match end(instance, Instant::now() + END_TIMEOUT) {
                Ok(()) => reason,
                Err(left) => format!("{reason}; and then: {left}"),
            });
        }
    };
    let running = Running { library, this, instance };
    match activate(&running) {
        Ok(()) => Ok(running),
        Err(reason) => match dismantle(&running, Instant::now() + END_TIMEOUT) {
            Ended::Stopped => Err(reason),
            Ended::Stuck(left) => Err(format!("{reason}; and then: {left}")),
        },
    }
}

fn create(library: Library, instance: &'static Instance) -> Result<This, String> {
    control(instance, "create", START_TIMEOUT, move || {
        let mut this = std::ptr::null_mut();
        let (name, config) = (borrow::lend(&instance.name), borrow::lend(&instance.config));
        let create = library.table().create?;
        // SAFETY: core.h: [control], first call, once; the host table lives for ever.
        let status = unsafe { create(instance.table(), name, config, &raw mut this) };
        Some((status, This(this)))
    })
}

fn activate(running: &Running) -> Result<(), String> {
    let (library, this) = (running.library, running.this);
    control(running.instance, "activate", START_TIMEOUT, move || {
        let activate = library.table().activate?;
        let this = this;
        // SAFETY: core.h: [control], after create.
        Some((unsafe { activate(this.0) }, ()))
    })
}

/// Runs a control call; its status decides.
fn control<T: Send + 'static>(
    instance: &'static Instance,
    what: &'static str,
    timeout: Duration,
    body: impl FnOnce() -> Option<(Status, T)> + Send + 'static,
) -> Result<T, String> {
    let outcome = on_control_thread(&instance.name, timeout, move || {
        let _inside = instance.census.enter();
        call::clear_last();
        match body() {
            None => Err(format!("has no {what}")),
            Some((status, value)) if status >= 0 => Ok(value),
            Some((status, _)) => {
                let text = call::text_of(status);
                if status == abi::E_PANIC {
                    instance.fault(what, &text);
                }
                Err(format!("{what} failed: {text}"))
            }
        }
    });
    outcome.ok_or_else(|| overrun(what, timeout))?
}

fn overrun(what: &str, timeout: Duration) -> String {
    format!("{what} did not return within {timeout:?}")
}

/// Runs `body` on a thread of its own; `None` when it is not done in time. The thread is left to itself then.
fn on_control_thread<T: Send + 'static>(
    name: &str,
    timeout: Duration,
    body: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = crossbeam::channel::bounded(1);
    let thread = std::thread::Builder::new().name(format!("ctl-{name}")).spawn(move || {
        // The other side has gone when the call took too long.
        let _ = done.send(body());
    });
    thread.ok()?;
    result.recv_timeout(timeout).ok()
}

impl Running {
    /// Closes its listeners and refuses registrations.
    pub(crate) fn drain(&self) {
        self.instance.drain();
        crate::abi::close_listeners(self.instance);
    }

    /// Ends the instance within about `timeout`: orderly, then by force. Blocks; not for a runtime's thread.
    pub(crate) fn stop(self, timeout: Duration) -> Ended {
        let deadline = Instant::now() + timeout;
        self.drain();
        let (library, this) = (self.library, self.this);
        let deadline_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let outcome = control(self.instance, "deactivate", timeout, move || {
            let deactivate = library.table().deactivate?;
            let this = this;
            // SAFETY: core.h: [control], after activate, once.
            Some((unsafe { deactivate(this.0, deadline_ns) }, ()))
        });
        if let Err(reason) = outcome {
            tracing::warn!(event = "plugin.stop", instance = self.instance.name, "{reason}");
        }
        dismantle(&self, deadline.max(Instant::now()) + END_TIMEOUT)
    }
}

/// Everything after deactivate.
fn dismantle(running: &Running, deadline: Instant) -> Ended {
    let instance = running.instance;
    if let Err(left) = end(instance, deadline) {
        return Ended::Stuck(left);
    }
    let (library, this) = (running.library, running.this);
    let destroyed = on_control_thread(&instance.name, END_TIMEOUT, move || {
        let _inside = instance.census.enter();
        let this = this;
        if let Some(destroy) = library.table().destroy {
            // SAFETY: core.h: last call; no task, thread, registration or call of the instance is left.
            unsafe { destroy(this.0) };
        }
    });
    match destroyed {
        Some(()) => Ended::Stopped,
        None => Ended::Stuck(overrun("destroy", END_TIMEOUT)),
    }
}

/// Cancels everything and waits until nothing of the plugin runs or is held.
fn end(instance: &'static Instance, deadline: Instant) -> Result<(), String> {
    instance.cancel();
    let stopped = instance.node.stop();
    crate::abi::close_all(instance);
    let left = deadline.saturating_duration_since(Instant::now());
    let tasks =
        instance.services.runtime.block_on(async { tokio::time::timeout(left, stopped).await });
    if tasks.is_err() {
        return Err("its tasks did not end".into());
    }
    instance.census.wait_empty(deadline)
}
