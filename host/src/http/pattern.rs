//! Patterns of plugins' routes: `/flv/{key...}`.
//!
//! Paths are matched as they are on the wire, each once: what `%2F` stands for is decided by whoever reads the value.

use std::fmt;

/// Segments of a pattern, and so of a path that is looked at.
const SEGMENTS_MAX: usize = 32;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
}

/// In the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    /// One segment, not empty.
    One(String),
    /// The rest of the path, not empty.
    Rest(String),
}

impl Segment {
    fn parse(text: &str, is_last: bool) -> Option<Self> {
        let Some(name) = text.strip_prefix('{') else {
            return (!text.is_empty() && !text.contains(['{', '}']))
                .then(|| Self::Literal(text.into()));
        };
        let name = name.strip_suffix('}')?;
        let (name, is_rest) = match name.strip_suffix("...") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_name = !name.is_empty()
            && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
        match is_rest {
            _ if !is_name => None,
            true => is_last.then(|| Self::Rest(name.into())),
            false => Some(Self::One(name.into())),
        }
    }

    fn matches_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(own), Self::Literal(other)) => own == other,
            (Self::One(_), Self::One(_)) | (Self::Rest(_), Self::Rest(_)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::One(name) => write!(f, "/{{{name}}}"),
            Segment::Rest(name) => write!(f, "/{{{name}...}}"),
        })
    }
}

/// The values of a path by the names of the pattern, as on the wire.
pub(crate) type Params = Vec<(String, String)>;

impl Pattern {
    /// `None`: it can't be read.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let texts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
        if texts.len() > SEGMENTS_MAX {
            return None;
        }
        let last = texts.len() - 1;
        let segments = texts.iter().enumerate().map(|(n, text)| Segment::parse(text, n == last));
        Some(Self { segments: segments.collect::<Option<_>>()? })
    }

    /// `None`: another path.
    pub(crate) fn matches(&self, path: &str) -> Option<Params> {
        let mut params = Params::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            let text = rest?;
            let (first, after) = match text.split_once('/') {
                Some((first, after)) => (first, Some(after)),
                None => (text, None),
            };
            match segment {
                Segment::Literal(literal) if literal == first => {}
                Segment::Literal(_) => return None,
                Segment::One(name) if !first.is_empty() => {
                    params.push((name.clone(), first.into()))
                }
                Segment::Rest(name) if !text.is_empty() => {
                    params.push((name.clone(), text.into()));
                    return Some(params);
                }
                Segment::One(_) | Segment::Rest(_) => return None,
            }
            rest = after;
        }
        rest.is_none().then_some(params)
    }

    /// Whether it matches the same paths.
    pub(crate) fn matches_like(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(own, other)| own.matches_like(other))
    }

    /// Whether all its paths lie at or below `path`.
    pub(crate) fn is_below(&self, path: &str) -> bool {
        let mut own = self.segments.iter();
        path.trim_start_matches('/')
            .split('/')
            .all(|text| matches!(own.next(), Some(Segment::Literal(literal)) if literal == text))
    }

    /// What is more particular comes first.
    pub(crate) fn cmp_precedence(&self, other: &Self) -> std::cmp::Ordering {
        self.segments.cmp(&other.segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn matches_whole_paths() {
        type Case = (&'static str, &'static str, Option<&'static [(&'static str, &'static str)]>);
        let cases: &[Case] = &[
            ("/flv/{key...}", "/flv/live/a.flv", Some(&[("key", "live/a.flv")])),
            ("/flv/{key...}", "/flv/live%2Fa", Some(&[("key", "live%2Fa")])),
            ("/flv/{key...}", "/flv/", None),
            ("/flv/{key...}", "/flv", None),
            ("/flv/{key...}", "/FLV/live/a", None),
            ("/a/{x}/c", "/a/b/c", Some(&[("x", "b")])),
            ("/a/{x}/c", "/a//c", None),
            ("/a/{x}/c", "/a/b/c/", None),
            ("/a/{x}/c", "/a/b", None),
            ("/a", "/a", Some(&[])),
            ("/a", "/%61", None),
            ("/a", "a", None),
        ];
        for (text, path, expected) in cases {
            let expected: Option<Params> = expected.map(|params| {
                params.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
            });
            assert_eq!(pattern(text).matches(path), expected, "{text} {path}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in ["", "a", "/", "/a/", "//a", "/{}", "/{a...}/b", "/{a-b}", "/a{b}", "/{a"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        assert_eq!(Pattern::parse(&"/a".repeat(SEGMENTS_MAX + 1)), None);
    }

    #[test]
    fn knows_the_same_and_the_more_particular() {
        assert!(pattern("/a/{x}").matches_like(&pattern("/a/{y}")));
        assert!(!pattern("/a/{x}").matches_like(&pattern("/a/{x...}")));
        let mut patterns = [pattern("/a/{x...}"), pattern("/a/{x}"), pattern("/a/b")];
        patterns.sort_by(Pattern::cmp_precedence);
        assert_eq!(patterns, [pattern("/a/b"), pattern("/a/{x}"), pattern("/a/{x...}")]);
        assert!(pattern("/api/v1/x").is_below("/api/v1"));
        assert!(pattern("/api/v1").is_below("/api/v1"));
        assert!(!pattern("/api/v10").is_below("/api/v1"));
        assert!(!pattern("/{x...}").is_below("/api/v1"));
    }
}
