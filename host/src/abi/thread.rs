//! Threads that plugins ask for, and how they wait: each has a waker of its own, so that every poll function has a
//! blocking twin (`PC_BLOCK_ON`).
#![expect(unsafe_code, reason = "calls a plugin's table")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::abi::core as abi;
use plugin_api::abi::exec::{THREADS_MAX, ThreadVtable};

use super::call::{self, Fault};
use super::future::Context0;
use super::waker::OwnedWaker;
use super::{borrow, call::Outcome};
use crate::plugin::instance::{self, Instance};
use crate::task::{External, TaskError};

/// Woken by its waker or when its instance is cancelled.
pub(crate) struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// The parked threads of one instance.
#[derive(Default)]
pub(crate) struct Parkers(Mutex<Vec<Arc<Parker>>>);

impl Parkers {
    fn add(&self) -> Result<Arc<Parker>, Fault> {
        let mut all = self.0.lock();
        if all.len() >= usize::try_from(THREADS_MAX).unwrap_or(usize::MAX) {
            return Err(Fault::new(
                abi::E_LIMIT,
                format!("the instance has {THREADS_MAX} threads already"),
            ));
        }
        let parker =
            Arc::new(Parker { thread: std::thread::current(), woken: AtomicBool::new(false) });
        all.push(Arc::clone(&parker));
        Ok(parker)
    }

    fn remove(&self, parker: &Arc<Parker>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, parker));
    }

    pub(crate) fn wake_all(&self) {
        for parker in self.0.lock().iter() {
            Arc::clone(parker).wake();
        }
    }
}

struct Current {
    instance: &'static Instance,
    parker: Arc<Parker>,
    waker: OwnedWaker,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// A thread's body, taken over from a plugin: run at most once, dropped exactly once.
struct Body {
    vtable: &'static ThreadVtable,
    ctx: Context0,
    instance: &'static Instance,
    _alive: instance::Context,
}

impl Body {
    fn run(self) -> Result<(), TaskError> {
        let parker = self
            .instance
            .parkers
            .add()
            .map_err(|fault| TaskError::new(fault.status, fault.text))?;
        let waker = OwnedWaker::new(Waker::from(Arc::clone(&parker)));
        CURRENT.set(Some(Current { instance: self.instance, parker: Arc::clone(&parker), waker }));
        call::clear_last();
        let inside = self.instance.census.enter();
        let run = self.vtable.run;
        // SAFETY: exec.h: once, on a thread of its own.
        let status = run.map_or(abi::OK, |run| unsafe { run(self.ctx.0) });
        drop(inside);
        let text = call::text_of(status);
        CURRENT.set(None);
        self.instance.parkers.remove(&parker);
        if status == abi::E_PANIC {
            self.instance.fault("thread", &text);
        }
        if status < 0 { Err(TaskError::new(status, text)) } else { Ok(()) }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(drop_ctx) = self.vtable.drop else { return };
        let _inside = self.instance.census.enter();
        // SAFETY: exec.h: once, also when run was never called.
        unsafe { drop_ctx(self.ctx.0) };
    }
}

/// Where a body runs.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Blocking,
    Thread,
}

/// Starts a body from a plugin; gives the task that stands for it.
pub(super) fn start(
    instance: &'static Instance,
    place: Place,
    name: &str,
    vtable: *const ThreadVtable,
    ctx: *mut std::ffi::c_void,
) -> Result<crate::task::Node, Fault> {
    let vtable: &'static ThreadVtable = borrow::sized(vtable, "the thread's table")?;
    if vtable.run.is_none() || vtable.drop.is_none() {
        return Err(Fault::invalid("the thread's table lacks run or drop"));
    }
    // Taken first: whatever fails from here on drops the context, as core.h promises.
    let body = Body { vtable, ctx: Context0(ctx), instance, _alive: instance.census.context() };
    if instance.is_cancelled() {
        return Err(Fault::cancelled());
    }
    let kind = match place {
        Place::Blocking => "blocking",
        Place::Thread => "thread",
    };
    let task: External = instance.node.external(kind, name).map_err(super::refused)?;
    let node = task.node().clone();
    let work = move || {
        let result = body.run();
        task.end(result);
    };
    match place {
        Place::Blocking => drop(instance.services.runtime.spawn_blocking(work)),
        Place::Thread => {
            let started =
                std::thread::Builder::new().name(thread_name(&instance.name, name)).spawn(work);
            drop(started.map_err(|error| Fault::new(abi::E_IO, format!("no thread: {error}")))?);
        }
    }
    Ok(node)
}

/// Linux shows 15 bytes of a thread's name.
fn thread_name(instance: &str, name: &str) -> String {
    format!("{instance}-{name}").replace('\0', "")
}

/// The waker of this thread, if a plugin's body runs on it.
pub(super) fn waker() -> *mut abi::Waker {
    CURRENT.with_borrow(|current| {
        current.as_ref().map_or(std::ptr::null_mut(), |current| current.waker.as_abi())
    })
}

/// Sleeps until this thread's waker is woken, the deadline has passed or the instance is cancelled.
pub(super) fn park(deadline: Option<Instant>) -> Outcome {
    let current = CURRENT.with_borrow(|current| {
        current.as_ref().map(|current| (current.instance, Arc::clone(&current.parker)))
    });
    let Some((instance, parker)) = current else {
        return Err(Fault::state("park works on threads from thread and blocking only"));
    };
    loop {
        if instance.is_cancelled() {
            return Err(Fault::cancelled());
        }
        if parker.woken.swap(false, Ordering::AcqRel) {
            return Ok(abi::OK);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => {
                return Err(Fault::new(abi::E_TIMEOUT, "the deadline has passed"));
            }
            Some(left) => std::thread::park_timeout(left),
        }
    }
}
