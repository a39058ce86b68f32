//! Why a task failed, and why the tree refused one.

use std::fmt;

/// Bytes of an error's text that are kept.
const MESSAGE_MAX: usize = 1024;

/// How an attempt of a task ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    code: i32,
    message: Box<str>,
}

impl TaskError {
    /// `PC_E_CANCELLED` of the contract: the task was stopped.
    pub const CANCELLED: i32 = -8;
    /// `PC_E_PANIC` of the contract.
    pub const PANIC: i32 = -11;
    /// `PC_E_INTERNAL` of the contract.
    pub const INTERNAL: i32 = -12;

    /// `code` is a negative status of the contract; `message` is cut at 1,024 bytes.
    pub fn new(code: i32, message: impl AsRef<str>) -> Self {
        Self { code, message: cut(message.as_ref(), MESSAGE_MAX).into() }
    }

    /// The end of a task that was stopped before it ended by itself.
    pub fn cancelled() -> Self {
        Self::new(Self::CANCELLED, "stopped")
    }

    pub(super) fn panicked(message: &str) -> Self {
        Self::new(Self::PANIC, format!("panicked: {message}"))
    }

    pub fn code(&self) -> i32 {
        self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn is_cancelled(&self) -> bool {
        self.code == Self::CANCELLED
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TaskError {}

/// Why the tree didn't take a node or an attribute. What was handed over with it has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a task of this name is already there")]
    Conflict,
    #[error("the limit of {0} is reached")]
    Limit(&'static str),
    #[error("the parent is stopping")]
    Stopping,
}

/// The longest prefix of `text` that has at most `max` bytes.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
