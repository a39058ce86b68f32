//! Tasks, jobs, retries, and threads of the plugin's own.
//!
//! A future runs on the host's workers, as a task that the operator sees in the task list. It must not block; work that does
//! goes to [`Host::blocking`] or to a thread from [`Host::thread`]. Whatever is spawned under an instance ends with it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use crate::abi;
use crate::channel;
use crate::error::Error;
use crate::ffi::exec::ThreadKind;
use crate::ffi::{Owned, size_u32};
use crate::host::Host;
use crate::time::ns;

pub use crate::ffi::future::Outcome;

/// When an attempt ends with an error. The default never retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Retries; `u32::MAX`: endless.
    pub count: u32,
    /// Before the first retry; each further wait doubles, with ±20 % jitter.
    pub interval: Duration,
    /// Where the doubling stops; zero: no doubling.
    pub interval_max: Duration,
    /// An attempt that ran this long resets the counter; zero: never.
    pub steady: Duration,
}

impl Retry {
    fn to_abi(self) -> abi::tasks::Retry {
        abi::tasks::Retry {
            struct_size: size_u32::<abi::tasks::Retry>(),
            count: self.count,
            interval: ns(self.interval),
            interval_max: ns(self.interval_max),
            steady: ns(self.steady),
        }
    }
}

/// A running task. Dropping it cancels the task; [`Host::spawn_detached`] makes one that needs no handle.
#[derive(Debug)]
#[must_use = "dropping it cancels the task"]
pub struct Task(Owned);

impl Task {
    /// Waits for the end.
    ///
    /// # Errors
    /// That with which the task ended.
    pub async fn join(&mut self) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.0.instance.poll_task(self.0.handle, cx)).await
    }

    /// Sets attributes for the task list, by key, at most 32 a task.
    ///
    /// # Errors
    /// [`Status::HANDLE`](crate::Status::HANDLE) when the task has ended.
    pub fn describe(&self, attributes: &[(&str, &str)]) -> Result<(), Error> {
        self.0.instance.describe(self.0.handle, attributes)
    }

    /// Done of `total`, in any unit; total 0: unknown.
    ///
    /// # Errors
    /// [`Status::HANDLE`](crate::Status::HANDLE) when the task has ended.
    pub fn progress(&self, done: u64, total: u64) -> Result<(), Error> {
        self.0.instance.progress(self.0.handle, done, total)
    }
}

/// A task that only has children. Dropping it stops them, then it.
#[derive(Debug)]
#[must_use = "dropping it stops the job and its children"]
pub struct Job(Owned);

/// A thread of the plugin's own, or of the blocking pool. Dropping it asks the thread to end: its next wait in
/// [`Host::block_on`] is cancelled. It is joined before `destroy`.
#[derive(Debug)]
#[must_use = "dropping it asks the thread to end"]
pub struct OwnThread {
    _thread: Owned,
}

macro_rules! spawning {
    ($parent:ty, |$this:ident| $instance:expr, $handle:expr) => {
        impl $parent {
            /// Runs `future` as a task. `kind` is a short word for the task list (session, listener), `name` tells this
            /// one from others (a peer's address).
            ///
            /// # Errors
            /// [`Status::LIMIT`](crate::Status::LIMIT), [`Status::CANCELLED`](crate::Status::CANCELLED); the future is
            /// dropped then.
            pub fn spawn<F>(&self, kind: &str, name: &str, future: F) -> Result<Task, Error>
            where
                F: Future<Output: Outcome> + Send + 'static,
            {
                let $this = self;
                let handle = $instance.spawn($handle, kind, name, future, true)?;
                Ok(Task(Owned::new($instance, handle)))
            }

            /// As `spawn`, without a handle: the task ends by itself or with its parent.
            ///
            /// # Errors
            /// As `spawn`.
            pub fn spawn_detached<F>(&self, kind: &str, name: &str, future: F) -> Result<(), Error>
            where
                F: Future<Output: Outcome> + Send + 'static,
            {
                let $this = self;
                $instance.spawn($handle, kind, name, future, false).map(|_| ())
            }

            /// Runs attempts, each a future that `attempt` makes, until one ends well or `retry` gives up. `name`, if not
            /// empty, is unique among the parent's children.
            ///
            /// # Errors
            /// [`Status::CONFLICT`](crate::Status::CONFLICT) when a sibling has the name; else as `spawn`.
            pub fn run<A, F>(
                &self,
                kind: &str,
                name: &str,
                retry: Retry,
                attempt: A,
            ) -> Result<Task, Error>
            where
                A: FnMut() -> F + Send + 'static,
                F: Future<Output: Outcome> + Send + 'static,
            {
                let $this = self;
                $instance.run($handle, kind, name, &retry.to_abi(), attempt).map(Task)
            }

            /// A job below this one.
            ///
            /// # Errors
            /// [`Status::LIMIT`](crate::Status::LIMIT), [`Status::CANCELLED`](crate::Status::CANCELLED).
            pub fn job(&self, kind: &str, name: &str) -> Result<Job, Error> {
                let $this = self;
                $instance.job($handle, kind, name).map(Job)
            }
        }
    };
}

spawning!(Host, |this| &this.instance, 0);
spawning!(Job, |this| &this.0.instance, this.0.handle);

impl Host {
    /// Attributes of the task that is being polled, for the task list.
    ///
    /// # Errors
    /// [`Status::STATE`](crate::Status::STATE) outside of a task.
    pub fn describe(&self, attributes: &[(&str, &str)]) -> Result<(), Error> {
        self.instance.describe(0, attributes)
    }

    /// A thread of the plugin's own, for a loop that blocks. It waits with [`Host::block_on`], which fails when the
    /// instance stops: then it must return soon.
    ///
    /// # Errors
    /// [`Status::LIMIT`](crate::Status::LIMIT) above 64 an instance.
    pub fn thread<R, O>(&self, name: &str, run: R) -> Result<OwnThread, Error>
    where
        R: FnOnce() -> O + Send + 'static,
        O: Outcome,
    {
        self.instance.thread(ThreadKind::Own, name, run).map(|thread| OwnThread { _thread: thread })
    }

    /// Runs work that blocks, and ends, on the blocking pool and waits for its result.
    ///
    /// # Errors
    /// [`Status::LIMIT`](crate::Status::LIMIT); [`Status::PANIC`](crate::Status::PANIC) when the work panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = channel::oneshot();
        let _work = self.instance.thread(ThreadKind::Blocking, name, move || sender.send(run()))?;
        receiver.await.ok_or_else(|| Error::panic("the blocking work panicked or was cancelled"))
    }

    /// Runs a future on this thread, which waits. For `deactivate`, threads of [`Host::thread`] and blocking work, never in a
    /// task. On threads that the host made for the plugin it ends when the instance stops.
    ///
    /// # Errors
    /// [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        let own = self.instance.thread_waker();
        let waker =
            own.clone().unwrap_or_else(|| Waker::from(Arc::new(Unpark(std::thread::current()))));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Ok(output);
            }
            match own {
                Some(_) => self.instance.park(0)?,
                None => std::thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
