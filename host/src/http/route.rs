//! The table of routes, and the one way in which they are registered.

use actix_web::guard::{Any, Delete, Get, Head, Post, Put};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use tokio::time::timeout;

use super::worker::State;
use super::{Problem, Settings, api, guard, serve, ui};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The operator, by the token. From everywhere alike, the own machine too.
    Admin,
    /// Like `Admin`, and certain addresses without the token.
    Metrics,
    /// Everybody, from every web page.
    Media,
    /// Everybody.
    Open,
}

impl Class {
    /// As a label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Media => "media",
            Self::Metrics => "metrics",
            Self::Open => "open",
        }
    }
}

pub(super) type Answer = Result<HttpResponse, Problem>;
/// Answers without changing anything.
type Read = fn(&HttpRequest, &State) -> Answer;
/// Changes something, as the body says.
type Change = fn(&HttpRequest, &[u8], &State) -> Answer;

/// What a route does, by its method: what changes something can't be called by GET.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    Delete(Change),
    /// HEAD as well.
    Get(Read),
    Post(Change),
    Put(Change),
}

impl Handler {
    /// As in `Allow`.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Delete(_) => "DELETE",
            Self::Get(_) => "GET, HEAD",
            Self::Post(_) => "POST",
            Self::Put(_) => "PUT",
        }
    }

    fn route(self) -> actix_web::Route {
        let (route, change) = match self {
            Self::Get(read) => {
                let answer = move |request: HttpRequest, state: Data<State>| {
                    std::future::ready(finish(read(&request, &state)))
                };
                return web::route().guard(Any(Get()).or(Head())).to(answer);
            }
            Self::Delete(change) => (web::route().guard(Delete()), change),
            Self::Post(change) => (web::route().guard(Post()), change),
            Self::Put(change) => (web::route().guard(Put()), change),
        };
        let answer = move |request: HttpRequest, payload: web::Payload, state: Data<State>| async move {
            let body = read_body(payload, &state.settings).await;
            finish(body.and_then(|body| change(&request, &body, &state)))
        };
        route.to(answer)
    }
}

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) pattern: &'static str,
    pub(super) class: Class,
    pub(super) handler: Handler,
}

const fn admin(pattern: &'static str, handler: Handler) -> Route {
    Route { pattern, class: Class::Admin, handler }
}

const fn open(pattern: &'static str, read: Read) -> Route {
    Route { pattern, class: Class::Open, handler: Handler::Get(read) }
}

/// Everything that the host itself answers. Routes of one path stand together and have one class.
pub(super) const ROUTES: &[Route] = &[
    open("/", ui::index),
    open("/preview/{key:.+}", ui::preview),
    open("/ui/{file:.+}", ui::part),
    open("/api/health", api::health),
    Route { pattern: "/api/metrics", class: Class::Metrics, handler: Handler::Get(api::metrics) },
    admin("/api/v1/events", Handler::Get(api::events::follow)),
    admin("/api/v1/log/levels", Handler::Get(api::log::levels)),
    admin("/api/v1/log/levels", Handler::Put(api::log::set_levels)),
    admin("/api/v1/logs/tail", Handler::Get(api::log::tail)),
    admin("/api/v1/openapi.json", Handler::Get(api::openapi)),
    admin("/api/v1/plugins", Handler::Get(api::plugins)),
    admin("/api/v1/sessions/ended", Handler::Get(api::streams::ended)),
    admin("/api/v1/streams", Handler::Get(api::streams::list)),
    admin("/api/v1/streams/{key}", Handler::Get(api::streams::one)),
    admin("/api/v1/streams/{key}/stop", Handler::Post(api::streams::stop)),
    admin("/api/v1/system", Handler::Get(api::system)),
    admin("/api/v1/tasks", Handler::Get(api::tasks::list)),
    admin("/api/v1/tasks/{id}", Handler::Get(api::tasks::one)),
    admin("/api/v1/tasks/{id}/restart", Handler::Post(api::tasks::restart)),
    admin("/api/v1/tasks/{id}/stop", Handler::Post(api::tasks::stop)),
    admin("/api/v1/viewers", Handler::Get(api::viewers::list)),
    admin("/api/v1/viewers/{conn}", Handler::Delete(api::viewers::kick)),
];

/// Registers routes, each behind the guard of its class: also for methods that it doesn't have.
///
/// The guard is part of the resource and not of the app, since only then it decides by the route that was matched and not
/// by a second look at the path, which could read an encoded path in another way.
pub(super) fn register(config: &mut ServiceConfig, routes: &[Route]) {
    for same_path in routes.chunk_by(|a, b| a.pattern == b.pattern) {
        let Some(Route { pattern, class, .. }) = same_path.first().copied() else { continue };
        let methods: Vec<&str> = same_path.iter().map(|route| route.handler.methods()).collect();
        let allow = methods.join(", ");
        let mut resource = web::resource(pattern);
        for route in same_path {
            resource = resource.route(route.handler.route());
        }
        let resource = resource
            .default_service(web::to(move || std::future::ready(wrong_method(&allow))))
            .wrap(from_fn(move |request, next| guard::admit(class, request, next)));
        config.service(resource);
    }
    // After those of the host, which a plugin can't cover.
    config.service(
        web::resource("/{path:.*}")
            .default_service(web::to(serve::answer))
            .wrap(from_fn(serve::find)),
    );
}

fn finish(answer: Answer) -> HttpResponse {
    answer.unwrap_or_else(Problem::into_response)
}

async fn read_body(payload: web::Payload, settings: &Settings) -> Result<Bytes, Problem> {
    let (limit, time) = (settings.body_bytes_max, settings.body_timeout);
    let refused = |status, text: String| Err(Problem::new(status, text));
    match timeout(time, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => refused(StatusCode::BAD_REQUEST, format!("the body: {error}")),
        Ok(Err(_)) => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {limit} bytes"))
        }
        Err(_) => {
            refused(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {time:?}"))
        }
    }
}

fn wrong_method(allow: &str) -> HttpResponse {
    let detail = format!("what this path knows: {allow}");
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Whatever has no route.
pub(super) async fn nothing_here() -> HttpResponse {
    Problem::not_found("there is nothing at this path").into_response()
}
