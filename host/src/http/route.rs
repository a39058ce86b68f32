//! The table of routes, and the one way in which they are registered.

use actix_web::guard::{Any, Get, Head};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::worker::State;
use super::{Problem, api, guard};

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

pub(super) type Handler = fn(&HttpRequest, &State) -> Result<HttpResponse, Problem>;

/// A route that is read with GET or HEAD.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) pattern: &'static str,
    pub(super) class: Class,
    pub(super) handler: Handler,
}

/// Everything that the host itself answers.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: "/api/health", class: Class::Open, handler: api::health },
    Route { pattern: "/api/metrics", class: Class::Metrics, handler: api::metrics },
    Route { pattern: "/api/v1/plugins", class: Class::Admin, handler: api::plugins },
    Route { pattern: "/api/v1/streams", class: Class::Admin, handler: api::streams },
    Route { pattern: "/api/v1/streams/{key}", class: Class::Admin, handler: api::stream },
    Route { pattern: "/api/v1/tasks", class: Class::Admin, handler: api::tasks },
];

/// Registers routes, each behind the guard of its class: also for methods that it doesn't have.
///
/// The guard is part of the resource and not of the app, since only then it decides by the route that was matched and not
/// by a second look at the path, which could read an encoded path in another way.
pub(super) fn register(config: &mut ServiceConfig, routes: &[Route]) {
    for route in routes {
        let Route { pattern, class, handler } = *route;
        let answer = move |request: HttpRequest, state: Data<State>| {
            std::future::ready(handler(&request, &state).unwrap_or_else(Problem::into_response))
        };
        let resource = web::resource(pattern)
            .route(web::route().guard(Any(Get()).or(Head())).to(answer))
            .default_service(web::to(wrong_method))
            .wrap(from_fn(move |request, next| guard::admit(class, request, next)));
        config.service(resource);
    }
}

async fn wrong_method() -> HttpResponse {
    let mut response =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is read with GET or HEAD")
            .into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// Whatever has no route.
pub(super) async fn nothing_here() -> HttpResponse {
    Problem::not_found("there is nothing at this path").into_response()
}
