//! `16MiB`, `1GB`, or a plain number of bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Error, number};

/// Largest binary unit first, as [`fmt::Display`] tries them; names in lower case.
const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// A number of bytes: `16MiB`, `1.5GB`, `4096`. Units are read in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-size";
    /// The largest size, which every config format can carry as an integer.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// A size in bytes, for defaults.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of whole KiB, for defaults.
    #[must_use]
    pub const fn from_kib(kib: u32) -> Self {
        Self((kib as u64) << 10)
    }

    /// A size of whole MiB, for defaults.
    #[must_use]
    pub const fn from_mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The size for buffers; on a 32-bit machine capped to what can be addressed.
    #[must_use]
    pub fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let (number, unit) =
            number::split(trimmed).ok_or_else(|| Error::NotASize(text.to_owned()))?;
        let unit = unit.trim_start().to_ascii_lowercase();
        if matches!(unit.as_str(), "k" | "m" | "g" | "t") {
            return Err(Error::AmbiguousUnit(trimmed.to_owned()));
        }
        let factor = if unit.is_empty() {
            1
        } else {
            let found = UNITS.iter().find(|(name, _)| *name == unit);
            found.map(|&(_, factor)| factor).ok_or_else(|| Error::NotASize(text.to_owned()))?
        };
        match number.times(factor).map(Self) {
            Some(size) if size <= Self::MAX => Ok(size),
            _ => Err(Error::TooBig(text.to_owned())),
        }
    }
}

/// Writes the largest binary unit that divides the size, and plain bytes when none does.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, name) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{name}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"16MiB\", or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Some(ByteSize(bytes))
                    .filter(|size| *size <= ByteSize::MAX)
                    .ok_or_else(|| E::custom(Error::TooBig(bytes.to_string())))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes)
                    .map(ByteSize)
                    .map_err(|_| E::custom(Error::NotASize(bytes.to_string())))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": Self::FORMAT,
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT][iI]?)?[bB]?\s*$",
            "minimum": 0,
        })
    }
}
