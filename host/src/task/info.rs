//! What the API tells about a task.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TaskState)]
pub enum State {
    /// Handed to the executor, not polled yet.
    Queued,
    /// An attempt is being made.
    Starting,
    Running,
    /// Waiting before the next attempt.
    Retrying,
    /// Told to stop, or ended and waiting for its children.
    Stopping,
    Done,
    Failed,
}

/// How far a task is, in a unit of its own. A total of 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// One line of the task list. Ids are opaque strings outside of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskInfo {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub id: u64,
    #[serde(serialize_with = "as_optional_text")]
    #[schema(value_type = Option<String>)]
    pub parent: Option<u64>,
    pub kind: String,
    pub name: String,
    /// The plugin instance that it belongs to; `server` for the host's own.
    pub owner: String,
    pub state: State,
    /// Why it was started.
    pub reason: String,
    /// Unix time in milliseconds.
    pub started_ms: u64,
    /// Attempts that failed in a row.
    pub failures: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The newest error, of this attempt or one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorInfo {
    pub code: i32,
    pub message: String,
    /// Unix time in milliseconds.
    pub at_ms: u64,
}

/// Unix time in milliseconds, 0 before 1970.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn as_text<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_optional_text<S: Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
