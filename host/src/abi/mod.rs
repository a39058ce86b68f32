//! The functions given to plugins: thin. Each checks its arguments, then calls safe code of the host.
//!
//! One file per header of `plugin-api/include/plugcast`, which says what each function means. [`call`] is what all go
//! through, [`borrow`] checks what plugins lend, [`handle`] holds what their handles stand for.
#![expect(unsafe_code, reason = "extern \"C\" functions, called by plugins")]

mod auth;
pub(crate) mod borrow;
pub(crate) mod call;
mod config;
pub(crate) mod exec;
pub(crate) mod feeds;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod http;
mod log;
mod media;
mod mem;
mod metrics;
mod net;
mod packager;
pub(crate) mod streams;
mod tasks;
pub(crate) mod thread;
pub(crate) mod waker;

use std::ffi::c_void;
use std::sync::Arc;

use plugin_api::abi::core::{self as abi, Handle, Host, OK, Status, Str};

use self::call::{Fault, Outcome};
use crate::hub::Publisher;
use crate::plugin::instance::Instance;
use crate::task;

/// What a handle stands for. A clone is a share of it.
#[derive(Clone)]
pub(crate) enum Object {
    Conn(net::Socket),
    Listener(Arc<net::Listening>),
    Packager(Arc<feeds::Registered>),
    Prepared(Arc<feeds::Preparing>),
    Publisher(Arc<Publisher>),
    Request(Arc<crate::http::request::Request>),
    Route(Arc<http::Registered>),
    Subscription(Arc<streams::Subscription>),
    Task(task::Node),
    Timer(exec::Timer),
    /// The last share that goes closes the connection unless the write half is back.
    Viewer(Arc<crate::fanout::Viewer>),
}

impl Object {
    /// Ends what the handle stands for. Shares that calls in progress hold keep nothing running.
    fn close(&self) {
        match self {
            Self::Conn(socket) => socket.close(),
            Self::Listener(listener) => listener.close(),
            Self::Packager(registered) => registered.close(),
            Self::Prepared(prepared) => prepared.close(),
            Self::Request(request) => request.close(),
            Self::Route(route) => route.close(),
            Self::Subscription(subscription) => subscription.close(),
            Self::Task(node) => drop(node.stop()),
            // A publisher ends with its last share: without `finish`, as a lost link.
            Self::Publisher(_) | Self::Timer(_) | Self::Viewer(_) => {}
        }
    }
}

/// The table for a new instance; `ctx` is its address.
pub(crate) fn host_table(ctx: *mut c_void) -> Host {
    Host {
        struct_size: size_of_table::<Host>(),
        abi_minor: abi::ABI_MINOR,
        ctx,
        server_name: borrow::lend("plugcast"),
        server_version: borrow::lend(env!("CARGO_PKG_VERSION")),
        get_interface: Some(get_interface),
        set_error: Some(set_error),
        last_error: Some(last_error),
        close: Some(close),
    }
}

/// The interfaces by id, each with its newest revision.
fn interface(id: &str) -> Option<(*const c_void, u32)> {
    use plugin_api::abi;
    let (table, revision) = match id {
        abi::auth::ID => ((&raw const auth::API).cast(), auth::API.revision),
        abi::config::ID => ((&raw const config::API).cast(), config::API.revision),
        abi::exec::ID => ((&raw const exec::API).cast(), exec::API.revision),
        abi::feeds::ID => ((&raw const feeds::API).cast(), feeds::API.revision),
        abi::http::ID => ((&raw const http::API).cast(), http::API.revision),
        abi::log::ID => ((&raw const log::API).cast(), log::API.revision),
        abi::mem::ID => ((&raw const mem::API).cast(), mem::API.revision),
        abi::metrics::ID => ((&raw const metrics::API).cast(), metrics::API.revision),
        abi::net::ID => ((&raw const net::API).cast(), net::API.revision),
        abi::streams::ID => ((&raw const streams::API).cast(), streams::API.revision),
        abi::tasks::ID => ((&raw const tasks::API).cast(), tasks::API.revision),
        _ => return None,
    };
    Some((table, revision))
}

/// Whether this host offers an interface that a manifest requires.
pub(crate) fn offers(id: &str) -> bool {
    interface(id).is_some()
}

unsafe extern "C" fn get_interface(
    _host: *const Host,
    id: Str,
    min_revision: u32,
) -> *const c_void {
    match borrow::text(id, "the interface's id").ok().and_then(interface) {
        Some((table, revision)) if revision >= min_revision => table,
        _ => std::ptr::null(),
    }
}

unsafe extern "C" fn set_error(_host: *const Host, code: Status, message: Str) {
    call::set_last(
        code,
        borrow::text(message, "the message").unwrap_or("(a text that is not UTF-8)"),
    );
}

unsafe extern "C" fn last_error(_host: *const Host, message: *mut Str) -> Status {
    call::with_last(|status, text| {
        // A NULL message is fine: the code alone is wanted.
        let _ = borrow::put(message, borrow::lend(text), "message");
        status
    })
}

unsafe extern "C" fn close(host: *const Host, handle: Handle) -> Status {
    call::always(host, |instance| {
        instance.handles.remove(handle).ok_or_else(Fault::handle)?.close();
        Ok(OK)
    })
}

/// Ends everything that the instance still has handles of.
pub(crate) fn close_all(instance: &Instance) {
    for object in instance.handles.drain() {
        object.close();
    }
}

/// Ends the listeners: the first step of stopping.
pub(crate) fn close_listeners(instance: &Instance) {
    instance.handles.for_each(|object| {
        if let Object::Listener(listener) = object {
            listener.close();
        }
    });
}

const fn size_of_table<T>() -> u32 {
    assert!(size_of::<T>() <= 4096, "tables are small");
    #[expect(clippy::cast_possible_truncation, reason = "at most 4096")]
    let size = size_of::<T>() as u32;
    size
}

/// Makes a handle and gives it to the plugin.
fn give(instance: &'static Instance, object: Object, out: *mut Handle) -> Outcome {
    let limit = || {
        Fault::new(
            abi::E_LIMIT,
            format!("the instance has {} handles already", handle::HANDLES_MAX),
        )
    };
    let handle = instance.handles.insert(object).ok_or_else(limit)?;
    if let Err(fault) = borrow::put(out, handle, "the handle's place") {
        drop(instance.handles.remove(handle));
        return Err(fault);
    }
    Ok(OK)
}

/// The same for tasks, whose handle is optional: without one the parent alone owns the task.
fn give_task(instance: &'static Instance, node: task::Node, out: *mut Handle) -> Outcome {
    if out.is_null() { Ok(OK) } else { give(instance, Object::Task(node), out) }
}

/// The node that new tasks go under.
fn parent(instance: &'static Instance, parent: Handle) -> Result<task::Node, Fault> {
    if parent == 0 {
        return Ok(instance.node.clone());
    }
    match instance.handles.get(parent) {
        Some(Object::Task(node)) => Ok(node),
        _ => Err(Fault::handle()),
    }
}

fn task_or_current(instance: &'static Instance, task: Handle) -> Result<task::Node, Fault> {
    if task == 0 {
        return task::current()
            .ok_or_else(|| Fault::state("no task is being polled on this thread"));
    }
    parent(instance, task)
}

fn no_waker() -> Fault {
    Fault::invalid("the waker is NULL")
}

fn refused(refused: task::Refused) -> Fault {
    let status = match refused {
        task::Refused::Conflict => abi::E_CONFLICT,
        task::Refused::Stopping => abi::E_CANCELLED,
        _ => abi::E_LIMIT,
    };
    Fault::new(status, refused.to_string())
}
