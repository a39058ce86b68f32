//! Reads YAML and remembers where each key and value stands.
//!
//! Values and places come from one pass over one parser's events, so they cannot disagree. Anchors,
//! aliases and tags are refused: nothing in a config needs them, and an alias has no single place.

use std::collections::BTreeMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use super::key::Key;

/// Deeper nesting is refused: the reader calls itself for each level.
const DEPTH_MAX: usize = 64;

/// A place in the file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// Where a key and its value begin; an item of a list has only a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) key: Place,
    pub(super) value: Place,
}

/// Something that the file may not contain, though it can be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) problem: String,
}

/// A file that could be read.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Always a mapping. A key without value is left out.
    pub(super) root: Map<String, Value>,
    pub(super) places: BTreeMap<Key, Places>,
    /// The keys without value.
    pub(super) blank: Vec<Key>,
    pub(super) faults: Vec<Fault>,
}

/// Why nothing can be read.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) place: Place,
    pub(super) problem: String,
}

impl From<ScanError> for SyntaxError {
    fn from(error: ScanError) -> Self {
        Self { place: (*error.marker()).into(), problem: error.info().to_owned() }
    }
}

/// Reads a whole file.
pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let (root, document) = read(text)?;
    match root {
        Value::Object(root) => Ok(Document { root, ..document }),
        Value::Null => Ok(document),
        _ => Err(SyntaxError {
            place: Place { line: 1, column: 1 },
            problem: "the file has to consist of keys and values (`http:` …)".to_owned(),
        }),
    }
}

/// Reads one value, as it stands in an environment variable: `5`, `true`, `[a, b]`. `None` when it is not
/// one value.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    let (value, document) = read(text).ok()?;
    document.faults.is_empty().then_some(value)
}

fn read(text: &str) -> Result<(Value, Document), SyntaxError> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), document: Document::default(), depth: 0 };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            _ if root.is_some() => {
                let problem = "a second document begins here; a config is one".to_owned();
                return Err(SyntaxError { place: span.start.into(), problem });
            }
            event => root = Some(reader.node(event, span, &Key::default())?),
        }
    }
    Ok((root.unwrap_or_default(), reader.document))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    document: Document,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, ScanError> {
        self.parser.next().transpose()
    }

    fn fault(&mut self, key: &Key, at: Span, problem: impl Into<String>) {
        let fault = Fault { key: key.clone(), place: at.start.into(), problem: problem.into() };
        self.document.faults.push(fault);
    }

    fn node(&mut self, event: Event<'a>, span: Span, key: &Key) -> Result<Value, SyntaxError> {
        if self.depth > DEPTH_MAX {
            let problem = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(SyntaxError { place: span.start.into(), problem });
        }
        self.depth += 1;
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                match Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()) {
                    Some(scalar) => value_of(&scalar),
                    None => {
                        self.fault(key, span, "the tag does not fit the value; leave it out");
                        Value::Null
                    }
                }
            }
            Event::SequenceStart(..) => self.sequence(key)?,
            Event::MappingStart(..) => self.mapping(key)?,
            Event::Alias(_) => {
                self.fault(key, span, "aliases (`*name`) are not supported; write the value out");
                Value::Null
            }
            _ => Value::Null,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn sequence(&mut self, key: &Key) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            let key = key.index(items.len());
            let place = span.start.into();
            self.document.places.insert(key.clone(), Places { key: place, value: place });
            items.push(self.node(event, span, &key)?);
        }
        Ok(Value::Array(items))
    }

    fn mapping(&mut self, key: &Key) -> Result<Value, SyntaxError> {
        let mut entries = Map::new();
        let mut seen = BTreeMap::new();
        while let Some((event, name_span)) = self.next()? {
            let name = match event {
                Event::MappingEnd => break,
                Event::Scalar(name, ..) => name.into_owned(),
                event => {
                    self.fault(key, name_span, "a key has to be a single word");
                    let discarded = Key::names(["?"]);
                    self.node(event, name_span, &discarded)?;
                    let Some((event, span)) = self.next()? else { break };
                    self.node(event, span, &discarded)?;
                    continue;
                }
            };
            let Some((event, span)) = self.next()? else { break };
            let key = key.name(&name);
            let place: Place = name_span.start.into();
            if let Some(first) = seen.insert(name.clone(), place.line) {
                self.fault(&key, name_span, format!("written twice, first in line {first}"));
            }
            let places = Places { key: place, value: span.start.into() };
            self.document.places.insert(key.clone(), places);
            let value = self.node(event, span, &key)?;
            if value.is_null() {
                self.document.blank.push(key);
            } else {
                entries.insert(name, value);
            }
        }
        Ok(Value::Object(entries))
    }
}

fn value_of(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => (*value).into(),
        Scalar::Integer(value) => (*value).into(),
        // Infinity has no JSON form; as text it is reported as the wrong type.
        Scalar::FloatingPoint(value) if value.is_finite() => value.into_inner().into(),
        Scalar::FloatingPoint(value) => value.to_string().into(),
        Scalar::String(text) => text.as_ref().into(),
    }
}
