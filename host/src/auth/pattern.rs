//! Patterns of stream keys: `*` stands for one part, `**` for any number of them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::text_in_config;

/// Why a text is not a pattern of stream keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("a stream pattern may not be empty: write \"**\" for every stream")]
    Empty,
    #[error("\"{0}\" has an empty part: a stream key has no leading, trailing or doubled slash")]
    EmptyPart(String),
    #[error("\"{0}\" has parts after \"**\", which may only stand at the end")]
    RestInTheMiddle(String),
}

/// `live/*` is one part below `live`; `live/**` everything below it; `cam*` what begins with `cam`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPattern(String);

impl StreamPattern {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-stream-pattern";

    /// Whether a stream key, without slashes at its ends, fits the pattern. Case counts.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        let mut parts = key.split('/');
        for pattern in self.0.split('/') {
            if pattern == "**" {
                return parts.next().is_some();
            }
            if !parts.next().is_some_and(|part| part_matches(pattern, part)) {
                return false;
            }
        }
        parts.next().is_none()
    }
}

/// Goes back to the last `*` only, so the time is bounded by the product of the two lengths.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(mut part) = part.strip_prefix(first) else { return false };
    let Some((middles, last)) = rest.rsplit_once('*') else { return part.ends_with(rest) };
    for middle in middles.split('*') {
        let Some(at) = part.find(middle) else { return false };
        part = part.get(at + middle.len()..).unwrap_or_default();
    }
    part.ends_with(last)
}

impl Default for StreamPattern {
    fn default() -> Self {
        Self("**".to_owned())
    }
}

impl FromStr for StreamPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.split('/').any(str::is_empty) {
            return Err(Error::EmptyPart(text.to_owned()));
        }
        if text.split('/').rev().skip(1).any(|part| part == "**") {
            return Err(Error::RestInTheMiddle(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StreamPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_in_config!(StreamPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_whole_parts() {
        for (pattern, key, fits) in [
            ("**", "live/a", true),
            ("**", "live/a/b", true),
            ("live/**", "live/a", true),
            ("live/**", "live/a/b", true),
            ("live/**", "live", false),
            ("live/**", "lives/a", false),
            ("live/*", "live/a", true),
            ("live/*", "live/a/b", false),
            ("*/a", "live/a", true),
            ("live/a", "live/a", true),
            ("live/a", "live/A", false),
            ("live/a", "live/a/b", false),
            ("live/cam*", "live/cam12", true),
            ("live/cam*", "live/cam", true),
            ("live/*cam", "live/xcam", true),
            ("live/a*b*c", "live/aXbYc", true),
            ("live/a*b*c", "live/acb", false),
            ("live/a*a", "live/a", false),
            ("live/ä*", "live/äö", true),
        ] {
            let pattern: StreamPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(key), fits, "{pattern} {key}");
        }
    }

    #[test]
    fn refuses_what_could_never_fit() {
        for text in ["", "/live", "live/", "a//b", "**/a"] {
            assert!(text.parse::<StreamPattern>().is_err(), "{text}");
        }
    }
}
