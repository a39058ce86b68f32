//! Calls of pc.exec/1, pc.tasks/1 and pc.auth/1.
#![expect(unsafe_code, reason = "calls through the host's tables")]

use std::ptr::null_mut;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::future::{Outcome, attempts_into_abi, future_into_abi, thread_into_abi};
use super::{Instance, Owned, call, lend, size_u32, waker};
use crate::abi::auth::AuthRequest;
use crate::abi::core::{Field, Handle, Ns};
use crate::abi::tasks;
use crate::error::{Error, Status};

/// Where a closure runs.
#[derive(Clone, Copy)]
pub(crate) enum ThreadKind {
    Blocking,
    Own,
}

impl Instance {
    pub(crate) fn now(&self) -> Ns {
        let Some(now) = self.exec.now.filter(|_| self.is_alive()) else { return 0 };
        // SAFETY: exec.h: now is [any].
        unsafe { now(self.raw()) }
    }

    /// Spawns under `parent` (0: the instance). `keep`: give a handle, whose close cancels the task.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        parent: Handle,
        kind: &str,
        name: &str,
        future: F,
        keep: bool,
    ) -> Result<Handle, Error>
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.must_offer(self.exec.spawn.is_some(), "exec.spawn")?;
        let mut task = 0;
        let out = if keep { &raw mut task } else { null_mut() };
        let future = future_into_abi(self, future);
        call!(self, exec.spawn(parent, lend(kind), lend(name), future, out))?;
        Ok(task)
    }

    pub(crate) fn poll_task(&self, task: Handle, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, exec.poll_task(task, waker))).map_ok(|_| ())
    }

    pub(crate) fn thread<R, O>(
        self: &Arc<Self>,
        kind: ThreadKind,
        name: &str,
        run: R,
    ) -> Result<Owned, Error>
    where
        R: FnOnce() -> O + Send + 'static,
        O: Outcome,
    {
        let offered = match kind {
            ThreadKind::Blocking => self.exec.blocking,
            ThreadKind::Own => self.exec.thread,
        };
        self.must_offer(offered.is_some(), "threads")?;
        let mut handle = 0;
        let (vtable, ctx) = thread_into_abi(self, run);
        match kind {
            ThreadKind::Blocking => {
                call!(self, exec.blocking(lend(name), vtable, ctx, &raw mut handle))
            }
            ThreadKind::Own => call!(self, exec.thread(lend(name), vtable, ctx, &raw mut handle)),
        }?;
        Ok(Owned::new(self, handle))
    }

    /// The waker of this thread if the host made it for the plugin.
    pub(crate) fn thread_waker(&self) -> Option<Waker> {
        let thread_waker = self.exec.thread_waker.filter(|_| self.is_alive())?;
        // SAFETY: exec.h: thread_waker is [any].
        let raw = unsafe { thread_waker(self.raw()) };
        if raw.is_null() {
            return None;
        }
        // SAFETY: exec.h: lent until the thread ends.
        Some(unsafe { waker::borrow(raw, Waker::clone) })
    }

    pub(crate) fn park(&self, deadline: Ns) -> Result<(), Error> {
        call!(self, exec.park(deadline)).map(|_| ())
    }

    pub(crate) fn timer(self: &Arc<Self>) -> Result<Owned, Error> {
        let mut timer = 0;
        call!(self, exec.timer(&raw mut timer))?;
        Ok(Owned::new(self, timer))
    }

    pub(crate) fn poll_timer(
        &self,
        timer: Handle,
        deadline: Ns,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, exec.poll_timer(timer, deadline, waker))).map_ok(|_| ())
    }

    pub(crate) fn job(
        self: &Arc<Self>,
        parent: Handle,
        kind: &str,
        name: &str,
    ) -> Result<Owned, Error> {
        let mut job = 0;
        call!(self, tasks.job(parent, lend(kind), lend(name), &raw mut job))?;
        Ok(Owned::new(self, job))
    }

    pub(crate) fn run<A, F>(
        self: &Arc<Self>,
        parent: Handle,
        kind: &str,
        name: &str,
        retry: &tasks::Retry,
        attempt: A,
    ) -> Result<Owned, Error>
    where
        A: FnMut() -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.must_offer(self.tasks.run.is_some(), "tasks.run")?;
        let mut task = 0;
        let (vtable, ctx) = attempts_into_abi(self, attempt);
        call!(self, tasks.run(parent, lend(kind), lend(name), retry, vtable, ctx, &raw mut task))?;
        Ok(Owned::new(self, task))
    }

    pub(crate) fn describe(&self, task: Handle, fields: &[(&str, &str)]) -> Result<(), Error> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(key, value)| Field { key: lend(key), value: lend(value) })
            .collect();
        call!(self, tasks.describe(task, fields.as_ptr(), fields.len())).map(|_| ())
    }

    pub(crate) fn progress(&self, task: Handle, done: u64, total: u64) -> Result<(), Error> {
        call!(self, tasks.progress(task, done, total)).map(|_| ())
    }

    pub(crate) fn poll_check(
        &self,
        action: u32,
        url: &str,
        conn: Handle,
        protocol: &str,
        cx: &Context<'_>,
    ) -> Poll<Result<Status, Error>> {
        let struct_size = size_u32::<AuthRequest>();
        let request =
            AuthRequest { struct_size, action, url: lend(url), conn, protocol: lend(protocol) };
        self.poll(cx, |waker| call!(self, auth.poll_check(&raw const request, waker)))
    }
}
