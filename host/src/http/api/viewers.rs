//! Viewers of all streams.

use actix_web::{HttpRequest, HttpResponse};

use super::{id, page};
use crate::http::page::{PageQuery, Paged};
use crate::http::problem::ProblemBody;
use crate::http::route::Answer;
use crate::http::worker::State;
use crate::hub::feed::ViewerInfo;

/// All viewers, by connection.
#[utoipa::path(
    get, path = "/api/v1/viewers",
    operation_id = "listViewers",
    tag = "viewers",
    params(PageQuery),
    responses((status = 200, body = Paged<ViewerInfo>)),
)]
pub(in crate::http) fn list(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.viewers(page))
}

/// Closes the connection of a viewer. It may come back: only rules keep it out.
#[utoipa::path(
    delete, path = "/api/v1/viewers/{conn}",
    operation_id = "kickViewer",
    tag = "viewers",
    params(("conn" = String, Path, description = "The connection's id")),
    responses(
        (status = 204, description = "The connection is being closed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn kick(request: &HttpRequest, _body: &[u8], state: &State) -> Answer {
    state.source.kick(id(request)?)?;
    Ok(HttpResponse::NoContent().finish())
}
