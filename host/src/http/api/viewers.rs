//! Viewers of all streams.

use actix_web::{HttpRequest, HttpResponse};

use super::{id, page};
use crate::http::route::Answer;
use crate::http::worker::State;

/// All viewers, by connection.
pub(in crate::http) fn list(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.viewers(page))
}

/// Closes the connection of a viewer. It may come back: only rules keep it out.
pub(in crate::http) fn kick(request: &HttpRequest, _body: &[u8], state: &State) -> Answer {
    state.source.kick(id(request)?)?;
    Ok(HttpResponse::NoContent().finish())
}
