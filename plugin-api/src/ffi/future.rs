//! Rust futures and closures as the tables of exec.h and tasks.h: polled, run and dropped inside the guard.
#![expect(unsafe_code, reason = "callbacks of the host with a context pointer")]

use std::ffi::c_void;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Instance, budget, guard, size_u32, waker};
use crate::abi::core::{self, FutureVtable};
use crate::abi::exec::ThreadVtable;
use crate::abi::tasks::TaskVtable;
use crate::error::{Error, Status};

/// What a task's future may end with: nothing, or a result whose error is the task's.
pub trait Outcome: Send + 'static {
    /// As the host sees it.
    fn into_outcome(self) -> Result<(), Error>;
}

impl Outcome for () {
    fn into_outcome(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<Error> + Send + 'static> Outcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), Error> {
        self.map_err(Into::into)
    }
}

/// The context of each table: what it runs, and for whom.
struct Bound<T> {
    instance: Arc<Instance>,
    inner: T,
}

impl<T> Bound<T> {
    fn into_ctx(instance: &Arc<Instance>, inner: T) -> *mut c_void {
        Box::into_raw(Box::new(Self { instance: Arc::clone(instance), inner })).cast()
    }
}

/// Gives a future to the host, which owns it from here on.
pub(crate) fn future_into_abi<F>(instance: &Arc<Instance>, future: F) -> core::Future
where
    F: Future<Output: Outcome> + Send + 'static,
{
    let vtable: &'static FutureVtable = &const {
        FutureVtable {
            struct_size: size_u32::<FutureVtable>(),
            revision: 1,
            poll: Some(poll::<F>),
            drop: Some(drop_bound::<F>),
        }
    };
    core::Future { vtable, ctx: Bound::into_ctx(instance, future) }
}

unsafe extern "C" fn poll<F: Future<Output: Outcome>>(
    ctx: *mut c_void,
    raw_waker: *mut core::Waker,
) -> core::Status {
    // SAFETY: core.h: one poll at a time, before drop; `ctx` is the box of `future_into_abi`.
    let Bound { instance, inner } = unsafe { &mut *ctx.cast::<Bound<F>>() };
    // SAFETY: the future lives in its box until it is dropped there.
    let future = unsafe { Pin::new_unchecked(inner) };
    let run = |waker: &std::task::Waker| match future.poll(&mut Context::from_waker(waker)) {
        Poll::Pending => Ok(Status::PENDING),
        Poll::Ready(outcome) => outcome.into_outcome().map(|()| Status::OK),
    };
    guard::status(instance, || {
        // SAFETY: core.h: the waker is lent for the call.
        budget::with(|| unsafe { waker::borrow(raw_waker, run) })
    })
}

/// `drop` of every table here.
unsafe extern "C" fn drop_bound<T>(ctx: *mut c_void) {
    // SAFETY: core.h: drop is called once, after the last callback; `ctx` is the box of `Bound::into_ctx`.
    let bound = unsafe { Box::from_raw(ctx.cast::<Bound<T>>()) };
    let instance = Arc::clone(&bound.instance);
    // In its box: a future that was polled must not move any more. A panic was logged by the hook; there is nobody to give a
    // status to.
    guard::enter(&instance, || drop(bound)).ok();
}

/// A maker of attempts, as `pc_task_vtable` and its context.
pub(crate) fn attempts_into_abi<A, F>(
    instance: &Arc<Instance>,
    attempt: A,
) -> (&'static TaskVtable, *mut c_void)
where
    A: FnMut() -> F + Send + 'static,
    F: Future<Output: Outcome> + Send + 'static,
{
    let vtable: &'static TaskVtable = &const {
        TaskVtable {
            struct_size: size_u32::<TaskVtable>(),
            revision: 1,
            attempt: Some(next_attempt::<A, F>),
            drop: Some(drop_bound::<A>),
        }
    };
    (vtable, Bound::into_ctx(instance, attempt))
}

unsafe extern "C" fn next_attempt<A, F>(ctx: *mut c_void, out: *mut core::Future) -> core::Status
where
    A: FnMut() -> F + Send + 'static,
    F: Future<Output: Outcome> + Send + 'static,
{
    // SAFETY: tasks.h: callbacks of one handle are never concurrent; `ctx` is the box of `attempts_into_abi`.
    let Bound { instance, inner } = unsafe { &mut *ctx.cast::<Bound<A>>() };
    match guard::enter(instance, &mut *inner) {
        Ok(future) => {
            let future = future_into_abi(instance, future);
            // SAFETY: tasks.h: `out` is the host's, writable for the call.
            unsafe { out.write(future) };
            core::OK
        }
        Err(error) => {
            instance.set_error(&error);
            error.status.0
        }
    }
}

/// A closure that runs once on a thread, as `pc_thread_vtable` and its context.
pub(crate) fn thread_into_abi<R, O>(
    instance: &Arc<Instance>,
    run: R,
) -> (&'static ThreadVtable, *mut c_void)
where
    R: FnOnce() -> O + Send + 'static,
    O: Outcome,
{
    let vtable: &'static ThreadVtable = &const {
        ThreadVtable {
            struct_size: size_u32::<ThreadVtable>(),
            revision: 1,
            run: Some(run_thread::<R, O>),
            drop: Some(drop_bound::<Option<R>>),
        }
    };
    (vtable, Bound::into_ctx(instance, Some(run)))
}

unsafe extern "C" fn run_thread<R, O>(ctx: *mut c_void) -> core::Status
where
    R: FnOnce() -> O + Send + 'static,
    O: Outcome,
{
    // SAFETY: exec.h: run is called at most once, before drop; `ctx` is the box of `thread_into_abi`.
    let Bound { instance, inner } = unsafe { &mut *ctx.cast::<Bound<Option<R>>>() };
    let run = inner.take();
    guard::status(instance, || match run {
        Some(run) => run().into_outcome().map(|()| Status::OK),
        None => Err(Error::state("the thread has run already")),
    })
}
