//! Requests to plugins' routes: from the connection to the plugin, and the answer back.
//!
//! ```text
//! dispatcher ─▶ find ─▶ guard (class) ─▶ answer ─▶ plugin, on the host's workers
//!      ▲                                   │  ▲
//!      └──────── whole, in parts ──────────┘  └── later, from any thread
//! fan-out thread ◀── the socket, with the head as its first bytes
//! ```

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, ALLOW,
    CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes, Data};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use plugin_api::abi::http as abi;
use tokio::time::{Instant, timeout_at};

use super::io::ConnHandle;
use super::parts::PartsBody;
use super::pattern::Params;
use super::request::{Answer, Asked, Head, Request, TakeOver};
use super::route::nothing_here;
use super::routes::PluginRoute;
use super::websocket::Upgrade;
use super::worker::State;
use super::{Class, Problem, guard, peer};

/// How soon to come back: a stream may be there in a moment.
const RETRY_AFTER_SECONDS: &str = "5";
/// How often a connection is looked at that has not sent its last answer yet.
const FLUSH_INTERVAL: Duration = Duration::from_millis(10);

/// Those that a plugin can have.
pub(super) const METHODS: [(u32, Method); 5] = [
    (abi::GET, Method::GET),
    (abi::POST, Method::POST),
    (abi::PUT, Method::PUT),
    (abi::PATCH, Method::PATCH),
    (abi::DELETE, Method::DELETE),
];

/// A route that was found, on its way to [`answer`].
pub(super) struct Found {
    pub(super) route: Arc<PluginRoute>,
    params: Params,
}

/// Looks the path up, once, and lets the guard decide by the class of what was found.
pub(super) async fn find<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let state = request.app_data::<Data<State>>();
    let found = state.and_then(|state| state.settings.plugins.find(request.uri().path()));
    match found {
        Some((route, params)) => {
            let class = route.class;
            request.extensions_mut().insert(Found { route, params });
            guard::admit(class, request, next).await
        }
        None => Ok(request.into_response(nothing_here().await)),
    }
}

/// Asks the plugin, and passes its answer on.
pub(super) async fn answer(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(Found { route, params }) = request.extensions_mut().remove::<Found>() else {
        return nothing_here().await;
    };
    let is_head = request.method() == Method::HEAD && route.methods & abi::GET != 0;
    let asked = if is_head { &Method::GET } else { request.method() };
    let method = METHODS.iter().find(|(bit, method)| method == asked && route.methods & bit != 0);
    let Some((method, _)) = method else { return other_method(&request, &route) };
    let upgrade = match Upgrade::of(request.method(), request.headers()) {
        upgrade if route.takes_websockets => upgrade,
        _ => Upgrade::None,
    };
    let accept = match upgrade {
        Upgrade::None => None,
        Upgrade::Accept(accept) => Some(accept),
        Upgrade::Version => return upgrade_required(),
        Upgrade::Bad(reason) => return refusal(route.class, StatusCode::BAD_REQUEST, reason),
    };
    if route.handler.is_draining() {
        return refusal(route.class, StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    let deadline = Instant::now() + route.deadline;
    let body = match read_body(&route, *method, payload, deadline).await {
        Ok(body) => body,
        Err((status, text)) => return refusal(route.class, status, text),
    };
    let Some(conn) = request.conn_data::<ConnHandle>().cloned() else {
        return refusal(route.class, StatusCode::INTERNAL_SERVER_ERROR, "no connection");
    };
    // What the dispatcher has to send of an earlier answer must be gone before the connection can leave its hands.
    tokio::task::yield_now().await;
    while conn.has_unsent() {
        tokio::time::sleep(FLUSH_INTERVAL).await;
    }
    let asked = Asked {
        method: *method,
        path: request.uri().path().to_owned(),
        query: request.query_string().to_owned(),
        params,
        headers: texts(request.headers()),
        body,
        peer: who(&request, conn.conn().peer()),
        conn: conn.conn().id(),
        protocol: match accept {
            Some(_) => route.protocol.replacen("http", "ws", 1),
            None => route.protocol.clone(),
        },
        is_websocket: accept.is_some(),
    };
    let (asked, receiver) = Request::new(asked);
    route.handler.on_request(asked);
    match timeout_at(deadline, receiver).await {
        Ok(Ok(answer)) => respond(route.class, &conn, accept.as_deref(), is_head, answer),
        Ok(Err(_)) if route.handler.is_draining() => {
            refusal(route.class, StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        Ok(Err(_)) => {
            let text = "the plugin gave no answer";
            refusal(route.class, StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        Err(_) => refusal(route.class, StatusCode::SERVICE_UNAVAILABLE, "no answer in time"),
    }
}

/// Who asks: behind trusted proxies, the one that they name.
fn who(request: &HttpRequest, peer: SocketAddr) -> SocketAddr {
    let state = request.app_data::<Data<State>>();
    let client = state.and_then(|state| {
        peer::client(peer.ip(), request.headers(), &state.settings.trusted_proxies)
    });
    match client {
        Some(client) if client != peer.ip() => SocketAddr::new(client, 0),
        _ => peer,
    }
}

fn respond(
    class: Class,
    conn: &ConnHandle,
    accept: Option<&str>,
    is_head: bool,
    answer: Answer,
) -> HttpResponse {
    match answer {
        Answer::Whole(head, body) => build(head).set_body(body).map_into_boxed_body(),
        Answer::Refused(status, text) => refusal(class, status, &text),
        Answer::Parts(head, parts) => build(head).set_body(PartsBody(parts)).map_into_boxed_body(),
        Answer::TakeOver(head, _) if is_head => build(head).set_body(NoBody).map_into_boxed_body(),
        Answer::TakeOver(head, take_over) => hand_over(class, conn, accept, head, take_over),
    }
}

/// Takes the connection out of the dispatcher's hands. What this returns ends the dispatcher, and goes nowhere.
fn hand_over(
    class: Class,
    handle: &ConnHandle,
    accept: Option<&str>,
    mut head: Head,
    take_over: TakeOver,
) -> HttpResponse {
    let Some(conn) = handle.take() else {
        return refusal(class, StatusCode::INTERNAL_SERVER_ERROR, "the connection is gone");
    };
    guard::finish(class, &mut head.headers);
    take_over(conn, raw_head(&head, accept));
    let mut nowhere = HttpResponse::new(StatusCode::OK);
    nowhere.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    nowhere
}

/// The head as bytes: to the end of the connection, or the upgrade.
fn raw_head(head: &Head, accept: Option<&str>) -> Vec<u8> {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match accept {
        Some(accept) => write!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-accept: {accept}\r\n"
        ),
        None => write!(text, "HTTP/1.1 {}\r\nconnection: close\r\n", head.status),
    };
    let _ =
        write!(text, "date: {}\r\n", actix_web::http::header::HttpDate::from(SystemTime::now()));
    let mut bytes = text.into_bytes();
    // An upgrade has no content.
    let headers = head.headers.iter().filter(|(name, _)| accept.is_none() || *name != CONTENT_TYPE);
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn build(head: Head) -> HttpResponse {
    let mut response = HttpResponse::new(head.status);
    *response.headers_mut() = head.headers;
    response
}

/// An answer to HEAD whose length nobody knows.
struct NoBody;

impl MessageBody for NoBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::None
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}

/// An error: for programs on the API, in words for those who play.
fn refusal(class: Class, status: StatusCode, text: &str) -> HttpResponse {
    let mut response = match class {
        Class::Media => HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
            .body(format!("{text}\n")),
        Class::Admin | Class::Metrics | Class::Open => Problem::new(status, text).into_response(),
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn upgrade_required() -> HttpResponse {
    HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
        .insert_header((SEC_WEBSOCKET_VERSION, "13"))
        .body("this server speaks version 13 of the WebSocket protocol\n")
}

/// OPTIONS, and what the route does not have.
fn other_method(request: &HttpRequest, route: &PluginRoute) -> HttpResponse {
    let mut allowed = vec!["OPTIONS"];
    let own = METHODS.iter().filter(|(bit, _)| route.methods & bit != 0);
    allowed.extend(own.map(|(_, method)| method.as_str()));
    if route.methods & abi::GET != 0 {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let mut response = match *request.method() {
        Method::OPTIONS => HttpResponse::new(StatusCode::NO_CONTENT),
        _ => refusal(
            route.class,
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not have this method",
        ),
    };
    let Ok(allowed) = HeaderValue::from_str(&allowed) else { return response };
    let is_preflight = *request.method() == Method::OPTIONS && route.class == Class::Media;
    if is_preflight {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allowed.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response.headers_mut().insert(ALLOW, allowed);
    response
}

async fn read_body(
    route: &PluginRoute,
    method: u32,
    payload: web::Payload,
    deadline: Instant,
) -> Result<Bytes, (StatusCode, &'static str)> {
    if method == abi::GET {
        return Ok(Bytes::new());
    }
    match timeout_at(deadline, payload.to_bytes_limited(route.body_max)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err((StatusCode::BAD_REQUEST, "the body can't be read")),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let headers = headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    });
    headers.collect()
}

/// [`BoxBody`] is what the app's middleware sees.
const _: fn(HttpResponse) -> HttpResponse<BoxBody> = |response| response;
