//! What the API asks the rest of the host.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Listing, Page, Problem};
use crate::task::Tree;

/// Answers for the API. Called on the HTTP threads: quick, and never waits.
pub trait Source: Send + Sync + 'static {
    fn readiness(&self) -> Readiness;

    /// Live streams by their keys. [`Page::list`] cuts a list to the page.
    ///
    /// # Errors
    ///
    /// The page can't be had, as for the other lists.
    fn streams(&self, page: &Page) -> Result<Listing, Problem>;

    /// One stream; `None`: there is none of this key.
    fn stream(&self, key: &str) -> Option<Value>;

    /// # Errors
    ///
    /// As for `streams`.
    fn plugins(&self, page: &Page) -> Result<Listing, Problem>;

    /// # Errors
    ///
    /// As for `streams`.
    fn tasks(&self, page: &Page) -> Result<Listing, Problem>;

    /// Everything that runs.
    ///
    /// # Errors
    ///
    /// 503 while the server is starting.
    fn tree(&self) -> Result<Arc<Tree>, Problem>;

    /// The process as a whole.
    ///
    /// # Errors
    ///
    /// 503 while the server is starting.
    fn system(&self) -> Result<Value, Problem>;

    /// Ends a stream and refuses publishers under its key for a time.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    fn stop_stream(&self, key: &str, block_for: Duration) -> Result<(), Problem>;

    /// Viewers of all streams, by connection.
    ///
    /// # Errors
    ///
    /// As for `streams`.
    fn viewers(&self, page: &Page) -> Result<Listing, Problem>;

    /// Closes a viewer's connection.
    ///
    /// # Errors
    ///
    /// 404 when no viewer has it.
    fn kick(&self, conn: u64) -> Result<(), Problem>;

    /// Publishers and viewers that are gone, newest first.
    ///
    /// # Errors
    ///
    /// As for `streams`.
    fn ended(&self, page: &Page) -> Result<Listing, Problem>;
}

/// Whether the server should be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Starting,
    Ready,
    /// It is being stopped.
    Draining,
    /// A plugin that is required does not run.
    PluginDown,
}

impl Readiness {
    /// Why not, without details: the route is open to everybody.
    pub(super) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Starting => Some("starting"),
            Self::Ready => None,
            Self::Draining => Some("draining"),
            Self::PluginDown => Some("a required plugin is down"),
        }
    }
}
