//! The task tree.

use actix_web::{HttpRequest, HttpResponse};

use super::{id, page};
use crate::http::Problem;
use crate::http::page::{PageQuery, Paged};
use crate::http::problem::ProblemBody;
use crate::http::route::Answer;
use crate::http::worker::State;
use crate::task::{Denied, TaskInfo, Tree};

/// Every task, by id.
#[utoipa::path(
    get, path = "/api/v1/tasks",
    operation_id = "listTasks",
    tag = "tasks",
    params(PageQuery),
    responses((status = 200, body = Paged<TaskInfo>)),
)]
pub(in crate::http) fn list(request: &HttpRequest, state: &State) -> Answer {
    page(request, |page| state.source.tasks(page))
}

/// One task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}",
    operation_id = "task",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id")),
    responses(
        (status = 200, body = TaskInfo),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn one(request: &HttpRequest, state: &State) -> Answer {
    match state.source.tree()?.info(id(request)?) {
        Some(task) => Ok(HttpResponse::Ok().json(task)),
        None => Err(Problem::not_found("there is no task of this id")),
    }
}

/// Stops a task of a plugin, its children first. The answer comes before the end.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/stop",
    operation_id = "stopTask",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id")),
    responses(
        (status = 202, body = TaskInfo),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn stop(request: &HttpRequest, _body: &[u8], state: &State) -> Answer {
    change(request, state, Tree::stop_task)
}

/// Has a task with attempts make a new one, without a wait. The answer comes before the attempt.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/restart",
    operation_id = "restartTask",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id")),
    responses(
        (status = 202, body = TaskInfo),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(in crate::http) fn restart(request: &HttpRequest, _body: &[u8], state: &State) -> Answer {
    change(request, state, Tree::restart_task)
}

fn change(
    request: &HttpRequest,
    state: &State,
    change: fn(&Tree, u64) -> Result<TaskInfo, Denied>,
) -> Answer {
    match change(&*state.source.tree()?, id(request)?) {
        Ok(task) => Ok(HttpResponse::Accepted().json(task)),
        Err(denied @ Denied::NotFound) => Err(Problem::not_found(denied.to_string())),
        Err(denied) => Err(Problem::conflict(denied.to_string())),
    }
}
