//! What every function given to plugins goes through: whose call it is, whether it may still call, and its error text.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plugin_api::abi::core::{self as abi, Status};

use crate::plugin::instance::Instance;

/// Longer error texts are cut.
const TEXT_MAX: usize = 1024;

thread_local! {
    /// Code and text of the last error on this thread, of either side.
    static LAST: RefCell<(Status, String)> = const { RefCell::new((abi::OK, String::new())) };
}

/// An error on its way to the plugin.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: Status,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(abi::E_INVALID, text)
    }

    pub(crate) fn handle() -> Self {
        Self::new(abi::E_HANDLE, "no such handle of this kind: stale, foreign, or of another kind")
    }

    pub(crate) fn state(text: impl Into<String>) -> Self {
        Self::new(abi::E_STATE, text)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(abi::E_CANCELLED, "the plugin instance is being stopped")
    }
}

/// The body's status, or the error that it gave, with its text kept for `last_error`.
pub(super) type Outcome = Result<Status, Fault>;

/// Runs a function of an interface for the instance that `host` belongs to. Refused once the instance was cancelled.
pub(super) fn call(
    host: *const abi::Host,
    body: impl FnOnce(&'static Instance) -> Outcome,
) -> Status {
    always(
        host,
        |instance| if instance.is_cancelled() { Err(Fault::cancelled()) } else { body(instance) },
    )
}

/// The same for the few functions that work to the end: close, release, log.
pub(super) fn always(
    host: *const abi::Host,
    body: impl FnOnce(&'static Instance) -> Outcome,
) -> Status {
    let Some(instance) = Instance::of(host) else { return abi::E_INVALID };
    // A panic of the host must not unwind into a plugin: it would end the process there.
    let outcome = catch_unwind(AssertUnwindSafe(|| body(instance))).unwrap_or_else(|_| {
        Err(Fault::new(abi::E_INTERNAL, "the host panicked; its log has the reason"))
    });
    match outcome {
        Ok(status) => status,
        Err(fault) => {
            set_last(fault.status, &fault.text);
            fault.status
        }
    }
}

/// Keeps an error for `last_error` on this thread, and for the host when a plugin's callback returns.
pub(super) fn set_last(status: Status, text: &str) {
    let end =
        (0..=text.len().min(TEXT_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    LAST.with_borrow_mut(|last| {
        last.0 = status;
        last.1.clear();
        last.1.push_str(text.get(..end).unwrap_or_default());
    });
}

/// Forgets the last error, so that the one read after a callback is the callback's own.
pub(crate) fn clear_last() {
    set_last(abi::OK, "");
}

/// The text that goes with a status a plugin's callback has just returned.
pub(crate) fn text_of(status: Status) -> String {
    let text = LAST.with_borrow(|last| if last.0 < 0 { last.1.clone() } else { String::new() });
    if text.is_empty() { format!("status {status}, and no text") } else { text }
}

/// Calls `read` with the last error; its text stays in place until the next host call on this thread.
pub(super) fn with_last<T>(read: impl FnOnce(Status, &str) -> T) -> T {
    LAST.with_borrow(|last| read(last.0, &last.1))
}
