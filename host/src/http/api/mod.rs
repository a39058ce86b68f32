//! The answers of the host's own routes.
#![expect(unused_qualifications, reason = "utoipa writes the paths of parameters in full")]

pub(super) mod events;
pub(super) mod log;
pub(super) mod streams;
pub(super) mod tasks;
pub(super) mod viewers;

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use utoipa::IntoParams;

use super::page::{PageQuery, Paged};
use super::route::Answer;
use super::worker::State;
use super::{Listing, Page, Problem};
use crate::metrics;
use crate::plugin::manager::PluginDetail;
use crate::server::system::SystemInfo;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Health {
    /// `1`: whether to give it work.
    ready: Option<String>,
}

/// Alive; with `?ready=1`, whether to give it work.
#[utoipa::path(
    get, path = "/api/health",
    operation_id = "health",
    tag = "server",
    params(Health),
    responses(
        (status = 200, description = "Alive; with `ready=1`: ready"),
        (status = 503, description = "Not ready, with the reason as text"),
    ),
)]
pub(super) fn health(request: &HttpRequest, state: &State) -> Answer {
    let asks = query::<Health>(request)?.ready.is_some_and(|ready| ready != "0");
    if asks && let Some(refusal) = state.source.readiness().refusal() {
        return Ok(HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "1"))
            .content_type("text/plain; charset=utf-8")
            .body(format!("{refusal}\n")));
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}

/// The metrics in the OpenMetrics form.
#[utoipa::path(
    get, path = "/api/metrics",
    operation_id = "metrics",
    tag = "server",
    responses(
        (
            status = 200,
            description = "OpenMetrics text",
            body = String,
            content_type = "application/openmetrics-text",
        ),
    ),
)]
pub(super) fn metrics(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(state.metrics.text()))
}

/// Plugin files and instances.
#[utoipa::path(
    get, path = "/api/v1/plugins",
    operation_id = "listPlugins",
    tag = "plugins",
    params(PageQuery),
    responses((status = 200, body = Paged<PluginDetail>)),
)]
pub(super) fn plugins(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.plugins(page))
}

/// The process: version, memory, threads, listeners.
#[utoipa::path(
    get, path = "/api/v1/system",
    operation_id = "system",
    tag = "server",
    responses((status = 200, body = SystemInfo)),
)]
pub(super) fn system(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.source.system()?))
}

/// The description of this API, and of the routes that plugins have at the moment.
#[utoipa::path(
    get, path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = Value)),
)]
pub(super) fn openapi(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .json(super::openapi::document(&state.settings.plugins)))
}

fn page(request: &HttpRequest, ask: impl FnOnce(&Page) -> Result<Listing, Problem>) -> Answer {
    let page = Page::parse(request.query_string())?;
    Ok(HttpResponse::Ok().json(ask(&page)?))
}

fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    match actix_web::web::Query::<T>::from_query(request.query_string()) {
        Ok(query) => Ok(query.into_inner()),
        Err(error) => Err(Problem::bad_request(error.to_string())),
    }
}

/// A part of the path, decoded once.
fn segment(request: &HttpRequest) -> Result<String, Problem> {
    let text: Result<String, _> = request.match_info().load();
    text.map_err(|_| Problem::bad_request("the path is not percent-encoded UTF-8"))
}

/// An id in the path. One that can't be an id is one that nothing has.
fn id(request: &HttpRequest) -> Result<u64, Problem> {
    let missing = || Problem::not_found("there is nothing of this id");
    segment(request)?.parse().map_err(|_| missing())
}
