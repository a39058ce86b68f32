//! What one read of a stream gives, and where reading begins.

use std::sync::Arc;

use plugin_api::frame::{Frame, Shape};

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// The next start point.
    Live,
    /// The newest start point: at once.
    #[default]
    Newest,
    /// The oldest start point that is still held.
    Oldest,
}

/// What one read gives. Keep it between reads: the list is reused.
#[derive(Debug, Default)]
pub struct Batch {
    /// Set when it changed: in force from the first of these frames on. Always set in the first batch.
    pub shape: Option<Arc<Shape>>,
    /// May be empty when only the shape changed.
    pub frames: Vec<Frame>,
    /// Frames skipped before this batch because the reader was lapped.
    pub lost: u64,
}
