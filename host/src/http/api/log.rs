//! The log: its levels, and its lines as they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::LogLevel;
use crate::event::{Received, Subscription};
use crate::http::Problem;
use crate::http::problem::ProblemBody;
use crate::http::route::Answer;
use crate::http::sse::{self, Events};
use crate::http::worker::State;
use crate::log::Levels;

/// Targets with a level of their own.
const TARGETS_MAX: usize = 256;
/// Bytes of a target's name.
const TARGET_BYTES_MAX: usize = 128;

/// How much is logged, until the next start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LogLevels {
    /// For everything that has none of its own.
    level: LogLevel,
    /// By the name of a plugin instance, or a module of the host such as `plugcast::hub`.
    #[serde(default)]
    targets: BTreeMap<String, LogLevel>,
}

impl LogLevels {
    fn of(levels: &Levels) -> Self {
        let targets = levels.targets();
        let targets = targets.map(|(target, level)| (target.to_owned(), LogLevel::of(level)));
        Self { level: LogLevel::of(levels.default()), targets: targets.collect() }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.targets.len() > TARGETS_MAX {
            return Err(Problem::bad_request(format!("more than {TARGETS_MAX} targets")));
        }
        let is_name = |name: &String| {
            (1..=TARGET_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control)
        };
        match self.targets.keys().find(|name| !is_name(name)) {
            Some(_) => Err(Problem::bad_request(format!(
                "a target's name has 1 to {TARGET_BYTES_MAX} bytes and no control characters"
            ))),
            None => Ok(()),
        }
    }
}

/// The levels in force.
#[utoipa::path(
    get, path = "/api/v1/log/levels",
    operation_id = "logLevels",
    tag = "log",
    responses((status = 200, body = LogLevels)),
)]
pub(in crate::http) fn levels(_request: &HttpRequest, state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(LogLevels::of(&state.log.levels())))
}

/// Replaces all levels; answers with those in force. The config holds again after the next start.
#[utoipa::path(
    put, path = "/api/v1/log/levels",
    operation_id = "setLogLevels",
    tag = "log",
    request_body = LogLevels,
    responses(
        (status = 200, body = LogLevels),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn set_levels(_request: &HttpRequest, body: &[u8], state: &State) -> Answer {
    let asked: LogLevels = serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
    asked.check()?;
    let targets = asked.targets.iter().map(|(target, level)| (target.clone(), level.filter()));
    let levels = Levels::new(asked.level.filter(), targets.collect());
    let before = LogLevels::of(&state.log.levels());
    state.log.change_levels(|now| *now = levels);
    tracing::info!(
        event = "log.levels",
        before = describe(&before),
        after = describe(&asked),
        "log levels were changed through the API"
    );
    Ok(HttpResponse::Ok().json(asked))
}

fn describe(levels: &LogLevels) -> String {
    serde_json::to_string(levels).unwrap_or_default()
}

/// The newest lines of the log, then each as it is written.
#[utoipa::path(
    get, path = "/api/v1/logs/tail",
    operation_id = "followLog",
    tag = "log",
    responses(
        (
            status = 200,
            description = "Server-sent events: `data` is a line as it is logged",
            body = String,
            content_type = "text/event-stream",
        ),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn tail(request: &HttpRequest, state: &State) -> Answer {
    sse::answer(request, || {
        let (kept, live) = state.log.follow().map_err(|full| {
            Problem::unavailable(format!("{full} of the log; close one and try again"))
        })?;
        Ok(Following { kept, live })
    })
}

struct Following {
    kept: Vec<Arc<str>>,
    live: Subscription<Arc<str>>,
}

impl Events for Following {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.kept.is_empty() {
            let mut out = String::new();
            for line in std::mem::take(&mut self.kept) {
                sse::write(&mut out, None, None, &line);
            }
            return Some(Bytes::from(out));
        }
        match self.live.next().await {
            Received::Item(line) => {
                let mut out = String::with_capacity(line.len() + 16);
                sse::write(&mut out, None, None, &line);
                Some(Bytes::from(out))
            }
            Received::Lost(count) => Some(sse::lost(count)),
            Received::Closed => None,
        }
    }
}
