//! pc.http/1 of the fake host: requests that the test makes, without a socket.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::FakeHost;
use super::exec::pending;
use super::feed::gather;
use super::state::Object;
use super::tables::{enter, owned, put, result};
use crate::abi::core::{Handle, Host, Status as RawStatus, Str, Waker};
use crate::abi::http::{self as abi, HttpApi, RouteVtable};
use crate::abi::mem::Buf;
use crate::abi::net::Addr;
use crate::error::{Error, Status};
use crate::ffi::convert::slice;
use crate::ffi::{lend, size_u32};

pub(super) static HTTP: HttpApi = HttpApi {
    struct_size: size_u32::<HttpApi>(),
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

/// A registration; its context is dropped with it.
pub(super) struct RouteEntry {
    pattern: String,
    methods: u32,
    access: u32,
    vtable: &'static RouteVtable,
    ctx: *mut c_void,
}

// SAFETY: http.h: calls come concurrently, on any worker.
unsafe impl Send for RouteEntry {}
// SAFETY: as above.
unsafe impl Sync for RouteEntry {}

impl Drop for RouteEntry {
    fn drop(&mut self) {
        if let Some(drop) = self.vtable.drop {
            // SAFETY: core.h: once, after the last callback, each of which holds a share of this entry.
            unsafe { drop(self.ctx) };
        }
    }
}

/// What a test asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpRequest<'a> {
    /// GET when it is left out.
    pub method: crate::http::Method,
    /// With the query.
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub is_websocket: bool,
}

/// How a plugin has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 0: there is no head, because it was refused or not answered.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub refused: Option<Error>,
    /// Stream key, format and variant of the feed that is the answer.
    pub viewer: Option<(String, String, String)>,
    /// The handle was closed before the end.
    pub is_cut: bool,
}

/// A request and what has come of it.
pub(super) struct Asked {
    path: String,
    query: String,
    params: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    method: u32,
    is_websocket: bool,
    state: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    answer: HttpAnswer,
    is_writing: bool,
    is_over: bool,
}

impl Asked {
    pub(super) fn close(&self) {
        let mut progress = self.lock();
        progress.answer.is_cut |= !progress.is_over;
        progress.is_over = true;
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the path has for the names of a pattern.
fn params(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut names, mut rest) =
        (pattern.trim_start_matches('/').split('/'), path.strip_prefix('/'));
    let mut found = Vec::new();
    for name in names.by_ref() {
        let text = rest.filter(|text| !text.is_empty())?;
        if let Some(name) = name.strip_prefix('{').and_then(|name| name.strip_suffix("...}")) {
            found.push((name.to_owned(), text.to_owned()));
            return Some(found);
        }
        let (first, after) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => found.push((name.to_owned(), first.to_owned())),
            None if name == first => {}
            None => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(found)
}

impl FakeHost {
    /// Asks the plugin's routes, and waits for the answer. `None`: no route has this path and method.
    ///
    /// # Panics
    /// After ten seconds.
    pub fn request(&self, asks: HttpRequest<'_>) -> Option<HttpAnswer> {
        let (path, query) = asks.path.split_once('?').unwrap_or((asks.path, ""));
        let method = asks.method.to_abi();
        let state = self.shared.lock();
        let (entry, params) = state.objects.values().find_map(|object| match object {
            Object::Route(entry) if entry.methods & method != 0 => {
                Some((Arc::clone(entry), params(&entry.pattern, path)?))
            }
            _ => None,
        })?;
        drop(state);
        let headers = asks.headers.iter();
        let asked = Arc::new(Asked {
            path: path.to_owned(),
            query: query.to_owned(),
            params,
            headers: headers.map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: asks.body.to_vec(),
            method,
            is_websocket: asks.is_websocket,
            state: Mutex::default(),
        });
        let handle = self.shared.lock().add(Object::Request(Arc::clone(&asked)));
        let on_request = entry.vtable.on_request?;
        // SAFETY: http.h: the entry holds the context.
        let answered = result(unsafe { on_request(entry.ctx, handle) });
        if answered.is_err() {
            asked.close();
        }
        Some(self.wait_for("an answer", |_| {
            let progress = asked.lock();
            progress.is_over.then(|| progress.answer.clone())
        }))
    }

    /// The patterns of the plugin's routes, each with who may call it, sorted.
    pub fn routes(&self) -> Vec<(String, crate::http::Access)> {
        let state = self.shared.lock();
        let mut routes: Vec<_> = (state.objects.values())
            .filter_map(|object| match object {
                Object::Route(entry) => Some((entry.pattern.clone(), access(entry.access))),
                _ => None,
            })
            .collect();
        routes.sort_by(|a, b| a.0.cmp(&b.0));
        routes
    }
}

fn access(value: u32) -> crate::http::Access {
    match value {
        abi::MEDIA => crate::http::Access::Media,
        abi::OPEN => crate::http::Access::Open,
        _ => crate::http::Access::Admin,
    }
}

fn asked(object: Object) -> Result<Arc<Asked>, Error> {
    match object {
        Object::Request(asked) => Ok(asked),
        _ => Err(Error::new(Status::HANDLE, "no request")),
    }
}

fn set_head(answer: &mut HttpAnswer, head: *const abi::Head) {
    // SAFETY: http.h: lent for the call.
    let head = unsafe { *head };
    answer.status = u16::try_from(head.status).unwrap_or(0);
    // SAFETY: as above.
    let headers = unsafe { slice(head.headers, head.n_headers as usize) };
    answer.headers = headers.iter().map(|field| (owned(field.key), owned(field.value))).collect();
}

/// One of the ways to answer, once.
fn progress(
    host: *const Host,
    function: &'static str,
    handle: Handle,
    change: impl FnOnce(&mut Progress) -> Result<(), Error>,
) -> RawStatus {
    enter(host, function, |shared| {
        let asked = asked(shared.find(handle)?)?;
        let mut progress = asked.lock();
        if progress.is_over || progress.is_writing != matches!(function, "poll_write" | "finish") {
            return Err(Error::state("the request was answered"));
        }
        change(&mut progress)?;
        drop(progress);
        shared.changed(shared.lock());
        Ok(Status::OK)
    })
}

unsafe extern "C" fn route(
    host: *const Host,
    options: *const abi::Route,
    vtable: *const RouteVtable,
    ctx: *mut c_void,
    out: *mut Handle,
) -> RawStatus {
    // SAFETY: http.h: lent for the call.
    let options = unsafe { *options };
    let entry = Arc::new(RouteEntry {
        pattern: owned(options.pattern),
        methods: if options.methods == 0 { abi::GET } else { options.methods },
        access: options.access,
        // SAFETY: core.h: tables are valid for the life of the process.
        vtable: unsafe { &*vtable },
        ctx,
    });
    enter(host, "route", |shared| {
        put(out, shared.lock().add(Object::Route(entry)));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn request(
    host: *const Host,
    handle: Handle,
    out: *mut abi::Request,
) -> RawStatus {
    enter(host, "request", |shared| {
        let asked = asked(shared.find(handle)?)?;
        let info = abi::Request {
            struct_size: size_u32::<abi::Request>(),
            method: asked.method,
            flags: if asked.is_websocket { abi::WEBSOCKET } else { 0 },
            reserved: 0,
            conn: 1,
            peer: Addr { family: 4, port: 50_000, ..Addr::default() },
            path: lend(&asked.path),
            query: lend(&asked.query),
            body: asked.body.as_ptr(),
            body_len: asked.body.len(),
        };
        put(out, info);
        Ok(Status::OK)
    })
}

fn give_text(found: Option<&(String, String)>, value: *mut Str) -> Result<Status, Error> {
    let (_, text) = found.ok_or_else(|| Error::not_found("the request has none of it"))?;
    put(value, lend(text));
    Ok(Status::OK)
}

unsafe extern "C" fn param(
    host: *const Host,
    handle: Handle,
    name: Str,
    out: *mut Str,
) -> RawStatus {
    enter(host, "param", |shared| {
        let (asked, name) = (asked(shared.find(handle)?)?, owned(name));
        give_text(asked.params.iter().find(|(known, _)| *known == name), out)
    })
}

unsafe extern "C" fn header(
    host: *const Host,
    handle: Handle,
    name: Str,
    out: *mut Str,
) -> RawStatus {
    enter(host, "header", |shared| {
        let (asked, name) = (asked(shared.find(handle)?)?, owned(name));
        give_text(asked.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)), out)
    })
}

unsafe extern "C" fn poll_gone(host: *const Host, handle: Handle, waker: *mut Waker) -> RawStatus {
    enter(host, "poll_gone", |shared| {
        let asked = asked(shared.find(handle)?)?;
        let mut state = shared.lock();
        let poll = if asked.lock().is_over { Poll::Ready(()) } else { Poll::Pending };
        match poll {
            Poll::Ready(()) => Ok(Status::END),
            Poll::Pending => pending(waker, |cx| state.wait(cx)),
        }
    })
}

unsafe extern "C" fn answer(
    host: *const Host,
    handle: Handle,
    head: *const abi::Head,
    body: *const Buf,
    n: usize,
) -> RawStatus {
    progress(host, "answer", handle, |progress| {
        set_head(&mut progress.answer, head);
        progress.answer.body = gather(body, n);
        progress.is_over = true;
        Ok(())
    })
}

unsafe extern "C" fn refuse(
    host: *const Host,
    handle: Handle,
    error: RawStatus,
    text: Str,
) -> RawStatus {
    progress(host, "refuse", handle, |progress| {
        progress.answer.refused = Some(Error::new(Status(error), owned(text)));
        progress.is_over = true;
        Ok(())
    })
}

unsafe extern "C" fn begin(host: *const Host, handle: Handle, head: *const abi::Head) -> RawStatus {
    progress(host, "begin", handle, |progress| {
        set_head(&mut progress.answer, head);
        progress.is_writing = true;
        Ok(())
    })
}

unsafe extern "C" fn poll_write(
    host: *const Host,
    handle: Handle,
    _: *mut Waker,
    parts: *const Buf,
    n: usize,
) -> RawStatus {
    progress(host, "poll_write", handle, |progress| {
        progress.answer.body.extend(gather(parts, n));
        Ok(())
    })
}

unsafe extern "C" fn finish(host: *const Host, handle: Handle) -> RawStatus {
    progress(host, "finish", handle, |progress| {
        progress.is_over = true;
        Ok(())
    })
}

unsafe extern "C" fn attach(
    host: *const Host,
    handle: Handle,
    prepared: Handle,
    head: *const abi::Head,
) -> RawStatus {
    let mut place = None;
    let taken = enter(host, "attach", |shared| match shared.lock().objects.remove(&prepared) {
        Some(Object::Prepared(key, format, variant)) => {
            place = Some((key, format, variant));
            Ok(Status::OK)
        }
        _ => Err(Error::new(Status::HANDLE, "nothing prepared")),
    });
    if taken != Status::OK.0 {
        return taken;
    }
    progress(host, "attach", handle, |progress| {
        set_head(&mut progress.answer, head);
        progress.answer.viewer = place;
        progress.is_over = true;
        Ok(())
    })
}
