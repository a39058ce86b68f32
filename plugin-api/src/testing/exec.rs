//! pc.exec/1 and pc.tasks/1 of the fake host, on a tokio runtime and plain threads.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::cell::Cell;
use std::ffi::c_void;
use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::state::{Object, Shared};
use super::tables::{enter, owned, put, result};
use crate::abi;
use crate::abi::core::{Field, Handle, Host, Ns, Str};
use crate::error::{Error, Status};
use crate::ffi::{size_u32, waker};

pub(super) static EXEC: abi::exec::ExecApi = abi::exec::ExecApi {
    struct_size: size_u32::<abi::exec::ExecApi>(),
    revision: 1,
    now: Some(now),
    spawn: Some(spawn),
    poll_task: Some(poll_task),
    thread: Some(thread),
    blocking: Some(thread),
    thread_waker: Some(thread_waker),
    park: Some(park),
    timer: Some(timer),
    poll_timer: Some(poll_timer),
};

pub(super) static TASKS: abi::tasks::TasksApi = abi::tasks::TasksApi {
    struct_size: size_u32::<abi::tasks::TasksApi>(),
    revision: 1,
    job: Some(job),
    run: Some(run),
    describe: Some(describe),
    progress: Some(progress),
};

/// How a task ended, and the way to end it.
#[derive(Default)]
pub(super) struct Ended {
    result: Mutex<Option<Result<(), Error>>>,
    abort: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Ended {
    pub(super) fn is_over(&self) -> bool {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn cancel(&self) {
        if let Some(abort) = &*self.abort.lock().unwrap_or_else(PoisonError::into_inner) {
            abort.abort();
        }
    }
}

/// Marks the end of a task when it is dropped, however that came.
struct Mark {
    shared: &'static Shared,
    ended: Arc<Ended>,
    result: Result<(), Error>,
}

impl Drop for Mark {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        *self.ended.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.shared.changed(self.shared.lock());
    }
}

/// A plugin's future as a Rust one.
struct Polled(abi::core::Future);

// SAFETY: core.h: futures are polled and dropped by any worker, one at a time.
unsafe impl Send for Polled {}

impl Future for Polled {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: core.h: tables are valid for the life of the process.
        let vtable = unsafe { &*self.0.vtable };
        let Some(poll) = vtable.poll else { return Poll::Ready(Err(Error::invalid("no poll"))) };
        // SAFETY: core.h: one poll at a time, before drop; the waker is lent.
        match waker::lend(cx.waker(), |raw| unsafe { poll(self.0.ctx, raw) }) {
            abi::core::PENDING => Poll::Pending,
            status => Poll::Ready(result(status).map(|_| ())),
        }
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        // SAFETY: core.h: tables are valid for the life of the process.
        if let Some(drop) = unsafe { &*self.0.vtable }.drop {
            // SAFETY: core.h: once, not during a poll.
            unsafe { drop(self.0.ctx) };
        }
    }
}

/// A context with its `drop`.
struct Ctx(*mut c_void, Option<unsafe extern "C" fn(*mut c_void)>);

// SAFETY: core.h: contexts are used by one thread at a time.
unsafe impl Send for Ctx {}

impl Drop for Ctx {
    fn drop(&mut self) {
        if let Some(drop) = self.1 {
            // SAFETY: core.h: once, after the last callback.
            unsafe { drop(self.0) };
        }
    }
}

impl Shared {
    /// Runs a future as a task under `parent`.
    pub(super) fn start(
        &'static self,
        parent: Handle,
        future: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Handle {
        let ended = Arc::new(Ended::default());
        let mut mark = Mark {
            shared: self,
            ended: Arc::clone(&ended),
            result: Err(Error::cancelled("the task was cancelled")),
        };
        let mut state = self.lock();
        let handle = state.add(Object::Task(Arc::clone(&ended)));
        state.tasks.push((parent, handle, Arc::clone(&ended)));
        drop(state);
        let join = self.runtime().spawn(async move {
            mark.result = future.await;
            drop(mark);
        });
        *ended.abort.lock().unwrap_or_else(PoisonError::into_inner) = Some(join.abort_handle());
        handle
    }

    /// After deactivate: everything is cancelled, joined and dropped.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let tasks: Vec<_> = state.tasks.iter().map(|(.., ended)| Arc::clone(ended)).collect();
        let threads = std::mem::take(&mut state.threads);
        self.changed(state);
        tasks.iter().for_each(|task| task.cancel());
        for thread in threads {
            thread.thread().unpark();
            let _ = thread.join();
        }
        let over = std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if tasks.iter().all(|task| task.is_over()) {
                return Poll::Ready(());
            }
            state.wait(cx);
            Poll::Pending
        });
        let limited = async { tokio::time::timeout(Duration::from_secs(5), over).await };
        assert!(self.runtime().block_on(limited).is_ok(), "tasks of the plugin don't end");
        let mut state = self.lock();
        let objects = std::mem::take(&mut state.objects);
        let packagers = std::mem::take(&mut state.packagers);
        self.changed(state);
        drop((objects, packagers));
    }
}

unsafe extern "C" fn now(host: *const Host) -> Ns {
    let mut now = 0;
    enter(host, "now", |shared| {
        now = Ns::try_from(shared.started.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        Ok(Status::OK)
    });
    now
}

unsafe extern "C" fn spawn(
    host: *const Host,
    parent: Handle,
    _: Str,
    _: Str,
    future: abi::core::Future,
    task: *mut Handle,
) -> abi::core::Status {
    let future = Polled(future);
    enter(host, "spawn", |shared| {
        let handle = shared.start(parent, future);
        if task.is_null() {
            shared.lock().objects.remove(&handle);
        } else {
            put(task, handle);
        }
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_task(
    host: *const Host,
    task: Handle,
    waker: *mut abi::core::Waker,
) -> abi::core::Status {
    enter(host, "poll_task", |shared| {
        let Object::Task(ended) = shared.find(task)? else {
            return Err(Error::new(Status::HANDLE, "no task"));
        };
        let mut state = shared.lock();
        if let Some(result) = ended.result.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return result.map(|()| Status::OK);
        }
        pending(waker, |cx| state.wait(cx))
    })
}

/// Leaves the waker somewhere.
pub(super) fn pending(
    waker: *mut abi::core::Waker,
    register: impl FnOnce(&Context<'_>),
) -> Result<Status, Error> {
    // SAFETY: core.h: the waker is lent for the call.
    unsafe { waker::borrow(waker, |waker| register(&Context::from_waker(waker))) };
    Ok(Status::PENDING)
}

thread_local! {
    static OWN_WAKER: Cell<*mut abi::core::Waker> = const { Cell::new(null_mut()) };
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

unsafe extern "C" fn thread(
    host: *const Host,
    _: Str,
    vtable: *const abi::exec::ThreadVtable,
    ctx: *mut c_void,
    handle: *mut Handle,
) -> abi::core::Status {
    // SAFETY: exec.h: tables are valid for the life of the process.
    let vtable = unsafe { &*vtable };
    let ctx = Ctx(ctx, vtable.drop);
    enter(host, "thread", |shared| {
        let run = vtable.run.ok_or_else(|| Error::invalid("no run"))?;
        let ended = Arc::new(Ended::default());
        let mut mark = Mark { shared, ended: Arc::clone(&ended), result: Ok(()) };
        let body = move || {
            let ctx = ctx;
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            mark.result = waker::lend(&waker, |raw| {
                OWN_WAKER.set(raw);
                // SAFETY: exec.h: once, before drop.
                result(unsafe { run(ctx.0) }).map(|_| ())
            });
            OWN_WAKER.set(null_mut());
            drop(ctx);
            drop(mark);
        };
        let mut state = shared.lock();
        put(handle, state.add(Object::Task(ended)));
        state.threads.push(std::thread::spawn(body));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn thread_waker(_: *const Host) -> *mut abi::core::Waker {
    OWN_WAKER.get()
}

unsafe extern "C" fn park(host: *const Host, deadline: Ns) -> abi::core::Status {
    enter(host, "park", |shared| {
        let now = Ns::try_from(shared.started.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        match u64::try_from(deadline.saturating_sub(now)) {
            _ if deadline == 0 => std::thread::park(),
            Ok(left) => std::thread::park_timeout(Duration::from_nanos(left)),
            Err(_) => return Err(Error::timeout("the deadline has passed")),
        }
        if shared.lock().stopped {
            Err(Error::cancelled("the instance stops"))
        } else {
            Ok(Status::OK)
        }
    })
}

unsafe extern "C" fn timer(host: *const Host, timer: *mut Handle) -> abi::core::Status {
    enter(host, "timer", |shared| {
        put(timer, shared.lock().add(Object::Timer(Arc::default())));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_timer(
    host: *const Host,
    timer: Handle,
    deadline: Ns,
    waker: *mut abi::core::Waker,
) -> abi::core::Status {
    enter(host, "poll_timer", |shared| {
        let Object::Timer(sleep) = shared.find(timer)? else {
            return Err(Error::new(Status::HANDLE, "no timer"));
        };
        let _context = shared.runtime().enter();
        let deadline = shared.started + Duration::from_nanos(u64::try_from(deadline).unwrap_or(0));
        let mut sleep = sleep.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep =
            sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if sleep.deadline().into_std() != deadline {
            sleep.as_mut().reset(deadline.into());
        }
        let mut done = false;
        pending(waker, |cx| {
            done = sleep.as_mut().poll(&mut Context::from_waker(cx.waker())).is_ready()
        })?;
        Ok(if done { Status::OK } else { Status::PENDING })
    })
}

unsafe extern "C" fn job(
    host: *const Host,
    _: Handle,
    _: Str,
    _: Str,
    job: *mut Handle,
) -> abi::core::Status {
    enter(host, "job", |shared| {
        put(job, shared.lock().add(Object::Job));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn run(
    host: *const Host,
    parent: Handle,
    _: Str,
    name: Str,
    retry: *const abi::tasks::Retry,
    vtable: *const abi::tasks::TaskVtable,
    ctx: *mut c_void,
    task: *mut Handle,
) -> abi::core::Status {
    // SAFETY: tasks.h: tables are valid for the life of the process.
    let vtable = unsafe { &*vtable };
    let ctx = Ctx(ctx, vtable.drop);
    // SAFETY: tasks.h: lent for the call.
    let retry = unsafe { *retry };
    let name = owned(name);
    enter(host, "run", |shared| {
        let attempt = vtable.attempt.ok_or_else(|| Error::invalid("no attempt"))?;
        let attempts = async move {
            let ctx = ctx;
            let mut wait = retry.interval;
            for left in (0..=retry.count).rev() {
                let error = match next(attempt, &ctx) {
                    Ok(future) => match future.await {
                        Ok(()) => return Ok(()),
                        Err(error) => error,
                    },
                    Err(error) => error,
                };
                if left == 0 {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_nanos(u64::try_from(wait).unwrap_or(0))).await;
                wait = wait.saturating_mul(2).min(retry.interval_max.max(retry.interval));
            }
            Err(Error::internal(format!("{name}: no attempts")))
        };
        put(task, shared.start(parent, attempts));
        Ok(Status::OK)
    })
}

type Attempt = unsafe extern "C" fn(*mut c_void, *mut abi::core::Future) -> abi::core::Status;

fn next(attempt: Attempt, ctx: &Ctx) -> Result<Polled, Error> {
    let mut future = abi::core::Future { vtable: std::ptr::null(), ctx: null_mut() };
    // SAFETY: tasks.h: one attempt at a time; `future` is ours.
    result(unsafe { attempt(ctx.0, &raw mut future) })?;
    Ok(Polled(future))
}

unsafe extern "C" fn describe(
    host: *const Host,
    _: Handle,
    _: *const Field,
    _: usize,
) -> abi::core::Status {
    enter(host, "describe", |_| Ok(Status::OK))
}

unsafe extern "C" fn progress(host: *const Host, _: Handle, _: u64, _: u64) -> abi::core::Status {
    enter(host, "progress", |_| Ok(Status::OK))
}
