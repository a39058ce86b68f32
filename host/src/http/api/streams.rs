//! Streams, and the sessions that have ended on them.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use plugin_api::units::HumanDuration;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{page, query, segment};
use crate::http::Problem;
use crate::http::page::{PageQuery, Paged};
use crate::http::problem::ProblemBody;
use crate::http::route::Answer;
use crate::http::worker::State;
use crate::hub::ended::EndedSession;
use crate::hub::info::StreamInfo;
use crate::server::StreamDetail;

/// Longest block of a stopped publisher: longer ones are a matter of rules.
pub(in crate::http) const BLOCK_MAX: Duration = Duration::from_secs(24 * 3600);

/// Live streams by key.
#[utoipa::path(
    get, path = "/api/v1/streams",
    operation_id = "listStreams",
    tag = "streams",
    params(PageQuery),
    responses((status = 200, body = Paged<StreamInfo>)),
)]
pub(in crate::http) fn list(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.streams(page))
}

/// One stream. The key is one segment of the path, its slashes encoded.
#[utoipa::path(
    get, path = "/api/v1/streams/{key}",
    operation_id = "stream",
    tag = "streams",
    params(("key" = String, Path, description = "The stream's key, percent-encoded: `live%2Fcam`")),
    responses(
        (status = 200, body = StreamDetail),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn one(request: &HttpRequest, state: &State) -> Answer {
    match state.source.stream(&segment(request)?) {
        Some(stream) => Ok(HttpResponse::Ok().json(stream)),
        None => Err(Problem::not_found("there is no stream of this key")),
    }
}

/// How a stream is stopped.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StopStream {
    /// How long others are refused under the key: `30s`, `10m`, at most a day.
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    block_for: Option<HumanDuration>,
}

/// Ends the publisher and the stream.
#[utoipa::path(
    post, path = "/api/v1/streams/{key}/stop",
    operation_id = "stopStream",
    tag = "streams",
    params(
        ("key" = String, Path, description = "The stream's key, percent-encoded: `live%2Fcam`"),
        StopStream,
    ),
    request_body(content = Option<StopStream>, description = "In place of the argument"),
    responses(
        (status = 204, description = "Stopped"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn stop(request: &HttpRequest, body: &[u8], state: &State) -> Answer {
    let key = segment(request)?;
    let asked: StopStream = query(request)?;
    let block_for = if body.is_empty() {
        asked.block_for
    } else {
        let body: StopStream = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
        if body.block_for.is_some() && asked.block_for.is_some() {
            return Err(Problem::bad_request("block_for stands in the query and in the body"));
        }
        body.block_for.or(asked.block_for)
    };
    let block_for = block_for.map(HumanDuration::get).unwrap_or_default();
    if block_for > BLOCK_MAX {
        return Err(Problem::bad_request("block_for may be a day at most"));
    }
    state.source.stop_stream(&key, block_for)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Publishers and viewers that are gone, newest first.
#[utoipa::path(
    get, path = "/api/v1/sessions/ended",
    operation_id = "listEndedSessions",
    tag = "streams",
    params(PageQuery),
    responses((status = 200, body = Paged<EndedSession>)),
)]
pub(in crate::http) fn ended(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.ended(page))
}
