//! Calls of pc.http/1, and a handler of requests as `pc_http_route_vtable`.
#![expect(
    unsafe_code,
    reason = "calls through the host's tables, and callbacks with a context pointer"
)]

use std::ffi::c_void;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::feeds::lend_parts;
use super::net::from_abi;
use super::{Instance, Owned, call, guard, lend, size_u32, text};
use crate::abi::core::{self, Field, Handle, Str};
use crate::abi::http as abi;
use crate::error::{Error, Status};
use crate::http::{Asked, Head, Method, Request};

/// What a registration holds.
struct Registered<F> {
    instance: Arc<Instance>,
    on_request: F,
}

impl Instance {
    pub(crate) fn route<F: Fn(Request) + Send + Sync + 'static>(
        self: &Arc<Self>,
        options: &abi::Route,
        on_request: F,
    ) -> Result<Owned, Error> {
        self.must_offer(self.http.route.is_some(), "http.route")?;
        let vtable: &'static abi::RouteVtable = &const {
            abi::RouteVtable {
                struct_size: size_u32::<abi::RouteVtable>(),
                revision: 1,
                on_request: Some(on_request_of::<F>),
                drop: Some(drop_registered::<F>),
            }
        };
        let registered = Registered { instance: Arc::clone(self), on_request };
        let ctx = Box::into_raw(Box::new(registered)).cast();
        let mut route = 0;
        call!(self, http.route(&raw const *options, vtable, ctx, &raw mut route))?;
        Ok(Owned::new(self, route))
    }

    fn asked(&self, request: Handle) -> Result<Asked, Error> {
        let mut info = abi::Request {
            struct_size: size_u32::<abi::Request>(),
            method: 0,
            flags: 0,
            reserved: 0,
            conn: 0,
            peer: crate::abi::net::Addr::default(),
            path: lend(""),
            query: lend(""),
            body: std::ptr::null(),
            body_len: 0,
        };
        call!(self, http.request(request, &raw mut info))?;
        // SAFETY: http.h: valid until the request is closed, which nobody else can do.
        let path = unsafe { text(info.path) }.into_owned();
        // SAFETY: as above.
        let query = unsafe { text(info.query) }.into_owned();
        let body = match info.body_len {
            0 => Vec::new(),
            // SAFETY: as above.
            len => unsafe { std::slice::from_raw_parts(info.body, len) }.to_vec(),
        };
        Ok(Asked {
            method: Method::from_abi(info.method),
            is_websocket: info.flags & abi::WEBSOCKET != 0,
            conn: info.conn,
            peer: from_abi(&info.peer),
            path,
            query,
            body,
        })
    }

    pub(crate) fn http_param(&self, request: Handle, name: &str) -> Option<String> {
        let mut value = lend("");
        call!(self, http.param(request, lend(name), &raw mut value)).ok()?;
        Some(owned(value))
    }

    pub(crate) fn http_header(&self, request: Handle, name: &str) -> Option<String> {
        let mut value = lend("");
        call!(self, http.header(request, lend(name), &raw mut value)).ok()?;
        Some(owned(value))
    }

    pub(crate) fn poll_gone(&self, request: Handle, cx: &Context<'_>) -> Poll<()> {
        self.poll(cx, |waker| call!(self, http.poll_gone(request, waker))).map(drop)
    }

    pub(crate) fn http_answer(
        &self,
        request: Handle,
        head: &Head<'_>,
        body: &[&[u8]],
    ) -> Result<Status, Error> {
        let body = lend_parts(body);
        with_head(head, |head| call!(self, http.answer(request, head, body.as_ptr(), body.len())))
    }

    pub(crate) fn http_refuse(&self, request: Handle, error: &Error) -> Result<Status, Error> {
        let text = error.to_string();
        call!(self, http.refuse(request, error.status.0, lend(&text)))
    }

    pub(crate) fn http_begin(&self, request: Handle, head: &Head<'_>) -> Result<Status, Error> {
        with_head(head, |head| call!(self, http.begin(request, head)))
    }

    pub(crate) fn poll_http_write(
        &self,
        request: Handle,
        cx: &Context<'_>,
        parts: &[&[u8]],
    ) -> Poll<Result<Status, Error>> {
        let parts = lend_parts(parts);
        self.poll(cx, |waker| {
            call!(self, http.poll_write(request, waker, parts.as_ptr(), parts.len()))
        })
    }

    pub(crate) fn http_finish(&self, request: Handle) -> Result<Status, Error> {
        call!(self, http.finish(request))
    }

    pub(crate) fn http_attach(
        &self,
        request: Handle,
        prepared: Handle,
        head: &Head<'_>,
    ) -> Result<Status, Error> {
        with_head(head, |head| call!(self, http.attach(request, prepared, head)))
    }
}

/// A text of a request, copied.
fn owned(value: Str) -> String {
    // SAFETY: http.h: valid until the request is closed; whoever asks holds it open.
    unsafe { text(value) }.into_owned()
}

fn with_head<R>(head: &Head<'_>, with: impl FnOnce(*const abi::Head) -> R) -> R {
    let fields = head.headers.iter();
    let fields: Vec<Field> =
        fields.map(|(key, value)| Field { key: lend(key), value: lend(value) }).collect();
    let head = abi::Head {
        struct_size: size_u32::<abi::Head>(),
        status: head.status.into(),
        n_headers: u32::try_from(fields.len()).unwrap_or(u32::MAX),
        reserved: 0,
        headers: fields.as_ptr(),
    };
    with(&raw const head)
}

unsafe extern "C" fn on_request_of<F: Fn(Request) + Send + Sync + 'static>(
    ctx: *mut c_void,
    request: Handle,
) -> core::Status {
    // SAFETY: http.h: `ctx` is that of the registration, not dropped yet; calls are concurrent, so it is shared.
    let Registered { instance, on_request } = unsafe { &*ctx.cast::<Registered<F>>() };
    guard::status(instance, || {
        let owned = Owned::new(instance, request);
        let asked = instance.asked(request)?;
        on_request(Request::new(owned, asked));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn drop_registered<F>(ctx: *mut c_void) {
    // SAFETY: core.h: once, after the last callback of the registration.
    let registered = unsafe { Box::from_raw(ctx.cast::<Registered<F>>()) };
    let instance = Arc::clone(&registered.instance);
    guard::enter(&instance, || drop(registered)).ok();
}
