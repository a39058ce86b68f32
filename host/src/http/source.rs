//! What the API asks the rest of the host.

use serde_json::Value;

use super::{Listing, Page, Problem};

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
