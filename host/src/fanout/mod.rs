//! Sends feeds to viewers: a few threads, one a core, which own the attached sockets and run no plugin code.
//!
//! ```text
//! feed ──wakes──▶ thread: window of packets ─▶ viewer: a number in a list ─▶ kernel
//! session ─inject, detach─▶ inbox ─▶            └─▶ pipe ─▶ session (what the peer says)
//! ```
//!
//! A thread is woken once per batch, takes the new packets once, and sends the same bytes to all viewers that have kept up;
//! no lock, count or allocation per viewer and packet. Start reading at `worker`, then `worker/in_sync.rs`.

mod attached;
mod cursor;
mod inbox;
mod lag;
mod loads;
mod mailbox;
mod sender;
mod viewer;
mod worker;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::mem::{Buf, Pool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::attached::Attached;
use self::inbox::{Command, Inbox};
use self::lag::LagPolicy;
use self::loads::Loads;
pub use self::loads::ThreadInfo;
use self::viewer::Control;
pub use self::viewer::{Detached, Error, INJECT_BYTES_MAX, Viewer};
use self::worker::Worker;
use crate::crash;
use crate::hub::Reason;
use crate::hub::feed::Prepared;
use crate::log::quiet::Quiet;
use crate::net::Conn;

/// Viewers of one address that have lines in the log, in each interval: a player that comes back in a loop must not push
/// everything else out of it.
const STARTS_LOGGED_MAX: u32 = 600;
const STARTS_INTERVAL: Duration = Duration::from_secs(60);
/// Addresses whose viewers have lines in that time.
const STARTS_ADDRESSES_MAX: usize = 65_536;

/// What an operator decides about viewers.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A viewer that takes no byte for this long is closed.
    pub stall_timeout: Duration,
    /// A viewer that is this far behind jumps to the newest start point.
    pub max_lag: Duration,
    /// What the kernel holds for one viewer. `None`: its own choice.
    pub send_buffer: Option<usize>,
    /// `None`: one for each core.
    pub threads: Option<usize>,
    /// For new threads.
    pub sender: Mechanism,
}

/// How bytes get to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// `io_uring` where the kernel allows it, else `send`.
    #[default]
    Auto,
    /// One system call for many viewers.
    IoUring,
    /// One system call for each viewer.
    Send,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stall_timeout: Duration::from_secs(10),
            max_lag: Duration::from_secs(5),
            send_buffer: None,
            threads: None,
            sender: Mechanism::Auto,
        }
    }
}

/// The fan-out threads. A clone is the same ones.
#[derive(Clone)]
pub struct Fanout {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    threads: Vec<Thread>,
    loads: Arc<Loads>,
    next_number: AtomicU64,
    stopped: AtomicBool,
}

struct Thread {
    inbox: Arc<Inbox>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Fanout {
    /// Starts the threads. Small messages are copied into blocks of `pool`.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptor.
    pub fn start(settings: &Settings, pool: Pool) -> io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let n = settings.threads.unwrap_or_else(cores).max(1);
        let loads = Arc::new(Loads::new(n));
        let starts =
            Arc::new(Quiet::several(STARTS_LOGGED_MAX, STARTS_INTERVAL, STARTS_ADDRESSES_MAX));
        let mut threads = Vec::new();
        for index in 0..n {
            let inbox = Inbox::new()?;
            let worker = Worker::new(
                index,
                settings,
                Arc::clone(&inbox),
                pool.clone(),
                Arc::clone(&loads),
                Arc::clone(&starts),
            )?;
            let name = format!("fanout-{index}");
            let handle = std::thread::Builder::new()
                .name(name)
                .spawn(move || crash::essential(|| worker.run()))?;
            threads.push(Thread { inbox, handle: Mutex::new(Some(handle)) });
        }
        let (next_number, stopped) = (AtomicU64::new(1), AtomicBool::new(false));
        Ok(Self { inner: Arc::new(Inner { pool, threads, loads, next_number, stopped }) })
    }

    /// Lends the connection to the feed: `first` goes out, the session's last own bytes, then head and packets from the
    /// place that was prepared. Nothing of the session's may be left unsent.
    ///
    /// # Errors
    /// [`Error::Conn`] when the connection is lent already, or closed.
    pub fn attach(
        &self,
        conn: &Arc<Conn>,
        prepared: Prepared,
        first: &[&[u8]],
    ) -> Result<Viewer, Error> {
        let inner = &self.inner;
        if inner.stopped.load(Ordering::Acquire) {
            return Err(Error::Stopped);
        }
        let first = match first.iter().all(|part| part.is_empty()) {
            true => Buf::default(),
            false => inner.pool.copy(first).ok_or(Error::Memory)?,
        };
        let feed = prepared.feed().id();
        let thread = inner.loads.assign(feed);
        let inbox = Arc::clone(&inner.threads[thread].inbox);
        let number = inner.next_number.fetch_add(1, Ordering::Relaxed);
        let control = Control::new(number, Arc::clone(&inbox));
        let lent = match conn.lend(Arc::clone(&control) as _) {
            Ok(lent) => lent,
            Err(error) => {
                inner.loads.release(feed, thread);
                return Err(error.into());
            }
        };
        conn.established();
        let attached = Attached::new(Arc::clone(&control), Arc::clone(conn), lent, prepared, first);
        if let Err(Command::Attach(attached)) = inbox.send(Command::Attach(Box::new(attached))) {
            inner.loads.release(feed, thread);
            conn.give_back(attached.lent);
            return Err(Error::Stopped);
        }
        Ok(Viewer::new(control, Arc::clone(conn), inner.pool.clone()))
    }

    /// New limits for lag and stalls, for viewers that are attached too. The rest of the settings needs new threads.
    pub fn set_limits(&self, settings: &Settings) {
        let policy = LagPolicy::new(settings);
        self.inner.tell_all(|| Command::SetPolicy(policy));
    }

    /// What each thread has to do.
    pub fn threads(&self) -> Vec<ThreadInfo> {
        self.inner.loads.threads()
    }

    /// Detaches all viewers, at packet boundaries as far as that is possible within `limit`, and ends the threads. Blocks.
    pub fn stop(&self, limit: Duration) {
        let inner = &self.inner;
        inner.stopped.store(true, Ordering::Release);
        inner.tell_all(|| Command::DetachAll(Reason::Stopped));
        let in_time = inner.loads.wait_for_none(Instant::now() + limit);
        if !in_time {
            tracing::warn!(event = "fanout.stop", "viewers that did not finish in time are closed");
        }
        inner.end_threads();
    }

    #[cfg(test)]
    fn panic_in(&self, thread: usize) {
        let _ended = self.inner.threads[thread].inbox.send(Command::Panic);
    }
}

impl Inner {
    fn tell_all(&self, command: impl Fn() -> Command) {
        for thread in &self.threads {
            // A thread that has ended has no viewers.
            let _ended = thread.inbox.send(command());
        }
    }

    fn end_threads(&self) {
        self.tell_all(|| Command::Quit(Reason::Stopped));
        for thread in &self.threads {
            if let Some(handle) = thread.handle.lock().take()
                && handle.join().is_err()
            {
                tracing::error!(event = "fanout.panicked", "a fan-out thread ended by a panic");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_threads();
    }
}
