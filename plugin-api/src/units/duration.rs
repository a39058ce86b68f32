//! `10s`, `500ms`, `1m30s`, and `off` where a time may be switched off.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Error, number};

/// Longest first, as [`fmt::Display`] tries them. In microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A time with its unit: `10s`, `500ms`, `2m`, `1h`, `1m30s`. At most 366 days, in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

impl HumanDuration {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-duration";
    /// The longest duration, far from where adding it to a clock could overflow.
    pub const MAX: Duration = Duration::from_secs(366 * 86_400);

    /// A duration of whole seconds, for defaults.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A duration of milliseconds, for defaults.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The duration as the rest of the program uses it.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<HumanDuration> for Duration {
    fn from(value: HumanDuration) -> Self {
        value.0
    }
}

impl FromStr for HumanDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_a_duration = || Error::NotADuration(text.to_owned());
        let mut rest = text.trim();
        if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::NoUnit(rest.to_owned()));
        }
        let mut total: u64 = 0;
        loop {
            let (number, after) = number::split(rest).ok_or_else(not_a_duration)?;
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let &(_, micros) =
                UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_a_duration)?;
            total = number
                .times(micros)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| Error::TooLong(text.to_owned()))?;
            if after.is_empty() {
                break;
            }
            rest = after;
        }
        let duration = Duration::from_micros(total);
        if duration > Self::MAX {
            return Err(Error::TooLong(text.to_owned()));
        }
        Ok(Self(duration))
    }
}

/// Writes the longest unit that divides the duration: `90s`, not `1m30s`, and `1h`, not `3600s`.
impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let unit = UNITS.iter().find(|(_, unit)| micros.is_multiple_of(u128::from(*unit)));
        match unit {
            Some((name, unit)) if micros > 0 => write!(f, "{}{name}", micros / u128::from(*unit)),
            _ => f.write_str("0s"),
        }
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "pattern": r"^\s*([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+\s*$",
        })
    }
}

/// A [`HumanDuration`], or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OptionalDuration(Option<HumanDuration>);

impl OptionalDuration {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-duration-or-off";
    /// Written `off`.
    pub const OFF: Self = Self(None);

    /// A duration of whole seconds, for defaults.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Some(HumanDuration::from_secs(secs)))
    }

    /// `None` when off.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        self.0.map(HumanDuration::get)
    }
}

impl FromStr for OptionalDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.trim() == "off" { Ok(Self::OFF) } else { Ok(Self(Some(text.parse()?))) }
    }
}

impl fmt::Display for OptionalDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => duration.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Serialize for OptionalDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OptionalDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for OptionalDuration {
    fn schema_name() -> Cow<'static, str> {
        "OptionalDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "pattern": r"^\s*(off|([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+)\s*$",
        })
    }
}
