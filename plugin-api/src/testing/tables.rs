//! The tables of the fake host, and what every one of its functions does first.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::null;

use super::state::{Object, Shared};
use super::{exec, feed, http, net, streams};
use crate::abi;
use crate::abi::core::{Field, Handle, Host, Str};
use crate::error::{Error, Status};
use crate::ffi::convert::slice;
use crate::ffi::{lend, size_u32, text};

thread_local! {
    static LAST: RefCell<(i32, String)> = const { RefCell::new((0, String::new())) };
}

static MEM: abi::mem::MemApi = abi::mem::MemApi {
    struct_size: size_u32::<abi::mem::MemApi>(),
    revision: 1,
    alloc: Some(alloc),
};

static LOG: abi::log::LogApi = abi::log::LogApi {
    struct_size: size_u32::<abi::log::LogApi>(),
    revision: 1,
    enabled: Some(enabled),
    write: Some(write),
};

static METRICS: abi::metrics::MetricsApi = abi::metrics::MetricsApi {
    struct_size: size_u32::<abi::metrics::MetricsApi>(),
    revision: 1,
    add: Some(add_metric),
    record: Some(record),
};

static AUTH: abi::auth::AuthApi = abi::auth::AuthApi {
    struct_size: size_u32::<abi::auth::AuthApi>(),
    revision: 1,
    poll_check: Some(streams::poll_check),
};

pub(super) fn host(ctx: *mut c_void) -> Host {
    Host {
        struct_size: size_u32::<Host>(),
        abi_minor: abi::core::ABI_MINOR,
        ctx,
        server_name: lend("plugcast"),
        server_version: lend("0.0.0"),
        get_interface: Some(get_interface),
        set_error: Some(set_error),
        last_error: Some(last_error),
        close: Some(close),
    }
}

/// A status with the text that belongs to it.
pub(super) fn result(status: abi::core::Status) -> Result<Status, Error> {
    if status >= 0 {
        return Ok(Status(status));
    }
    LAST.with_borrow(|(code, text)| {
        Err(Error::new(Status(status), if *code == status { text.clone() } else { String::new() }))
    })
}

/// Runs a function of the host: injected failures first, then "cancelled" after the stop.
pub(super) fn enter(
    host: *const Host,
    function: &'static str,
    run: impl FnOnce(&'static Shared) -> Result<Status, Error>,
) -> abi::core::Status {
    let shared = shared(host);
    let mut state = shared.lock();
    let failure = state.failures.iter().position(|(name, _)| *name == function);
    let failure = failure.map(|at| state.failures.remove(at).1);
    let stopped = state.stopped.then(|| Error::cancelled("the instance stops"));
    drop(state);
    let result = match failure.or(stopped) {
        Some(error) => Err(error),
        None => run(shared),
    };
    match result {
        Ok(status) => status.0,
        Err(error) => {
            LAST.set((error.status.0, error.text.into_owned()));
            error.status.0
        }
    }
}

fn shared(host: *const Host) -> &'static Shared {
    // SAFETY: core.h: the host's own table, which is never freed.
    let host = unsafe { &*host };
    // SAFETY: `FakeHost::new` leaks one reference for the table.
    unsafe { &*host.ctx.cast::<Shared>() }
}

/// Writes a result of a call.
pub(super) fn put<T>(out: *mut T, value: T) {
    // SAFETY: the headers: results are the caller's, writable for the call.
    unsafe { out.write(value) };
}

/// A text of a call.
pub(super) fn owned(value: Str) -> String {
    // SAFETY: core.h: lent for the call.
    unsafe { text(value) }.into_owned()
}

unsafe extern "C" fn get_interface(_: *const Host, id: Str, _: u32) -> *const c_void {
    match owned(id).as_str() {
        abi::auth::ID => (&raw const AUTH).cast(),
        abi::exec::ID => (&raw const exec::EXEC).cast(),
        abi::feeds::ID => (&raw const feed::FEEDS).cast(),
        abi::http::ID => (&raw const http::HTTP).cast(),
        abi::log::ID => (&raw const LOG).cast(),
        abi::mem::ID => (&raw const MEM).cast(),
        abi::metrics::ID => (&raw const METRICS).cast(),
        abi::net::ID => (&raw const net::NET).cast(),
        abi::streams::ID => (&raw const streams::STREAMS).cast(),
        abi::tasks::ID => (&raw const exec::TASKS).cast(),
        _ => null(),
    }
}

unsafe extern "C" fn set_error(_: *const Host, code: abi::core::Status, message: Str) {
    LAST.set((code, owned(message)));
}

unsafe extern "C" fn last_error(_: *const Host, message: *mut Str) -> abi::core::Status {
    LAST.with_borrow(|(code, text)| {
        put(message, lend(text));
        *code
    })
}

unsafe extern "C" fn close(host: *const Host, handle: Handle) -> abi::core::Status {
    let shared = shared(host);
    let mut state = shared.lock();
    let Some(object) = state.objects.remove(&handle) else { return abi::core::E_HANDLE };
    let children: Vec<_> = (state.tasks.iter())
        .filter(|(parent, task, _)| *parent == handle || *task == handle)
        .map(|(.., ended)| ended.clone())
        .collect();
    // Kept until the lock is released: the plugin's code runs when it is dropped.
    let packager = match &object {
        Object::Packager(format) => state.packagers.remove(format),
        _ => None,
    };
    if let Object::Publisher(key) = &object
        && let Some(stream) = state.streams.get_mut(key)
    {
        stream.published_by = None;
    }
    if let Object::Viewer(viewer) = &object {
        viewer.close();
    }
    if let Object::Request(asked) = &object {
        asked.close();
    }
    shared.changed(state);
    children.iter().for_each(|task| task.cancel());
    drop((object, packager));
    abi::core::OK
}

unsafe extern "C" fn alloc(
    host: *const Host,
    len: usize,
    data: *mut *mut u8,
    mem: *mut *mut abi::mem::Mem,
) -> abi::core::Status {
    enter(host, "alloc", |shared| {
        let block = shared.pool.alloc(len).ok_or_else(|| Error::no_memory("no memory"))?;
        let (block_data, block_mem) = block.into_raw();
        put(data, block_data.as_ptr());
        put(mem, block_mem.as_ptr());
        Ok(Status::OK)
    })
}

unsafe extern "C" fn enabled(_: *const Host, _: u32, _: Str) -> u32 {
    1
}

unsafe extern "C" fn write(
    host: *const Host,
    level: u32,
    target: Str,
    message: Str,
    fields: *const Field,
    n: usize,
) {
    let level = ["", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"].get(level as usize).unwrap_or(&"?");
    let target = owned(target);
    let space = if target.is_empty() { "" } else { " " };
    let mut line = format!("{level} {target}{space}{}", owned(message));
    // SAFETY: log.h: `n` fields, lent for the call.
    for field in unsafe { slice(fields, n) } {
        line += &format!(" {}={}", owned(field.key), owned(field.value));
    }
    let shared = shared(host);
    let mut state = shared.lock();
    state.logs.push(line);
    shared.changed(state);
}

unsafe extern "C" fn add_metric(
    host: *const Host,
    kind: u32,
    name: Str,
    _: Str,
    _: *const f64,
    _: usize,
    id: *mut u32,
) -> abi::core::Status {
    enter(host, "add", |shared| {
        let (mut state, name) = (shared.lock(), owned(name));
        let known = state.metrics.iter().position(|(known, ..)| *known == name);
        let place = known.unwrap_or_else(|| {
            state.metrics.push((name, kind, 0.0));
            state.metrics.len() - 1
        });
        put(id, u32::try_from(place).unwrap_or(u32::MAX));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn record(host: *const Host, id: u32, value: f64) {
    let mut state = shared(host).lock();
    if let Some((_, kind, current)) = state.metrics.get_mut(id as usize) {
        *current = if *kind == abi::metrics::GAUGE { value } else { *current + value };
    }
}
