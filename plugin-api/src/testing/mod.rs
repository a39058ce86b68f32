//! A host inside the test's process: a plugin runs against the same C tables, without a server and without a library file.
//!
//! [`FakeHost`] has real sockets on loopback and a tokio runtime, keeps what is published for assertions, plays what the
//! test pushes, and can be told to fail any call once. It is not the server: no ring, no take-over, no limits, and a feed
//! is packaged anew for each viewer.
//!
//! ```text
//! let host = FakeHost::new();
//! let plugin = host.start::<Rtmp>("{}")?;          // create, activate
//! let addr = host.wait_for("a listener", |state| state.listeners().first().copied());
//! …                                                // a client on loopback
//! let stream = host.wait_for("frames", |state| state.stream("live/a").filter(|s| s.frames.len() == 3));
//! plugin.stop();                                   // deactivate, cancel, join, destroy
//! ```
#![expect(unsafe_code, reason = "the other side of the C tables")]

mod exec;
mod feed;
mod http;
mod net;
mod state;
mod streams;
mod tables;

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

pub use feed::{Feed, FeedPacket};
pub use http::{HttpAnswer, HttpRequest};
pub use state::{State, StreamView};

use crate::abi::core as abi;
use crate::auth::Action;
use crate::error::{Error, Status};
use crate::export::Entry;
use crate::ffi::{Instance, guard, lend};
use crate::frame::{Frame, Track};
use crate::host::Host;
use crate::mem::Buf;
use crate::plugin::Plugin;
use crate::stream::{Notice, Reason};

pub use crate::schema::check_schema;

/// How long [`FakeHost::wait_for`] and [`FakeHost::block_on`] wait before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fake host, for one plugin instance. Dropping it without [`Running::stop`] leaves everything as it is.
#[derive(Debug)]
pub struct FakeHost {
    shared: Arc<state::Shared>,
    raw: &'static abi::Host,
}

// SAFETY: core.h: the table's functions are [any]; the table does not change.
unsafe impl Send for FakeHost {}
// SAFETY: as above.
unsafe impl Sync for FakeHost {}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host with nothing in it, everything allowed.
    pub fn new() -> Self {
        let shared = Arc::new(state::Shared::new());
        // The table lives as long as the process, as a host's does: futures may outlast the test's variables.
        let ctx = Arc::into_raw(Arc::clone(&shared)).cast::<c_void>().cast_mut();
        let raw = Box::leak(Box::new(tables::host(ctx)));
        Self { shared, raw }
    }

    /// A [`Host`] for code that is tested without its plugin.
    pub fn host(&self) -> Host {
        // SAFETY: core.h: the table is valid for the life of the process.
        let instance = unsafe { Instance::new(self.raw.into(), "test".to_owned()) };
        guard::install(&instance);
        Host { instance }
    }

    /// Creates and activates a plugin with a config in JSON.
    ///
    /// # Errors
    /// What `create` or `activate` refused with.
    pub fn start<P: Plugin>(&self, config_json: &str) -> Result<Running<P>, Error> {
        let entry = Box::leak(Box::new(Entry::new::<P>("0.0.0")));
        let table = entry.table();
        let mut this = std::ptr::null_mut();
        let (create, activate) =
            (table.create.ok_or_else(missing)?, table.activate.ok_or_else(missing)?);
        // SAFETY: core.h: texts are lent; `this` is ours.
        let status = unsafe { create(self.raw, lend(P::ID), lend(config_json), &raw mut this) };
        tables::result(status)?;
        let running = Running { host: Arc::clone(&self.shared), table, this, plugin: PhantomData };
        // SAFETY: core.h: after create, once.
        tables::result(unsafe { activate(this) })?;
        Ok(running)
    }

    /// Runs the test's own async code (clients, waiting) on this thread.
    ///
    /// # Panics
    /// After ten seconds.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let limited = async { tokio::time::timeout(PATIENCE, future).await };
        match self.shared.runtime().block_on(limited) {
            Ok(output) => output,
            Err(_) => panic!("nothing within {PATIENCE:?}; the log:\n{}", self.logs().join("\n")),
        }
    }

    /// Waits until `find` finds something in the state of the host.
    ///
    /// # Panics
    /// After ten seconds, with `what` and the log.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&State) -> Option<T>) -> T {
        let wait = std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            match find(&state) {
                Some(found) => Poll::Ready(found),
                None => {
                    state.wait(cx);
                    Poll::Pending
                }
            }
        });
        let limited = async { tokio::time::timeout(PATIENCE, wait).await };
        match self.shared.runtime().block_on(limited) {
            Ok(found) => found,
            Err(_) => panic!("waited for {what}; the log:\n{}", self.logs().join("\n")),
        }
    }

    /// What is there now.
    pub fn state<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.shared.lock())
    }

    /// Lines of the log so far: `INFO target message key=value`.
    pub fn logs(&self) -> Vec<String> {
        self.shared.lock().logs.clone()
    }

    /// The next call of the C function with this name (`tcp_listen`, `push`) fails with `error`.
    pub fn fail_next(&self, function: &'static str, error: Error) {
        self.shared.lock().failures.push((function, error));
    }

    /// Decides what may be published and played. Before, everything may.
    pub fn set_auth(
        &self,
        decide: impl Fn(Action, &str) -> Result<(), Error> + Send + Sync + 'static,
    ) {
        self.shared.lock().auth = Arc::new(decide);
    }

    /// Publishes as somebody else: the tracks of `key` from here on. After an end it is another stream.
    pub fn set_tracks(&self, key: &str, tracks: &[Track]) {
        let mut state = self.shared.lock();
        let stream = state.streams.entry(key.to_owned()).or_default();
        if stream.ended.is_some() {
            *stream = state::Stream::default();
        }
        stream.set_tracks(tracks.to_vec());
        self.shared.changed(state);
    }

    /// Publishes as somebody else: frames for subscribers and viewers of `key`.
    pub fn push(&self, key: &str, frames: &[Frame]) {
        let mut state = self.shared.lock();
        state.streams.entry(key.to_owned()).or_default().push(frames);
        self.shared.changed(state);
    }

    /// The stream ends, for its publisher, subscribers and viewers.
    pub fn end_stream(&self, key: &str, reason: Reason) {
        let mut state = self.shared.lock();
        state.streams.entry(key.to_owned()).or_default().ended = Some(reason);
        self.shared.changed(state);
    }

    /// Tells the publisher of `key` something.
    pub fn notify(&self, key: &str, notice: Notice) {
        let mut state = self.shared.lock();
        state.streams.entry(key.to_owned()).or_default().notices.push_back(notice);
        self.shared.changed(state);
    }

    /// Host memory with these bytes, for frames.
    ///
    /// # Panics
    /// When the system has no memory.
    pub fn buf(&self, bytes: &[u8]) -> Buf {
        match self.shared.pool.copy(&[bytes]) {
            Some(buf) => buf,
            None => panic!("no memory"),
        }
    }

    /// Bytes of host memory that are alive. 0 after everything was dropped.
    pub fn memory_used(&self) -> usize {
        self.shared.pool.account().used()
    }
}

/// A plugin that was created and activated.
#[must_use = "stop it, to test its end too"]
pub struct Running<P> {
    host: Arc<state::Shared>,
    table: &'static abi::Plugin,
    this: *mut c_void,
    plugin: PhantomData<P>,
}

impl<P: Plugin> fmt::Debug for Running<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&P::ID).finish()
    }
}

impl<P> Running<P> {
    /// Stops as the server does: deactivate, cancel and join everything, drop every registration, destroy.
    pub fn stop(self) {
        if let Some(deactivate) = self.table.deactivate {
            // SAFETY: core.h: after activate, once.
            unsafe { deactivate(self.this, 5_000_000_000) };
        }
    }
}

impl<P> Drop for Running<P> {
    fn drop(&mut self) {
        self.host.stop();
        if let Some(destroy) = self.table.destroy {
            // SAFETY: core.h: the last call; everything of the instance has ended.
            unsafe { destroy(self.this) };
        }
    }
}

fn missing() -> Error {
    Error::new(Status::INVALID, "the plugin's table lacks a function")
}
