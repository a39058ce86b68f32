//! Durations and sizes as people write them in a config: `10s`, `500ms`, `off`, `16MiB`.
//!
//! A plugin uses these types in its config, so that every section of the file reads alike. Each carries
//! a JSON Schema with a `format` that the host knows: a bad value is reported with the text of
//! [`Error`], before the plugin is started.

mod bytes;
mod duration;
mod number;
#[cfg(test)]
mod tests;

pub use bytes::ByteSize;
pub use duration::{HumanDuration, OptionalDuration};

/// Why a text is not a duration or a size. The text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a number followed by a unit.
    #[error("\"{0}\" is not a duration: write a number and ms, s, m, h or d, such as \"10s\"")]
    NotADuration(String),
    /// A number alone: seconds to one reader, milliseconds to the next.
    #[error("\"{0}\" has no unit: write \"{0}s\" for seconds or \"{0}ms\" for milliseconds")]
    NoUnit(String),
    /// More than [`HumanDuration::MAX`].
    #[error("\"{0}\" is longer than 366 days, the longest duration")]
    TooLong(String),
    /// The text is not a number followed by a unit.
    #[error("\"{0}\" is not a size: write bytes, or a number and KiB, MiB, GiB (or kB, MB, GB)")]
    NotASize(String),
    /// `M` is a million to one reader and 1,048,576 to the next.
    #[error(
        "\"{0}\" is ambiguous: write \"{0}iB\" for powers of 1024 or \"{0}B\" for powers of 1000"
    )]
    AmbiguousUnit(String),
    /// More than 2^63 - 1, the largest integer that every config format can carry.
    #[error("\"{0}\" is more than the largest size, 8 EiB")]
    TooBig(String),
}
