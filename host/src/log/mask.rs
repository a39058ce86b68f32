//! Takes secrets out of text before it reaches a log, the API, metrics or a crash report.
//!
//! Hidden are the user-info of URLs (`rtsp://admin:pass@camera/`) and the values of arguments that
//! carry a key (`live/a?key=…`). The text may be a URL or a sentence with URLs in it.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Names of secrets; also as the last part of a name: `stream_key`, `X-Auth-Token`, `wsSecret`.
const NAMES: [&str; 8] =
    ["key", "token", "secret", "password", "passwd", "pwd", "signature", "credential"];

/// Names of secrets only when they are the whole name; `heading` and `compass` are none.
const WHOLE_NAMES: [&str; 5] = ["pass", "auth", "sign", "sig", "authorization"];

/// Whether the value of an argument, header or config key of this name is a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if WHOLE_NAMES.contains(&lower.as_str()) {
        return true;
    }
    NAMES.iter().any(|secret| {
        let Some(before) = lower.strip_suffix(secret) else { return false };
        let first = name.as_bytes().get(before.len());
        before.is_empty()
            || before.ends_with(['_', '-', '.'])
            || first.is_some_and(u8::is_ascii_uppercase)
    })
}

/// Masks user-info and secret arguments in a URL, or in any text that has URLs in it.
#[must_use]
pub fn url(text: &str) -> Cow<'_, str> {
    mask(text, ArgumentsBegin::AtSeparator)
}

/// Masks secret arguments in what follows the `?` of a URL: `key=1&x=2`.
#[must_use]
pub fn query(text: &str) -> Cow<'_, str> {
    mask(text, ArgumentsBegin::AtStart)
}

#[derive(Clone, Copy, PartialEq)]
enum ArgumentsBegin {
    AtSeparator,
    AtStart,
}

fn mask(text: &str, begin: ArgumentsBegin) -> Cow<'_, str> {
    let mut hidden = Vec::new();
    if text.contains("://") {
        find_user_info(text, &mut hidden);
    }
    if text.contains('=') {
        find_arguments(text, begin, &mut hidden);
    }
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    hidden.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut masked = String::with_capacity(text.len());
    let mut position = 0;
    for range in hidden {
        // A range inside one that is already hidden, such as a `?` within a password.
        if range.start < position {
            continue;
        }
        masked.push_str(text.get(position..range.start).unwrap_or_default());
        masked.push_str(MASK);
        position = range.end;
    }
    masked.push_str(text.get(position..).unwrap_or_default());
    Cow::Owned(masked)
}

fn find_user_info(text: &str, hidden: &mut Vec<Range<usize>>) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = text.get(start..).unwrap_or_default();
        let token = rest.get(..rest.find(ends_token).unwrap_or(rest.len())).unwrap_or_default();
        let authority = token.split(['/', '?', '#']).next().unwrap_or_default();
        // Camera passwords often hold an unescaped `/`, `?` or `#`. Then what looks like a port is no
        // number, and the user-info reaches to the `@` further on.
        let user_info = match authority.rfind('@') {
            Some(end) => Some(end),
            None if has_port_that_is_no_number(authority) => token.rfind('@'),
            None => None,
        };
        if let Some(end) = user_info {
            hidden.push(start..start + end);
        }
    }
}

fn has_port_that_is_no_number(authority: &str) -> bool {
    if authority.starts_with('[') {
        return false;
    }
    authority.split_once(':').is_some_and(|(_, port)| !port.bytes().all(|b| b.is_ascii_digit()))
}

fn find_arguments(text: &str, begin: ArgumentsBegin, hidden: &mut Vec<Range<usize>>) {
    for (equals, _) in text.match_indices('=') {
        let before = text.get(..equals).unwrap_or_default();
        let name_start = match before.rfind(|c: char| is_separator(c) || ends_token(c)) {
            Some(at) if before.get(at..).is_some_and(|name| name.starts_with(is_separator)) => {
                at + 1
            }
            None if begin == ArgumentsBegin::AtStart => 0,
            _ => continue,
        };
        let name = percent_decoded(before.get(name_start..).unwrap_or_default());
        if !is_secret(&name) {
            continue;
        }
        let start = equals + 1;
        let value = text.get(start..).unwrap_or_default();
        let length = value.find(|c| matches!(c, '&' | '#') || ends_token(c)).unwrap_or(value.len());
        if length > 0 {
            hidden.push(start..start + length);
        }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '?' | '&' | '#' | ';')
}

/// What ends a URL within a sentence.
fn ends_token(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// `k%65y` is `key` to the server that reads it.
fn percent_decoded(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| after.split_at_checked(2))
            .flatten()
            .and_then(|(hex, after)| Some((std::str::from_utf8(hex).ok()?, after)))
            .and_then(|(hex, after)| Some((u8::from_str_radix(hex, 16).ok()?, after)));
        let (byte, after) = escaped.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_secrets_in_urls() {
        for (text, masked) in [
            ("rtmp://h/live/a", "rtmp://h/live/a"),
            ("rtmp://h:1935/live/a?x=1", "rtmp://h:1935/live/a?x=1"),
            ("rtmp://h/live/a?key=MARK", "rtmp://h/live/a?key=***"),
            ("rtmp://h/live/a?key=MARK&x=1", "rtmp://h/live/a?key=***&x=1"),
            ("a?x=1&KEY=MARK#f", "a?x=1&KEY=***#f"),
            ("a?wsSecret=MARK&wsTime=5", "a?wsSecret=***&wsTime=5"),
            ("a?k%65y=MARK", "a?k%65y=***"),
            ("a?access_token=MARK;y=1", "a?access_token=***"),
            ("a#access_token=MARK", "a#access_token=***"),
            ("a?key=", "a?key="),
            ("a?monkey=banana", "a?monkey=banana"),
            ("rtsp://admin:MARK@cam/1", "rtsp://***@cam/1"),
            ("rtsp://MARK@cam/1", "rtsp://***@cam/1"),
            ("rtsp://admin:MARK@MARK@cam/1", "rtsp://***@cam/1"),
            ("rtsp://admin:MA/RK@cam/1", "rtsp://***@cam/1"),
            ("rtsp://admin:MA?x=RK#@cam/1", "rtsp://***@cam/1"),
            ("http://h/?mail=a@b.c", "http://h/?mail=a@b.c"),
            ("http://[::1]:80/?mail=a@b.c", "http://[::1]:80/?mail=a@b.c"),
        ] {
            assert_eq!(url(text), masked, "{text}");
        }
    }

    #[test]
    fn masks_secrets_within_a_sentence() {
        let text = "pull of rtsp://a:MARK@cam/1 failed, then \"x?token=MARK\" was refused";

        let masked = url(text);

        assert_eq!(masked, "pull of rtsp://***@cam/1 failed, then \"x?token=***\" was refused");
    }

    #[test]
    fn masks_a_bare_query() {
        assert_eq!(query("key=MARK&x=1"), "key=***&x=1");
        assert_eq!(url("key=stream"), "key=stream");
    }

    #[test]
    fn borrows_when_there_is_nothing_to_hide() {
        assert!(matches!(url("http://h/a?b=c"), Cow::Borrowed(_)));
    }

    #[test]
    fn knows_the_names_of_secrets() {
        for name in ["key", "Token", "stream_key", "X-Auth-Token", "wsSecret", "authorization"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["keyframe", "monkey", "compass", "heading", "key_frame_wait"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
