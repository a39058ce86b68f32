//! Checks a value against a JSON Schema and says what is wrong in words for people.

use std::fmt::Display;
use std::str::FromStr;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use plugin_api::units::{ByteSize, HumanDuration, OptionalDuration};
use serde_json::Value;

use super::address::{Cidr, Listen};
use super::key::{Key, Step};
use super::memory::MemoryLimit;
use super::schema::{Node, nearest};
use crate::auth::pattern::StreamPattern;
use crate::log::mask;

/// Longer values are cut in messages.
const SHOWN_CHARS_MAX: usize = 60;

/// Says why a text does not fit.
type FormatCheck = fn(&str) -> Result<(), String>;

/// The formats of schemas that the host knows, and what says why a text does not fit.
const FORMATS: [(&str, FormatCheck); 7] = [
    (ByteSize::FORMAT, parses_as::<ByteSize>),
    (Cidr::FORMAT, parses_as::<Cidr>),
    (HumanDuration::FORMAT, parses_as::<HumanDuration>),
    (Listen::FORMAT, parses_as::<Listen>),
    (MemoryLimit::FORMAT, memory_limit),
    (OptionalDuration::FORMAT, parses_as::<OptionalDuration>),
    (StreamPattern::FORMAT, parses_as::<StreamPattern>),
];

/// `memory.limit` is the only value of its kind, and its text is its own.
fn memory_limit(text: &str) -> Result<(), String> {
    match text.parse::<MemoryLimit>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("\"{text}\" is no limit: write \"75%\", \"4GiB\" or \"off\"")),
    }
}

fn parses_as<T: FromStr<Err: Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

/// Something that does not fit its schema.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) key: Key,
    /// Whether the key itself is wrong, or its value.
    pub(super) about: About,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum About {
    Key,
    Value,
}

/// A schema that is ready to check values.
pub(super) struct Checker<'a> {
    schema: &'a Value,
    validator: Validator,
}

impl<'a> Checker<'a> {
    /// # Errors
    ///
    /// When the schema itself is wrong, with the reason. References to other documents are wrong, too.
    pub(super) fn new(schema: &'a Value) -> Result<Self, String> {
        let mut options =
            jsonschema::draft202012::options().should_validate_formats(true).offline();
        for (name, check) in FORMATS {
            options = options.with_format(name, move |text: &str| check(text).is_ok());
        }
        let validator = options.build(schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator })
    }

    /// Everything that is wrong with a value; keys are relative to it.
    pub(super) fn check(&self, value: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.explain(&error, value, &mut findings);
        }
        // A text that breaks both a format and its pattern is one mistake.
        let mut unique: Vec<Finding> = Vec::new();
        for finding in findings {
            if !unique.contains(&finding) {
                unique.push(finding);
            }
        }
        unique
    }

    fn explain(&self, error: &ValidationError<'_>, root: &Value, findings: &mut Vec<Finding>) {
        let (key, value) = locate(error.instance_path().as_str(), root);
        let node = Node::root(self.schema).at(&key);
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = node.map(Node::properties).unwrap_or_default();
                findings.extend(unexpected.iter().map(|name| unknown_key(&key, name, &known)));
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let problem = format!("the key \"{name}\" is missing");
                findings.push(Finding { key, about: About::Key, problem, hint: None });
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context }
                if node.is_none_or(|node| node.choices().is_empty()) =>
            {
                // The alternative that was meant is the one whose outermost type fits.
                let at = error.instance_path();
                let wrong_type = |error: &ValidationError<'_>| {
                    error.instance_path() == at && matches!(error.kind(), Kind::Type { .. })
                };
                let mut fitting = context.iter().filter(|errors| !errors.iter().any(wrong_type));
                match (fitting.next(), fitting.next()) {
                    (Some(errors), None) => {
                        for error in errors {
                            self.explain(error, root, findings);
                        }
                    }
                    _ => findings.push(wrong_value(key, value, node, error)),
                }
            }
            _ => findings.push(wrong_value(key, value, node, error)),
        }
    }
}

/// An unknown key and the known one that was perhaps meant.
pub(super) fn unknown_key(section: &Key, name: &str, known: &[&str]) -> Finding {
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean \"{near}\"?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", known.join(", "))),
    };
    Finding { key: section.name(name), about: About::Key, problem: "unknown key".to_owned(), hint }
}

fn wrong_value(
    key: Key,
    value: &Value,
    node: Option<Node<'_>>,
    error: &ValidationError<'_>,
) -> Finding {
    let (problem, hint) = describe(&key, value, node, error);
    Finding { key, about: About::Value, problem, hint }
}

fn describe(
    key: &Key,
    value: &Value,
    node: Option<Node<'_>>,
    error: &ValidationError<'_>,
) -> (String, Option<String>) {
    let fallback = || (error.masked_with("the value").to_string(), None);
    let Some(node) = node else { return fallback() };
    let secret = key.is_secret() || node.is_write_only();
    let choices = node.choices();
    if !choices.is_empty() {
        let written = value.as_str().unwrap_or_default();
        let hint = nearest(written, choices.iter().copied());
        return (
            format!("{} is not one of {}", shown(value, secret), choices.join(", ")),
            hint.map(|choice| format!("did you mean \"{choice}\"?")),
        );
    }
    if let (Some(text), Some(format)) = (value.as_str(), node.format())
        && let Some((_, check)) = FORMATS.into_iter().find(|(name, _)| *name == format)
        && let Err(problem) = check(text)
    {
        return if secret { fallback() } else { (mask::url(&problem).into_owned(), None) };
    }
    let kinds = node.kinds();
    match error.kind() {
        Kind::Type { .. } | Kind::AnyOf { .. } | Kind::OneOfNotValid { .. }
            if !kinds.is_empty() && !has_kind(value, &kinds) =>
        {
            // A number where a text belongs: `key: 1234`.
            let unquoted = value.is_number() || value.is_boolean();
            let hint = match node.format() {
                Some(f) if f == HumanDuration::FORMAT || f == OptionalDuration::FORMAT => {
                    Some(format!("write \"{}s\" for seconds", shown(value, secret)))
                        .filter(|_| value.is_number())
                }
                _ if unquoted && kinds.contains(&"string") => {
                    Some("put it in quotation marks".to_owned())
                }
                _ => None,
            };
            (format!("{} where {} belongs", shown(value, secret), named(&kinds)), hint)
        }
        Kind::Minimum { .. } | Kind::Maximum { .. } => {
            let range = match node.range() {
                (Some(low), Some(high)) => format!("has to be from {low} to {high}"),
                (Some(low), None) => format!("has to be at least {low}"),
                (None, Some(high)) => format!("has to be at most {high}"),
                (None, None) => return fallback(),
            };
            (format!("{} {range}", shown(value, secret)), None)
        }
        _ => fallback(),
    }
}

fn shown(value: &Value, secret: bool) -> String {
    let text = match value {
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "a section".to_owned(),
        Value::String(_) if secret => return format!("\"{}\"", mask::MASK),
        _ if secret => return mask::MASK.to_owned(),
        Value::String(text) => format!("{:?}", mask::url(text)),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn has_kind(value: &Value, kinds: &[&str]) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => return kinds.contains(&"integer") || kinds.contains(&"number"),
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    kinds.contains(&kind)
}

/// JSON types in words.
fn named(kinds: &[&str]) -> String {
    let names = kinds.iter().filter(|kind| **kind != "null").map(|kind| match *kind {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "a section with keys",
        _ => "a text",
    });
    names.collect::<Vec<_>>().join(" or ")
}

/// The key for a JSON pointer, and the value there.
fn locate<'v>(pointer: &str, root: &'v Value) -> (Key, &'v Value) {
    let mut key = Key::default();
    let mut here = root;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        (key, here) = match here {
            Value::Array(items) => {
                let index = step.parse().unwrap_or(usize::MAX);
                (key.index(index), items.get(index).unwrap_or(&Value::Null))
            }
            _ => (key.name(&step), here.get(&step).unwrap_or(&Value::Null)),
        };
    }
    (key, here)
}

/// The value at a key.
pub(super) fn value_at<'v>(root: &'v Value, key: &Key) -> Option<&'v Value> {
    key.steps().iter().try_fold(root, |value, step| match step {
        Step::Index(index) => value.get(index),
        Step::Name(name) => value.get(name),
    })
}
