//! The answers of the host's own routes.

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::worker::State;
use super::{Listing, Page, Problem};
use crate::metrics;

type Answer = Result<HttpResponse, Problem>;

#[derive(Deserialize)]
struct Health {
    ready: Option<String>,
}

/// Alive; with `?ready=1`, whether to give it work.
pub(super) fn health(request: &HttpRequest, state: &State) -> Answer {
    let query = actix_web::web::Query::<Health>::from_query(request.query_string())
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let asks = query.ready.as_deref().is_some_and(|ready| ready != "0");
    if asks && let Some(refusal) = state.source.readiness().refusal() {
        return Ok(HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "1"))
            .content_type("text/plain; charset=utf-8")
            .body(format!("{refusal}\n")));
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}

pub(super) fn metrics(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(state.metrics.text()))
}

pub(super) fn streams(request: &HttpRequest, state: &State) -> Answer {
    list(request, |page| state.source.streams(page))
}

pub(super) fn plugins(request: &HttpRequest, state: &State) -> Answer {
    list(request, |page| state.source.plugins(page))
}

pub(super) fn tasks(request: &HttpRequest, state: &State) -> Answer {
    list(request, |page| state.source.tasks(page))
}

/// The key is one segment of the path, its slashes encoded.
pub(super) fn stream(request: &HttpRequest, state: &State) -> Answer {
    let key: String = request
        .match_info()
        .load()
        .map_err(|_| Problem::bad_request("the key is not percent-encoded UTF-8"))?;
    match state.source.stream(&key) {
        Some(stream) => Ok(HttpResponse::Ok().json(stream)),
        None => Err(Problem::not_found("there is no stream of this key")),
    }
}

fn list(request: &HttpRequest, ask: impl FnOnce(&Page) -> Result<Listing, Problem>) -> Answer {
    let page = Page::parse(request.query_string())?;
    Ok(HttpResponse::Ok().json(ask(&page)?))
}
