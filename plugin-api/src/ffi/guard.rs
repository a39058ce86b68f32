//! What surrounds every entry into the plugin: a panic becomes a status, and the instance is known to log and blame.
#![expect(unsafe_code, reason = "the current instance is a pointer in a thread local")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once, PoisonError, RwLock, Weak};

use super::Instance;
use crate::abi;
use crate::error::{Error, Status};

thread_local! {
    static CURRENT: Cell<*const Instance> = const { Cell::new(std::ptr::null()) };
    /// Message and place of the last panic on this thread, from the hook to the guard.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The instance that was made last: threads that no entry leads to (of a crate that brings its own) log through it.
static NEWEST: RwLock<Weak<Instance>> = RwLock::new(Weak::new());

/// Runs plugin code for an instance; a panic is an error with its text and place.
pub(crate) fn enter<R>(instance: &Instance, run: impl FnOnce() -> R) -> Result<R, Error> {
    let before = CURRENT.replace(instance);
    let result = catch(run);
    CURRENT.set(before);
    result
}

/// As [`enter`], for entries that return a status: errors leave their text with the host.
pub(crate) fn status(
    instance: &Instance,
    run: impl FnOnce() -> Result<Status, Error>,
) -> abi::core::Status {
    match enter(instance, run).and_then(std::convert::identity) {
        Ok(status) => status.0,
        Err(error) => {
            instance.set_error(&error);
            error.status.0
        }
    }
}

/// Turns a panic into an error.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Error> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let hook_text = PANIC.take();
        let text = hook_text.unwrap_or_else(|| message(&*payload).to_owned());
        // A payload whose drop panics must not unwind out of an entry.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Error::panic(text)
    })
}

/// The instance whose code runs on this thread; outside of any entry the newest one.
pub(crate) fn with_current<R>(run: impl FnOnce(Option<&Instance>) -> R) -> R {
    let current = CURRENT.try_with(Cell::get).unwrap_or(std::ptr::null());
    if current.is_null() {
        let newest = NEWEST.read().unwrap_or_else(PoisonError::into_inner).upgrade();
        return run(newest.as_deref());
    }
    // SAFETY: `enter` holds a reference to it and puts back the one before when it leaves.
    run(Some(unsafe { &*current }))
}

/// Once per library: panics and `tracing` go to the host. `instance` serves threads that belong to none.
pub(crate) fn install(instance: &Arc<Instance>) {
    static ONCE: Once = Once::new();
    *NEWEST.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(instance);
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CURRENT.try_with(Cell::get).unwrap_or(std::ptr::null()).is_null() {
                return before(info);
            }
            let message = message(info.payload());
            let text = match info.location() {
                Some(place) => format!("panicked at {}:{}: {message}", place.file(), place.line()),
                None => format!("panicked: {message}"),
            };
            with_current(|instance| {
                if let Some(instance) = instance {
                    instance.write_log(abi::log::ERROR, "", &text, &[]);
                }
            });
            let _ = PANIC.try_with(|last| last.replace(Some(text)));
        }));
        // Fails when the process has one already: then this is a test or a host that links the plugin as a library.
        tracing::subscriber::set_global_default(crate::log::Forward).ok();
    });
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
