//! `pc.feeds/1`.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use plugin_api::abi::core::{self as abi, END, Handle, Host, OK, PENDING, Status, Str, Waker};
use plugin_api::abi::feeds::{
    Detached, FeedsApi, INJECT_BYTES_MAX, PackagerVtable, Prepare, VARIANT_MAX,
};
use plugin_api::abi::mem::Buf;

use super::call::{Fault, call};
use super::packager::{Factory, SharedFactory};
use super::waker::with_context;
use super::{Object, borrow, net, no_waker, streams};
use crate::fanout::{self, Viewer};
use crate::hub::Refusal;
use crate::hub::feed::{Framing, PrepareRequest, Prepared, Registration};
use crate::plugin::instance::Instance;

pub(super) static API: FeedsApi = FeedsApi {
    struct_size: super::size_of_table::<FeedsApi>(),
    revision: 1,
    register_packager: Some(register_packager),
    prepare: Some(prepare),
    poll_prepared: Some(poll_prepared),
    attach: Some(attach),
    inject: Some(inject),
    detach: Some(detach),
    poll_detached: Some(poll_detached),
};

/// A registered packager behind a handle.
pub(crate) struct Registered(Mutex<Option<Registration>>);

impl Registered {
    pub(super) fn close(&self) {
        drop(self.0.lock().take());
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Prepared, Refusal>> + Send>>;

/// A place in a feed behind a handle, or the wish for one.
pub(crate) struct Preparing(Mutex<Place>);

enum Place {
    Asking(Asking),
    Fixed(Box<Prepared>),
    Gone,
}

impl Preparing {
    pub(super) fn close(&self) {
        drop(std::mem::replace(&mut *self.0.lock(), Place::Gone));
    }
}

fn viewer(instance: &'static Instance, handle: Handle) -> Result<Arc<Viewer>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Viewer(viewer)) => Ok(viewer),
        _ => Err(Fault::handle()),
    }
}

fn preparing(instance: &'static Instance, handle: Handle) -> Result<Arc<Preparing>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Prepared(preparing)) => Ok(preparing),
        _ => Err(Fault::handle()),
    }
}

fn fault(error: &fanout::Error) -> Fault {
    let status = match error {
        fanout::Error::Conn(error) => return net::fault(error),
        fanout::Error::Limit => abi::E_LIMIT,
        fanout::Error::Memory => abi::E_NO_MEMORY,
        fanout::Error::Stopped => abi::E_CANCELLED,
        _ => abi::E_STATE,
    };
    Fault::new(status, error.to_string())
}

unsafe extern "C" fn register_packager(
    host: *const Host,
    format: Str,
    vtable: *const PackagerVtable,
    ctx: *mut c_void,
    packager: *mut Handle,
) -> Status {
    super::call::always(host, |instance| {
        // Taken first: whatever fails from here on drops the context, as feeds.h promises.
        let factory = Arc::new(Factory::new(instance, vtable, ctx)?);
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let format = borrow::text(format, "format")?;
        let registration =
            instance.services.feeds.register(format, Arc::new(SharedFactory(factory)));
        let registered = Registered(Mutex::new(Some(registration.map_err(streams::fault)?)));
        super::give(instance, Object::Packager(Arc::new(registered)), packager)
    })
}

unsafe extern "C" fn prepare(
    host: *const Host,
    options: *const Prepare,
    prepared: *mut Handle,
) -> Status {
    call(host, |instance| {
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let options = borrow::sized(options, "options")?;
        let (peer, conn) = net::peer(instance, options.conn)?;
        // Waiting for a stream has a limit of its own.
        net::established(instance, options.conn);
        let format = borrow::text(options.format, "format")?;
        let variant = borrow::text(options.variant, "variant")?;
        if variant.len() > VARIANT_MAX {
            return Err(Fault::invalid(format!("the variant is longer than {VARIANT_MAX} bytes")));
        }
        let http = match instance.handles.get(options.conn) {
            Some(Object::Request(http)) => Some(http),
            _ => None,
        };
        let mut agent = borrow::text(options.agent, "agent")?;
        let (mut protocol, mut framing) = (format, Framing::None);
        if let Some(http) = &http {
            (protocol, framing) = (&http.protocol, super::http::framing(http));
            if agent.is_empty() {
                agent = http.header("user-agent").unwrap_or_default();
            }
        }
        let request = PrepareRequest {
            url: borrow::text(options.url, "url")?.to_owned(),
            format: format.to_owned(),
            variant: variant.to_owned(),
            conn,
            peer,
            framing,
            protocol: protocol.to_owned(),
            agent: agent.to_owned(),
            wait: streams::wait(options.wait),
        };
        let feeds = instance.services.feeds.clone();
        let asking: Asking = Box::pin(async move { feeds.prepare(request).await });
        super::give(
            instance,
            Object::Prepared(Arc::new(Preparing(Mutex::new(Place::Asking(asking))))),
            prepared,
        )
    })
}

unsafe extern "C" fn poll_prepared(host: *const Host, handle: Handle, waker: *mut Waker) -> Status {
    call(host, |instance| {
        let preparing = preparing(instance, handle)?;
        let mut place = preparing.0.lock();
        let asking = match &mut *place {
            Place::Asking(asking) => asking,
            Place::Fixed(_) => return Ok(OK),
            Place::Gone => return Err(Fault::handle()),
        };
        let _runtime = instance.services.runtime.enter();
        match with_context(waker, |cx| asking.as_mut().poll(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(prepared)) => {
                *place = Place::Fixed(Box::new(prepared));
                Ok(OK)
            }
            Poll::Ready(Err(refusal)) => {
                *place = Place::Gone;
                Err(streams::fault(refusal))
            }
        }
    })
}

/// What was prepared for a transport with this framing; its handle goes.
pub(super) fn take_prepared(
    instance: &'static Instance,
    handle: Handle,
    framing: Framing,
) -> Result<Prepared, Fault> {
    let preparing = preparing(instance, handle)?;
    let mut place = preparing.0.lock();
    match std::mem::replace(&mut *place, Place::Gone) {
        Place::Fixed(prepared) if prepared.feed().key().framing == framing => {
            drop(place);
            drop(instance.handles.remove(handle));
            Ok(*prepared)
        }
        other => {
            *place = other;
            Err(Fault::state("nothing is prepared behind this handle for this connection"))
        }
    }
}

unsafe extern "C" fn attach(
    host: *const Host,
    conn: Handle,
    prepared: Handle,
    first: *const Buf,
    n_first: usize,
    viewer: *mut Handle,
) -> Status {
    call(host, |instance| {
        let conn = net::conn(instance, conn)?;
        let first = borrow::parts(first, n_first)?;
        let place = take_prepared(instance, prepared, Framing::None)?;
        let attached =
            instance.services.fanout.attach(&conn, place, &first).map_err(|error| fault(&error))?;
        super::give(instance, Object::Viewer(Arc::new(attached)), viewer)
    })
}

unsafe extern "C" fn inject(
    host: *const Host,
    handle: Handle,
    parts: *const Buf,
    n_parts: usize,
) -> Status {
    call(host, |instance| {
        let viewer = viewer(instance, handle)?;
        let parts = borrow::parts(parts, n_parts)?;
        let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        if bytes > INJECT_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "a message of {bytes} bytes is more than {INJECT_BYTES_MAX}"
            )));
        }
        match viewer.inject(&parts) {
            Err(fanout::Error::Detached) => return Ok(END),
            other => other.map_err(|error| fault(&error))?,
        }
        Ok(OK)
    })
}

unsafe extern "C" fn detach(host: *const Host, handle: Handle) -> Status {
    call(host, |instance| {
        viewer(instance, handle)?.detach();
        Ok(OK)
    })
}

unsafe extern "C" fn poll_detached(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    detached: *mut Detached,
) -> Status {
    call(host, |instance| {
        let viewer = viewer(instance, handle)?;
        let struct_size = borrow::sized(detached.cast_const(), "detached")?.struct_size;
        match with_context(waker, |cx| viewer.poll_detached(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(end) => {
                let reason = streams::reason(end.reason);
                borrow::put(
                    detached,
                    Detached { struct_size, reason, bytes: end.bytes, skipped: end.skipped },
                    "detached",
                )?;
                Ok(OK)
            }
        }
    })
}
