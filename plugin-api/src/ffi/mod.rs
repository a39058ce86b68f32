//! The thin layer between the C tables and the safe API: every call to the host goes through here.
//!
//! [`Instance`] holds a copy of each table that the host offers. A table of an older revision is shorter: what it lacks
//! is `None`, and a call to it is "unsupported". All `unsafe` of the crate is in this folder, `mem`, `export` and `testing`.
#![expect(unsafe_code, reason = "calls through the host's tables")]

pub(crate) mod budget;
pub(crate) mod convert;
pub(crate) mod exec;
pub(crate) mod feeds;
pub(crate) mod future;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod net;
pub(crate) mod packager;
pub(crate) mod streams;
pub(crate) mod waker;

use std::borrow::Cow;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use crate::abi;
use crate::abi::core::{Handle, Str};
use crate::error::{Error, Status};
use crate::mem::BufMut;

/// The host as one plugin instance sees it.
pub(crate) struct Instance {
    raw: NonNull<abi::core::Host>,
    /// Until destroy returns: `raw` may be used.
    alive: AtomicBool,
    name: String,
    core: abi::core::Host,
    auth: abi::auth::AuthApi,
    config: abi::config::ConfigApi,
    exec: abi::exec::ExecApi,
    feeds: abi::feeds::FeedsApi,
    http: abi::http::HttpApi,
    log: abi::log::LogApi,
    mem: abi::mem::MemApi,
    metrics: abi::metrics::MetricsApi,
    net: abi::net::NetApi,
    streams: abi::streams::StreamsApi,
    tasks: abi::tasks::TasksApi,
}

// SAFETY: core.h: the functions of the tables are [any]; the pointers in `core` are only passed back to the host.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// Calls `table.function(host, …)` and turns an error status into an [`Error`] with the host's text.
macro_rules! call {
    ($instance:expr, $table:ident.$function:ident($($arg:expr),* $(,)?)) => {{
        let instance: &$crate::ffi::Instance = $instance;
        match instance.$table.$function {
            Some(function) if instance.is_alive() => {
                // SAFETY: the header of the table: arguments are lent for the call; `raw` is valid until destroy (core.h).
                let status = unsafe { function(instance.raw(), $($arg),*) };
                instance.check(status)
            }
            Some(_) => Err($crate::Error::cancelled("the instance is gone")),
            None => Err($crate::Error::unsupported(concat!(
                "this host does not offer ", stringify!($table), ".", stringify!($function)
            ))),
        }
    }};
}
pub(crate) use call;

impl Instance {
    /// # Safety
    /// `raw` is what the host passed to `create` (core.h), valid until destroy returns.
    pub(crate) unsafe fn new(raw: NonNull<abi::core::Host>, name: String) -> Arc<Self> {
        // SAFETY: core.h: a sized struct, valid during the call.
        let core: abi::core::Host = unsafe { copy_table(raw.as_ptr()) };
        let find = |id: &str| {
            core.get_interface.map_or(std::ptr::null(), |get| {
                // SAFETY: core.h: get_interface is [any]; the text is lent.
                unsafe { get(raw.as_ptr(), lend(id), 1) }
            })
        };
        macro_rules! table {
            ($module:ident) => {
                // SAFETY: core.h: NULL, or a table that begins with its size, valid for the life of the process.
                unsafe { copy_table(find(abi::$module::ID).cast()) }
            };
        }
        Arc::new(Self {
            raw,
            alive: AtomicBool::new(true),
            name,
            auth: table!(auth),
            config: table!(config),
            exec: table!(exec),
            feeds: table!(feeds),
            http: table!(http),
            log: table!(log),
            mem: table!(mem),
            metrics: table!(metrics),
            net: table!(net),
            streams: table!(streams),
            tasks: table!(tasks),
            core,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Name and version of the server.
    pub(crate) fn server(&self) -> (String, String) {
        // SAFETY: core.h: valid until destroy returns; both texts are copied before anything else.
        let name = unsafe { text(self.core.server_name) };
        // SAFETY: as above.
        let version = unsafe { text(self.core.server_version) };
        (name.into_owned(), version.into_owned())
    }

    /// The instance was destroyed: the host must not be called any more.
    pub(crate) fn end(&self) {
        self.alive.store(false, Ordering::Release);
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Before a context is given to a call: only a call that is made drops it (core.h, registrations).
    fn must_offer(&self, offered: bool, function: &'static str) -> Result<(), Error> {
        match (offered, self.is_alive()) {
            (true, true) => Ok(()),
            (true, false) => Err(Error::cancelled("the instance is gone")),
            (false, _) => Err(Error::unsupported(format!("this host does not offer {function}"))),
        }
    }

    fn raw(&self) -> *const abi::core::Host {
        self.raw.as_ptr()
    }

    fn check(&self, status: abi::core::Status) -> Result<Status, Error> {
        if status >= 0 { Ok(Status(status)) } else { Err(self.last_error(Status(status))) }
    }

    /// The text that belongs to a status which a call on this thread has just returned.
    #[cold]
    fn last_error(&self, status: Status) -> Error {
        let mut message = lend("");
        let mut code = 0;
        if let Some(last_error) = self.core.last_error {
            // SAFETY: core.h: last_error is [any]; `message` is ours.
            code = unsafe { last_error(self.raw(), &raw mut message) };
        }
        if code != status.0 {
            return Error::new(status, "");
        }
        // SAFETY: core.h: valid until the next host call on this thread.
        let text = unsafe { text(message) };
        Error::new(status, text.into_owned())
    }

    /// Gives the host the text of the error that a callback is about to return.
    pub(crate) fn set_error(&self, error: &Error) {
        let Some(set_error) = self.core.set_error else { return };
        if self.is_alive() {
            // SAFETY: core.h: set_error is [any]; the text is copied.
            unsafe { set_error(self.raw(), error.status.0, lend(&error.text)) };
        }
    }

    /// Closes a handle; errors (closed before, instance gone) mean that there is nothing left to do.
    pub(crate) fn close(&self, handle: Handle) {
        let _ = call!(self, core.close(handle));
    }

    /// One poll of the host: `poll` makes the call with the waker it is given.
    fn poll(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(*mut abi::core::Waker) -> Result<Status, Error>,
    ) -> Poll<Result<Status, Error>> {
        match waker::lend(cx.waker(), poll) {
            Ok(Status::PENDING) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    pub(crate) fn alloc(&self, len: usize) -> Result<BufMut, Error> {
        let (mut data, mut mem) = (std::ptr::null_mut(), std::ptr::null_mut());
        call!(self, mem.alloc(len, &raw mut data, &raw mut mem))?;
        let (Some(data), Some(mem)) = (NonNull::new(data), NonNull::new(mem)) else {
            return Err(Error::internal("the host gave no memory"));
        };
        // SAFETY: mem.h: `len` writable bytes and one reference, which is ours.
        Ok(unsafe { BufMut::from_raw(data, len, mem) })
    }

    pub(crate) fn config_json(&self) -> Result<String, Error> {
        let mut json = lend("");
        call!(self, config.get(&raw mut json))?;
        // SAFETY: config.h: valid until destroy returns.
        Ok(unsafe { text(json) }.into_owned())
    }

    pub(crate) fn add_metric(
        &self,
        kind: u32,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<u32, Error> {
        let mut id = 0;
        let (name, help) = (lend(name), lend(help));
        call!(self, metrics.add(kind, name, help, bounds.as_ptr(), bounds.len(), &raw mut id))?;
        Ok(id)
    }

    pub(crate) fn record(&self, id: u32, value: f64) {
        let Some(record) = self.metrics.record else { return };
        if self.is_alive() {
            // SAFETY: metrics.h: record is [any] and takes plain values.
            unsafe { record(self.raw(), id, value) };
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instance").field(&self.name).finish()
    }
}

/// A handle that is closed when it goes.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) instance: Arc<Instance>,
    pub(crate) handle: Handle,
}

impl Owned {
    pub(crate) fn new(instance: &Arc<Instance>, handle: Handle) -> Self {
        Self { instance: Arc::clone(instance), handle }
    }

    /// The host has taken the handle over: it is not closed.
    pub(crate) fn forget(mut self) {
        self.handle = 0;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.handle != 0 {
            self.instance.close(self.handle);
        }
    }
}

/// A text, lent for one call.
pub(crate) fn lend(text: &str) -> Str {
    Str { data: text.as_ptr(), len: text.len() }
}

/// # Safety
/// `text` describes readable bytes that stay as they are for `'a` (core.h, ownership).
pub(crate) unsafe fn text<'a>(text: Str) -> Cow<'a, str> {
    if text.data.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(text.data, text.len) })
}

/// Copies as much of a sized table as both sides know; the rest is zero.
///
/// # Safety
/// `table` is NULL or begins with its `struct_size`, and `T` has fields only for which zero is a value (integers, raw
/// pointers, optional functions).
pub(crate) unsafe fn copy_table<T>(table: *const T) -> T {
    let mut copy = MaybeUninit::<T>::zeroed();
    if !table.is_null() {
        // SAFETY: core.h: a sized struct begins with its size.
        let size = unsafe { table.cast::<u32>().read() } as usize;
        let size = size.min(size_of::<T>());
        // SAFETY: both have at least `size` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), size)
        };
    }
    // SAFETY: zero is a value of every field, and so is what the other side wrote.
    unsafe { copy.assume_init() }
}

/// `struct_size` of a sized struct.
pub(crate) const fn size_u32<T>() -> u32 {
    let size = size_of::<T>();
    assert!(size < 1 << 16, "no struct of the contract is that large");
    #[expect(
        clippy::cast_possible_truncation,
        reason = "just tested, and there is no const conversion"
    )]
    let size = size as u32;
    size
}
