//! One line of the log, from the host's `tracing` events or from a plugin, and its two written forms.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::Level;

use super::mask;

/// One line before it is written. Secrets are masked when it is written, not when it is made.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    pub time: SystemTime,
    pub level: Level,
    /// Whose line it is: a module of the host, or the name of a plugin instance.
    pub target: &'a str,
    /// The stable name that scripts match on: `stream.start`.
    pub event: Option<&'a str>,
    /// The sentence for people; may be empty.
    pub message: &'a str,
    /// In the order in which they were given.
    pub fields: Vec<(&'a str, Value)>,
}

impl Line<'_> {
    /// `2026-05-22T17:06:12.345Z INFO  rtmp stream.start: first stream key=live/a`, without line end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(160);
        // Writing to a String cannot fail.
        let _ = write!(out, "{} {:<5} {}", Timestamp(self.time), self.level, Plain(self.target));
        if let Some(event) = self.event {
            let _ = write!(out, " {}", Plain(event));
        }
        if !self.message.is_empty() {
            let _ = write!(out, ": {}", Plain(&mask::url(self.message)));
        }
        for (name, value) in &self.fields {
            match masked(name, value) {
                Value::String(text) => {
                    let _ = write!(out, " {}={}", Plain(name), Quoted(&text));
                }
                other => {
                    let _ = write!(out, " {}={other}", Plain(name));
                }
            }
        }
        out
    }

    /// The key of the stream that it is about.
    pub(super) fn stream(&self) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == "key")?.1.as_str()
    }

    /// One JSON object: `time`, `level`, `target`, `event`, `message`, then the fields. A field that
    /// has one of these names is written with `field.` before it.
    #[must_use]
    pub fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), Timestamp(self.time).to_string().into());
        object.insert("level".to_owned(), self.level.as_str().into());
        object.insert("target".to_owned(), self.target.into());
        if let Some(event) = self.event {
            object.insert("event".to_owned(), event.into());
        }
        if !self.message.is_empty() {
            object.insert("message".to_owned(), mask::url(self.message).into());
        }
        for (name, value) in &self.fields {
            let taken = matches!(*name, "time" | "level" | "target" | "event" | "message");
            let name_written = if taken { format!("field.{name}") } else { (*name).to_owned() };
            object.insert(name_written, masked(name, value));
        }
        Value::Object(object).to_string()
    }
}

/// In a log line `key` is the stream's key, which is a name and no secret.
fn masked(name: &str, value: &Value) -> Value {
    if name != "key" && name != "stream_key" && mask::is_secret(name) {
        return mask::MASK.into();
    }
    match value {
        Value::String(text) => mask::url(text).into(),
        Value::Array(items) => items.iter().map(|item| masked("", item)).collect(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| (name.clone(), masked(name, value)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// Control characters escaped: a peer's name must not be able to write a line of its own.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// Quotation marks only where the value would not end by itself.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '"';
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// RFC 3339 in UTC with milliseconds. Allocates nothing.
pub(crate) struct Timestamp(pub(crate) SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let secs = since.as_secs();
        let (year, month, day) = date(secs / 86_400);
        let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
        let millis = since.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The same for names of files: `20260522T170612.345Z`. They sort by time. Allocates nothing.
pub(crate) struct Compact(pub(crate) SystemTime);

impl fmt::Display for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let secs = since.as_secs();
        let (year, month, day) = date(secs / 86_400);
        let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
        let millis = since.subsec_millis();
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
    }
}

/// Days since 1970-01-01 as year, month, day. A year is counted from March here, so that the leap day
/// is its last one; 719,468 is the number of days from 0000-03-01 to 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line() -> Line<'static> {
        Line {
            time: UNIX_EPOCH + Duration::from_millis(1_709_210_096_789),
            level: Level::INFO,
            target: "rtmp",
            event: Some("stream.start"),
            message: "from rtmp://h/a?key=MARK",
            fields: vec![
                ("key", "live/a".into()),
                ("fps", 25.into()),
                ("agent", "a \"b\"\nc".into()),
                ("token", "MARK".into()),
                ("url", "rtsp://u:MARK@h/".into()),
            ],
        }
    }

    #[test]
    fn writes_text() {
        assert_eq!(
            line().text(),
            "2024-02-29T12:34:56.789Z INFO  rtmp stream.start: from rtmp://h/a?key=*** key=live/a \
             fps=25 agent=\"a \\\"b\\\"\\nc\" token=*** url=rtsp://***@h/"
        );
    }

    #[test]
    fn writes_json() {
        let json: Value = serde_json::from_str(&line().json()).unwrap();

        assert_eq!(json["time"], "2024-02-29T12:34:56.789Z");
        assert_eq!(json["event"], "stream.start");
        assert_eq!(json["fps"], 25);
        assert!(!json.to_string().contains("MARK"), "{json}");
    }

    #[test]
    fn a_field_does_not_hide_the_level() {
        let mut line = line();
        line.fields = vec![("level", 3.into())];

        let json: Value = serde_json::from_str(&line.json()).unwrap();

        assert_eq!(json["level"], "INFO");
        assert_eq!(json["field.level"], 3);
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let mut line = line();
        line.message = "one\ntwo\x1b[31m";

        assert!(line.text().contains(": one\\ntwo\\u{1b}[31m "), "{}", line.text());
    }

    #[test]
    fn counts_days() {
        for (days, expected) in
            [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (47_541, (2100, 3, 1))]
        {
            assert_eq!(date(days), expected, "{days}");
        }
    }
}
