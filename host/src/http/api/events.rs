//! What happens in the server, as it happens.

use std::sync::Arc;

use actix_web::HttpRequest;
use bytes::Bytes;
use serde::Deserialize;
use utoipa::IntoParams;

use super::query;
use crate::auth::pattern::StreamPattern;
use crate::event::{Message, Received, Subscription};
use crate::http::Problem;
use crate::http::problem::ProblemBody;
use crate::http::route::Answer;
use crate::http::sse::{self, Events};
use crate::http::worker::State;

/// Which events are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EventFilter {
    /// How the event's name begins; several by comma: `stream,viewer.stop`.
    topic: Option<String>,
    /// Events about streams of this pattern only: `live/**`.
    stream: Option<String>,
}

/// Events of the server.
#[utoipa::path(
    get, path = "/api/v1/events",
    operation_id = "followEvents",
    tag = "events",
    params(EventFilter),
    responses(
        (
            status = 200,
            description = "Server-sent events: `event` is the event's name, `data` its log line as JSON; `event: lost` with `{\"lost\": n}` to a reader that is too slow",
            body = String,
            content_type = "text/event-stream",
        ),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn follow(request: &HttpRequest, state: &State) -> Answer {
    let EventFilter { topic, stream } = query(request)?;
    let stream = stream.map(|pattern| pattern.parse::<StreamPattern>());
    let stream = stream.transpose().map_err(|error| Problem::bad_request(error.to_string()))?;
    let topics: Vec<String> =
        topic.iter().flat_map(|topics| topics.split(',')).map(str::to_owned).collect();
    sse::answer(request, || {
        let messages = state.log.events().subscribe().map_err(|full| {
            Problem::unavailable(format!("{full} of events; close one and try again"))
        })?;
        Ok(Following { messages, topics, stream })
    })
}

struct Following {
    messages: Subscription<Arc<Message>>,
    /// Empty: all.
    topics: Vec<String>,
    stream: Option<StreamPattern>,
}

impl Following {
    fn wants(&self, message: &Message) -> bool {
        let is_topic = self.topics.is_empty()
            || self.topics.iter().any(|topic| message.topic.starts_with(topic.as_str()));
        let is_stream = self.stream.as_ref().is_none_or(|pattern| {
            message.stream.as_deref().is_some_and(|key| pattern.matches(key))
        });
        is_topic && is_stream
    }
}

impl Events for Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.messages.next().await {
                Received::Item(message) if self.wants(&message) => {
                    let mut out = String::with_capacity(message.json.len() + 64);
                    // What plugins call their events is not ours to trust.
                    let name = message.topic.replace(char::is_control, " ");
                    sse::write(&mut out, Some(message.id), Some(&name), &message.json);
                    return Some(Bytes::from(out));
                }
                Received::Item(_) => {}
                Received::Lost(count) => return Some(sse::lost(count)),
                Received::Closed => return None,
            }
        }
    }
}
