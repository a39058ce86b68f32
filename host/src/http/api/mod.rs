//! The answers of the host's own routes.

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

use super::route::Answer;
use super::worker::State;
use super::{Listing, Page, Problem};
use crate::metrics;

#[derive(Deserialize)]
struct Health {
    ready: Option<String>,
}

/// Alive; with `?ready=1`, whether to give it work.
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
pub(super) fn metrics(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(state.metrics.text()))
}

/// Plugin files and instances.
pub(super) fn plugins(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.plugins(page))
}

/// The process: version, memory, threads, listeners.
pub(super) fn system(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.source.system()?))
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
