//! `memory.limit`: a share, a size, or off.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use plugin_api::units::{self, ByteSize};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::address::text_in_config;

/// How much memory the server may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    Bytes(ByteSize),
    Off,
    /// Of the memory that the process may use: 1 to 100.
    Percent(u8),
}

impl MemoryLimit {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-memory-limit";

    /// The limit in bytes, given what the process may use (the machine's or its control group's memory);
    /// `None` when off.
    #[must_use]
    pub fn bytes(self, usable: u64) -> Option<u64> {
        match self {
            Self::Bytes(size) => Some(size.get()),
            Self::Off => None,
            Self::Percent(percent) => Some(usable / 100 * u64::from(percent)),
        }
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::Percent(75)
    }
}

impl FromStr for MemoryLimit {
    type Err = units::Error;

    fn from_str(text: &str) -> Result<Self, units::Error> {
        let trimmed = text.trim();
        if trimmed == "off" {
            return Ok(Self::Off);
        }
        match trimmed.strip_suffix('%').map(|number| number.parse::<u8>()) {
            Some(Ok(percent @ 1..=100)) => Ok(Self::Percent(percent)),
            Some(_) => Err(units::Error::NotASize(text.to_owned())),
            None => text.parse().map(Self::Bytes),
        }
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::Off => f.write_str("off"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

text_in_config!(MemoryLimit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_shares_sizes_and_off() {
        for (text, bytes) in [
            ("75%", Some(750)),
            ("100%", Some(1000)),
            ("2KiB", Some(2048)),
            ("4096", Some(4096)),
            ("off", None),
        ] {
            let limit: MemoryLimit = text.parse().unwrap();
            assert_eq!(limit.bytes(1000), bytes, "{text}");
        }
        for text in ["0%", "101%", "-1%", "%", "half"] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text}");
        }
    }
}
