//! `pc.exec/1`.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::abi::core::{
    Future as AbiFuture, Handle, Host, Ns, OK, PENDING, Status, Str, Waker,
};
use plugin_api::abi::exec::{ExecApi, ThreadVtable};
use tokio::time::Sleep;

use super::borrow;
use super::call::{Fault, always, call};
use super::future::PluginFuture;
use super::thread::{self, Place};
use super::waker::with_context;
use super::{Object, no_waker};

pub(super) static API: ExecApi = ExecApi {
    struct_size: super::size_of_table::<ExecApi>(),
    revision: 1,
    now: Some(now),
    spawn: Some(spawn),
    poll_task: Some(poll_task),
    thread: Some(start_thread),
    blocking: Some(start_blocking),
    thread_waker: Some(thread_waker),
    park: Some(park),
    timer: Some(timer),
    poll_timer: Some(poll_timer),
};

/// Where the host's clock begins; not 0, so that a deadline of 0 can mean "none".
static EPOCH: LazyLock<Instant> = LazyLock::new(|| {
    Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now)
});

/// A deadline of the host's clock.
fn instant(deadline: Ns) -> Instant {
    let since = Duration::from_nanos(u64::try_from(deadline).unwrap_or(0));
    EPOCH.checked_add(since).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365))
}

/// A timer that has not been set yet has no sleep.
pub(crate) type Timer = Arc<Mutex<Option<(Ns, Pin<Box<Sleep>>)>>>;

unsafe extern "C" fn now(_host: *const Host) -> Ns {
    Ns::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(Ns::MAX)
}

unsafe extern "C" fn spawn(
    host: *const Host,
    parent: Handle,
    kind: Str,
    name: Str,
    future: AbiFuture,
    task: *mut Handle,
) -> Status {
    always(host, |instance| {
        // Taken first: whatever fails from here on drops the plugin's future, as exec.h promises.
        let future = PluginFuture::new(instance, future)?;
        if instance.is_cancelled() {
            return Err(Fault::cancelled());
        }
        let parent = super::parent(instance, parent)?;
        let (kind, name) = (borrow::text(kind, "kind")?, borrow::text(name, "name")?);
        let node = parent.spawn(kind, name, future).map_err(super::refused)?;
        super::give_task(instance, node, task)
    })
}

unsafe extern "C" fn poll_task(host: *const Host, task: Handle, waker: *mut Waker) -> Status {
    call(host, |instance| {
        let Some(Object::Task(node)) = instance.handles.get(task) else {
            return Err(Fault::handle());
        };
        match with_context(waker, |cx| node.poll_done(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(())) => Ok(OK),
            Poll::Ready(Err(error)) => Err(Fault::new(error.code(), error.message())),
        }
    })
}

unsafe extern "C" fn start_thread(
    host: *const Host,
    name: Str,
    vtable: *const ThreadVtable,
    ctx: *mut c_void,
    handle: *mut Handle,
) -> Status {
    always(host, |instance| {
        let node =
            thread::start(instance, Place::Thread, borrow::text(name, "name")?, vtable, ctx)?;
        super::give_task(instance, node, handle)
    })
}

unsafe extern "C" fn start_blocking(
    host: *const Host,
    name: Str,
    vtable: *const ThreadVtable,
    ctx: *mut c_void,
    handle: *mut Handle,
) -> Status {
    always(host, |instance| {
        let node =
            thread::start(instance, Place::Blocking, borrow::text(name, "name")?, vtable, ctx)?;
        super::give_task(instance, node, handle)
    })
}

unsafe extern "C" fn thread_waker(_host: *const Host) -> *mut Waker {
    thread::waker()
}

unsafe extern "C" fn park(host: *const Host, deadline: Ns) -> Status {
    call(host, |_| thread::park((deadline != 0).then(|| instant(deadline))))
}

unsafe extern "C" fn timer(host: *const Host, timer: *mut Handle) -> Status {
    call(host, |instance| super::give(instance, Object::Timer(Timer::default()), timer))
}

unsafe extern "C" fn poll_timer(
    host: *const Host,
    timer: Handle,
    deadline: Ns,
    waker: *mut Waker,
) -> Status {
    call(host, |instance| {
        let Some(Object::Timer(timer)) = instance.handles.get(timer) else {
            return Err(Fault::handle());
        };
        let mut timer = timer.lock();
        let _runtime = instance.services.runtime.enter();
        let sleep = match &mut *timer {
            Some((set, sleep)) if *set == deadline => sleep,
            Some((set, sleep)) => {
                *set = deadline;
                sleep.as_mut().reset(instant(deadline).into());
                sleep
            }
            empty => {
                &mut empty
                    .insert((
                        deadline,
                        Box::pin(tokio::time::sleep_until(instant(deadline).into())),
                    ))
                    .1
            }
        };
        match with_context(waker, |cx| sleep.as_mut().poll(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(()) => Ok(OK),
        }
    })
}
