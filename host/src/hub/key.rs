//! Stream keys: what a peer asked for, as text, becomes the one name of a stream.
//!
//! The only place that does so: plugins, API and config all come through [`parse`] or [`StreamKey::new`]. In order: what
//! follows the first `?` is arguments; the rest is percent-decoded once; doubled, leading and trailing slashes are
//! dropped; what remains is checked. So `%2F` separates segments, and `%252e` is a name, not a dot.

use std::fmt;
use std::sync::Arc;

use crate::log::mask;

/// Longest key, after decoding.
pub const KEY_BYTES_MAX: usize = 255;

/// Longest address with its arguments, before decoding. Signed URLs take some hundred bytes.
pub const URL_BYTES_MAX: usize = 4096;

/// Arguments in one address; what is beyond is refused, since no signature scheme needs as many.
const ARGS_MAX: usize = 64;

/// The name of a stream: `app/name`, more segments allowed. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(Arc<str>);

impl StreamKey {
    /// A key from text that is not percent-encoded, as in config files.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let mut key = String::with_capacity(text.len().min(KEY_BYTES_MAX));
        let mut segments = 0;
        for segment in text.split('/').filter(|segment| !segment.is_empty()) {
            if segment == "." || segment == ".." {
                return Err(KeyError::DotSegment);
            }
            if segment.chars().any(char::is_control) {
                return Err(KeyError::Control);
            }
            if segments > 0 {
                key.push('/');
            }
            key.push_str(segment);
            segments += 1;
            if key.len() > KEY_BYTES_MAX {
                return Err(KeyError::TooLong);
            }
        }
        match segments {
            0 => Err(KeyError::Empty),
            1 => Err(KeyError::NoName),
            _ => Ok(Self(key.into())),
        }
    }

    /// The text, not encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a URL, percent-encoded but for its slashes; [`parse`] reads it back.
    pub fn in_url(&self) -> String {
        use fmt::Write as _;

        let mut text = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            // Unreserved characters (RFC 3986, section 2.3).
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                text.push(byte.into());
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }

    /// The first segment.
    pub fn app(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(app, _)| app)
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({:?})", &*self.0)
    }
}

impl serde::Serialize for StreamKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What followed the `?`, decoded once, in order. `+` stays a plus: keys are often base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Names and values in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(text: &str) -> Result<Self, KeyError> {
        let mut args = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if args.len() == ARGS_MAX {
                return Err(KeyError::TooManyArguments);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            args.push((percent_decode(name)?, percent_decode(value)?));
        }
        Ok(Self(args))
    }
}

impl fmt::Debug for Args {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| (name, if mask::is_secret(name) { "***" } else { value });
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

/// Why an address names no stream. The texts are shown to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("control characters are not allowed in a stream key")]
    Control,
    #[error("the segments `.` and `..` are not allowed in a stream key")]
    DotSegment,
    #[error("the stream key is empty, it has to be app/name")]
    Empty,
    #[error("a percent sign is not followed by two hexadecimal digits")]
    Escape,
    #[error("the stream name is missing, the stream key has to be app/name")]
    NoName,
    #[error("the stream key or an argument is not UTF-8")]
    NotUtf8,
    #[error(
        "the stream key is longer than {KEY_BYTES_MAX} bytes, or the whole address than {URL_BYTES_MAX}"
    )]
    TooLong,
    #[error("more than {ARGS_MAX} arguments")]
    TooManyArguments,
}

/// Parses `app/name?arguments` as it stood on the wire.
pub fn parse(url: &str) -> Result<(StreamKey, Args), KeyError> {
    if url.len() > URL_BYTES_MAX {
        return Err(KeyError::TooLong);
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let key = StreamKey::new(&percent_decode(path)?)?;
    Ok((key, Args::parse(query)?))
}

fn percent_decode(text: &str) -> Result<String, KeyError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (&[high, low], after) = after.split_first_chunk::<2>().ok_or(KeyError::Escape)?;
        bytes.push(hex_digit(high)? << 4 | hex_digit(low)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| KeyError::NotUtf8)
}

fn hex_digit(byte: u8) -> Result<u8, KeyError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(KeyError::Escape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_cleans() {
        let long = format!("live/{}", "a".repeat(250));
        let cases = [
            ("live/cam1", "live/cam1"),
            ("/live/cam1/", "live/cam1"),
            ("//live///cam1//", "live/cam1"),
            ("live/a/b/c", "live/a/b/c"),
            ("Live/Cam", "Live/Cam"),
            ("live%2Fcam1", "live/cam1"),
            ("live/%e6%91%84%E5%83%8F", "live/摄像"),
            ("live/摄像", "live/摄像"),
            ("live/a%20b+c", "live/a b+c"),
            ("live/%252e%252e", "live/%2e%2e"),
            ("live/what%3Fkey=1", "live/what?key=1"),
            ("live/...", "live/..."),
            ("live/.hidden", "live/.hidden"),
            ("live/a#b", "live/a#b"),
            (&long, &long),
        ];
        for (url, expected) in cases {
            let (key, args) = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(key.as_str(), expected, "{url}");
            assert!(args.is_empty(), "{url}");
        }
    }

    #[test]
    fn stands_in_urls() {
        let cases = [
            ("live/cam-1", "live/cam-1"),
            ("live/100% <b>?a#b", "live/100%25%20%3Cb%3E%3Fa%23b"),
            ("live/摄像", "live/%E6%91%84%E5%83%8F"),
        ];
        for (text, expected) in cases {
            let key = StreamKey::new(text).unwrap();
            assert_eq!(key.in_url(), expected);
            assert_eq!(parse(expected).unwrap().0, key);
        }
    }

    #[test]
    fn refuses() {
        let long = format!("live/{}", "a".repeat(251));
        let long_after_decoding = format!("live/{}", "%c3%bc".repeat(126));
        let endless = format!("live/a?key={}", "x".repeat(URL_BYTES_MAX));
        let many = format!("live/a?{}", "a=1&".repeat(ARGS_MAX + 1));
        let cases = [
            ("", KeyError::Empty),
            ("/", KeyError::Empty),
            ("?key=1", KeyError::Empty),
            ("live", KeyError::NoName),
            ("live/", KeyError::NoName),
            ("live/?key=1", KeyError::NoName),
            ("live/%2F", KeyError::NoName),
            ("live/..", KeyError::DotSegment),
            ("live/./a", KeyError::DotSegment),
            ("../live/a", KeyError::DotSegment),
            ("live/%2e%2e/a", KeyError::DotSegment),
            ("live/..%2fa", KeyError::DotSegment),
            ("live/a\0b", KeyError::Control),
            ("live/a%00b", KeyError::Control),
            ("live/a%0d%0aX: y", KeyError::Control),
            ("live/a\u{7f}", KeyError::Control),
            ("live/a\u{85}b", KeyError::Control),
            ("live/a%", KeyError::Escape),
            ("live/a%2", KeyError::Escape),
            ("live/a%+1", KeyError::Escape),
            ("live/a%zz", KeyError::Escape),
            ("live/%ff", KeyError::NotUtf8),
            ("live/%c3", KeyError::NotUtf8),
            ("live/%c0%af", KeyError::NotUtf8),
            ("live/a?key=%ff", KeyError::NotUtf8),
            ("live/a?key=%f", KeyError::Escape),
            (&long, KeyError::TooLong),
            (&long_after_decoding, KeyError::TooLong),
            (&endless, KeyError::TooLong),
            (&many, KeyError::TooManyArguments),
        ];
        for (url, expected) in cases {
            assert_eq!(parse(url).expect_err(url), expected, "{url}");
        }
    }

    #[test]
    fn arguments_are_decoded_once_and_keep_a_plus() {
        let (key, args) = parse("live/a?key=a%2Bb+c%3D%26&flag&=x&key=second?&n=%2525").unwrap();

        assert_eq!(key.as_str(), "live/a");
        assert_eq!(args.get("key"), Some("a+b+c=&"));
        assert_eq!(args.get("flag"), Some(""));
        assert_eq!(args.get("n"), Some("%25"));
        assert_eq!(args.get("absent"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let (_, args) = parse("live/a?Key=marker1&token=marker2&user=joe").unwrap();

        let shown = format!("{args:?}");

        assert!(!shown.contains("marker"), "{shown}");
        assert!(shown.contains("joe"), "{shown}");
    }

    #[test]
    fn the_app_is_the_first_segment() {
        assert_eq!(StreamKey::new("live/a/b").unwrap().app(), "live");
    }
}
