//! Streams, and the sessions that have ended on them.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use plugin_api::units::HumanDuration;
use serde::Deserialize;

use super::{page, query, segment};
use crate::http::Problem;
use crate::http::route::Answer;
use crate::http::worker::State;

/// Longest block of a stopped publisher: longer ones are a matter of rules.
pub(in crate::http) const BLOCK_MAX: Duration = Duration::from_secs(24 * 3600);

/// Live streams by key.
pub(in crate::http) fn list(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.streams(page))
}

/// One stream. The key is one segment of the path, its slashes encoded.
pub(in crate::http) fn one(request: &HttpRequest, state: &State) -> Answer {
    match state.source.stream(&segment(request)?) {
        Some(stream) => Ok(HttpResponse::Ok().json(stream)),
        None => Err(Problem::not_found("there is no stream of this key")),
    }
}

/// How a stream is stopped.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StopStream {
    /// How long others are refused under the key: `30s`, `10m`, at most a day.
    block_for: Option<HumanDuration>,
}

/// Ends the publisher and the stream.
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
pub(in crate::http) fn ended(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.ended(page))
}
