//! `pc.http/1`.
#![expect(unsafe_code, reason = "calls a plugin's table")]

use std::ffi::c_void;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use parking_lot::Mutex;
use plugin_api::abi::core::{self as abi, END, Handle, Host, OK, PENDING, Status, Str, Waker};
use plugin_api::abi::http::{self as wire, HttpApi, RouteVtable};
use plugin_api::abi::mem::Buf;

use super::call::{self, Fault, Outcome, call};
use super::future::Context0;
use super::waker::with_context;
use super::{Object, borrow, feeds, net, no_waker};
use crate::http::Class;
use crate::http::pattern::Pattern;
use crate::http::request::{Answer, Head, Parts, Request, Unsent};
use crate::http::routes::{Handler, PluginRoute, Refused, RouteGuard};
use crate::http::viewer;
use crate::hub::feed::Framing;
use crate::listeners::{ListenerEntry, ListenerGuard};
use crate::plugin::instance::{self, Instance};

pub(super) static API: HttpApi = HttpApi {
    struct_size: super::size_of_table::<HttpApi>(),
    revision: 1,
    route: Some(route),
    request: Some(request),
    param: Some(param),
    header: Some(header),
    poll_gone: Some(poll_gone),
    answer: Some(answer),
    refuse: Some(refuse),
    begin: Some(begin),
    poll_write: Some(poll_write),
    finish: Some(finish),
    attach: Some(attach),
};

/// How URLs begin, by what is served.
struct Scheme {
    served: &'static str,
    name: &'static str,
    is_websocket: bool,
    /// That URLs leave out.
    default_port: u16,
}

const SCHEMES: [Scheme; 4] = [
    Scheme { served: "http", name: "http", is_websocket: false, default_port: 80 },
    Scheme { served: "http", name: "ws", is_websocket: true, default_port: 80 },
    Scheme { served: "https", name: "https", is_websocket: false, default_port: 443 },
    Scheme { served: "https", name: "wss", is_websocket: true, default_port: 443 },
];
/// The methods that there are.
const METHODS: u32 = wire::GET | wire::POST | wire::PUT | wire::PATCH | wire::DELETE;
/// Headers that the host decides.
const OWN_HEADERS: [&str; 10] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "sec-websocket-accept",
    "x-content-type-options",
];

/// A registered route behind a handle, and what it is listed as.
pub(crate) struct Registered(Mutex<Option<(RouteGuard, Vec<ListenerGuard>)>>);

impl Registered {
    pub(super) fn close(&self) {
        drop(self.0.lock().take());
    }
}

/// A plugin's table of a route, as the host's trait.
struct PluginHandler {
    vtable: &'static RouteVtable,
    ctx: Context0,
    instance: &'static Instance,
    _alive: instance::Context,
}

impl PluginHandler {
    fn new(
        instance: &'static Instance,
        vtable: *const RouteVtable,
        ctx: *mut c_void,
    ) -> Result<Self, Fault> {
        let vtable: &'static RouteVtable = borrow::sized(vtable, "the route's table")?;
        if vtable.on_request.is_none() || vtable.drop.is_none() {
            return Err(Fault::invalid("the route's table lacks a function"));
        }
        Ok(Self { vtable, ctx: Context0(ctx), instance, _alive: instance.census.context() })
    }

    fn call(&self, request: Request) {
        let instance = self.instance;
        let Some(on_request) = self.vtable.on_request.filter(|_| !instance.is_cancelled()) else {
            return;
        };
        let Some(handle) = instance.handles.insert(Object::Request(Arc::new(request))) else {
            return;
        };
        let inside = instance.census.enter();
        call::clear_last();
        // SAFETY: http.h: [io], concurrently; the context is dropped after the last call, which holds a share of `self`.
        let status = unsafe { on_request(self.ctx.0, handle) };
        drop(inside);
        if status < 0 {
            let text = call::text_of(status);
            if status == abi::E_PANIC {
                instance.fault("request", &text);
            }
            if let Some(object) = instance.handles.remove(handle) {
                object.close();
            }
        }
    }
}

impl Drop for PluginHandler {
    fn drop(&mut self) {
        let Some(drop_ctx) = self.vtable.drop else { return };
        let _inside = self.instance.census.enter();
        // SAFETY: core.h: once, after the last callback.
        unsafe { drop_ctx(self.ctx.0) };
    }
}

/// Behind a count, so that requests on their way keep it alive.
struct SharedHandler(Arc<PluginHandler>);

impl Handler for SharedHandler {
    fn on_request(&self, request: Request) {
        let handler = Arc::clone(&self.0);
        handler.instance.services.runtime.clone().spawn(async move { handler.call(request) });
    }

    fn is_draining(&self) -> bool {
        self.0.instance.is_draining()
    }
}

/// The request of a handle.
fn asked(instance: &'static Instance, handle: Handle) -> Result<Arc<Request>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Request(request)) => Ok(request),
        _ => Err(Fault::handle()),
    }
}

unsafe extern "C" fn route(
    host: *const Host,
    options: *const wire::Route,
    vtable: *const RouteVtable,
    ctx: *mut c_void,
    handle: *mut Handle,
) -> Status {
    call::always(host, |instance| {
        // Taken first: whatever fails from here on drops the context, as core.h promises.
        let handler = PluginHandler::new(instance, vtable, ctx)?;
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let options = borrow::sized(options, "options")?;
        let (route, play_url) =
            read_route(instance, options, Arc::new(SharedHandler(Arc::new(handler))))?;
        let (protocol, takes_websockets) = (route.protocol.clone(), route.takes_websockets);
        let services = &instance.services;
        let guard = services.routes.add(route).map_err(|refused| {
            let status = match refused {
                Refused::Conflict => abi::E_CONFLICT,
                Refused::Reserved => abi::E_INVALID,
            };
            Fault::new(status, refused.to_string())
        })?;
        let mut listed = Vec::new();
        for (served, address) in services.routes.addresses().iter().filter(|_| !play_url.is_empty())
        {
            let offered = SCHEMES.iter().filter(|scheme| scheme.served == *served);
            for scheme in offered.filter(|scheme| takes_websockets || !scheme.is_websocket) {
                listed.push(services.listeners.add(ListenerEntry {
                    instance: instance.name.clone(),
                    protocol: protocol.replacen("http", scheme.name, 1),
                    address: *address,
                    publish_url: String::new(),
                    play_url: format!("{}://{{host}}{play_url}", scheme.name),
                    default_port: scheme.default_port,
                }));
            }
        }
        let registered = Registered(Mutex::new(Some((guard, listed))));
        super::give(instance, Object::Route(Arc::new(registered)), handle)
    })
}

fn read_route<'a>(
    instance: &Instance,
    options: &'a wire::Route,
    handler: Arc<dyn Handler>,
) -> Result<(PluginRoute, &'a str), Fault> {
    let pattern = borrow::text(options.pattern, "pattern")?;
    let class = match options.access {
        wire::ADMIN => Class::Admin,
        wire::MEDIA => Class::Media,
        wire::OPEN => Class::Open,
        other => return Err(Fault::invalid(format!("there is no access {other}"))),
    };
    let methods = if options.methods == 0 { wire::GET } else { options.methods };
    if methods & !METHODS != 0 {
        return Err(Fault::invalid("there is no such method"));
    }
    if options.body_max > wire::BODY_MAX {
        let text = format!("bodies of more than {} bytes are not taken", wire::BODY_MAX);
        return Err(Fault::invalid(text));
    }
    let deadline = match u64::try_from(options.deadline) {
        Ok(0) => Duration::from_secs(wire::DEADLINE_SECONDS.into()),
        Ok(ns) => Duration::from_nanos(ns),
        Err(_) => return Err(Fault::invalid("the deadline is before the request")),
    };
    let route = PluginRoute {
        instance: instance.name.clone(),
        pattern: Pattern::parse(pattern)
            .ok_or_else(|| Fault::invalid(format!("{pattern:?} is not a pattern")))?,
        class,
        methods,
        takes_websockets: options.flags & wire::WEBSOCKET != 0,
        protocol: borrow::text(options.protocol, "protocol")?.to_owned(),
        body_max: usize::try_from(options.body_max).unwrap_or(0),
        deadline,
        handler,
    };
    Ok((route, borrow::text(options.play_url, "play_url")?))
}

unsafe extern "C" fn request(
    host: *const Host,
    handle: Handle,
    info: *mut wire::Request,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let struct_size = borrow::sized(info.cast_const(), "info")?.struct_size;
        let known = wire::Request {
            struct_size,
            method: request.method,
            flags: if request.is_websocket { wire::WEBSOCKET } else { 0 },
            reserved: 0,
            conn: request.conn,
            peer: net::to_abi(request.peer),
            path: borrow::lend(&request.path),
            query: borrow::lend(&request.query),
            body: request.body.as_ptr(),
            body_len: request.body.len(),
        };
        borrow::put(info, known, "info")?;
        Ok(OK)
    })
}

unsafe extern "C" fn param(
    host: *const Host,
    handle: Handle,
    name: Str,
    value: *mut Str,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let name = borrow::text(name, "name")?;
        let found = request.params.iter().find(|(known, _)| known == name);
        give_text(found.map(|(_, value)| value.as_str()), value)
    })
}

unsafe extern "C" fn header(
    host: *const Host,
    handle: Handle,
    name: Str,
    value: *mut Str,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        give_text(request.header(borrow::text(name, "name")?), value)
    })
}

fn give_text(found: Option<&str>, value: *mut Str) -> Outcome {
    let found = found.ok_or_else(|| Fault::new(abi::E_NOT_FOUND, "the request has none of it"))?;
    borrow::put(value, borrow::lend(found), "value")?;
    Ok(OK)
}

unsafe extern "C" fn poll_gone(host: *const Host, handle: Handle, waker: *mut Waker) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        match with_context(waker, |cx| request.poll_gone(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(()) => Ok(END),
        }
    })
}

/// Status and headers that a plugin lends.
fn head(head: *const wire::Head) -> Result<Head, Fault> {
    let head = borrow::sized(head, "head")?;
    let status = u16::try_from(head.status).ok().filter(|status| (200..600).contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let status =
        status.ok_or_else(|| Fault::invalid(format!("there is no status {}", head.status)))?;
    if head.n_headers > wire::HEADERS_MAX {
        return Err(Fault::invalid(format!("more than {} headers", wire::HEADERS_MAX)));
    }
    let mut headers = HeaderMap::new();
    let n_headers = usize::try_from(head.n_headers).unwrap_or(0);
    for field in borrow::slice(head.headers, n_headers, "headers")? {
        let name = borrow::text(field.key, "a header's name")?;
        let value = borrow::text(field.value, "a header's value")?;
        let invalid =
            || Fault::invalid(format!("{name:?} is no header of a plugin's, or its value none"));
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(invalid());
        }
        headers.append(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
    }
    Ok(Head { status, headers })
}

fn send(request: &Request, answer: Answer) -> Outcome {
    match request.answer(answer) {
        Ok(()) => Ok(OK),
        Err(Unsent::Gone) => Ok(END),
        Err(Unsent::State) => Err(Fault::state("the request was answered")),
    }
}

unsafe extern "C" fn answer(
    host: *const Host,
    handle: Handle,
    answer_head: *const wire::Head,
    body: *const Buf,
    n_body: usize,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let body = borrow::parts(body, n_body)?.concat();
        send(&request, Answer::Whole(head(answer_head)?, body.into()))
    })
}

unsafe extern "C" fn refuse(host: *const Host, handle: Handle, error: Status, text: Str) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let text = borrow::text(text, "text")?.to_owned();
        send(&request, Answer::Refused(status_of(error), text))
    })
}

/// The one place that says what a refusal is over HTTP.
fn status_of(error: Status) -> StatusCode {
    match error {
        abi::E_INVALID => StatusCode::BAD_REQUEST,
        abi::E_DENIED => StatusCode::FORBIDDEN,
        abi::E_NOT_FOUND => StatusCode::NOT_FOUND,
        abi::E_UNSUPPORTED => StatusCode::NOT_ACCEPTABLE,
        abi::E_CONFLICT => StatusCode::CONFLICT,
        abi::E_IO => StatusCode::BAD_GATEWAY,
        abi::E_CANCELLED | abi::E_LIMIT | abi::E_NO_MEMORY | abi::E_TIMEOUT => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

unsafe extern "C" fn begin(
    host: *const Host,
    handle: Handle,
    answer_head: *const wire::Head,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        send(&request, Answer::Parts(head(answer_head)?, Arc::default()))
    })
}

fn writing(request: &Request) -> Result<Arc<Parts>, Fault> {
    request.parts().ok_or_else(|| Fault::state("no answer in parts is under way"))
}

unsafe extern "C" fn poll_write(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    parts: *const Buf,
    n_parts: usize,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let writing = writing(&request)?;
        let parts = borrow::parts(parts, n_parts)?;
        let copy = || Bytes::from(parts.concat());
        match with_context(waker, |cx| writing.poll_write(cx, copy)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(true) => Ok(OK),
            Poll::Ready(false) => Ok(END),
        }
    })
}

unsafe extern "C" fn finish(host: *const Host, handle: Handle) -> Status {
    call(host, |instance| {
        writing(&*asked(instance, handle)?)?.end(true);
        Ok(OK)
    })
}

unsafe extern "C" fn attach(
    host: *const Host,
    handle: Handle,
    prepared: Handle,
    answer_head: *const wire::Head,
) -> Status {
    call(host, |instance| {
        let request = asked(instance, handle)?;
        let head = head(answer_head)?;
        let framing = framing(&request);
        let place = feeds::take_prepared(instance, prepared, framing)?;
        let (name, protocol) = (crate::net::shown(request.peer), request.protocol.clone());
        let stream = place.feed().key().stream.to_string();
        let take_over = move |conn: Arc<crate::net::Conn>, first: Vec<u8>| {
            let attached = instance.services.fanout.attach(&conn, place, &[&first]);
            let accompanied = attached.map_err(|error| error.to_string()).and_then(|attached| {
                let task = async move {
                    viewer::accompany(attached, framing).await;
                    Ok(())
                };
                // Not below the instance: there is no plugin code in it, and it ends with its feed, in an orderly way.
                let task = instance.services.tasks.root().spawn("viewer", &name, task);
                let task = task.map_err(|refused| refused.to_string())?;
                // Best effort: the list of tasks is for people.
                let _ = task.describe(&[("protocol", &protocol), ("stream", &stream)]);
                Ok(())
            });
            if let Err(error) = accompanied {
                tracing::warn!(event = "viewer.failed", conn = conn.id(), %error, "can't be attached");
                conn.close(crate::net::CloseReason::Stopped);
            }
        };
        send(&request, Answer::TakeOver(head, Box::new(take_over)))
    })
}

/// What the request's viewers get.
pub(super) fn framing(request: &Request) -> Framing {
    if request.is_websocket { Framing::WebSocket } else { Framing::None }
}
