//! AMF0: the values of RTMP commands and of `onMetaData` (Action Message Format 0, Adobe 2007).
//!
//! A value is a marker byte and what the marker says. Three things that peers get wrong are
//! accepted here:
//!
//! - the count of an ECMA array is a hint (section 2.10) and often 0 or wrong: it is ignored;
//! - an ECMA array at the very end may lack its end marker;
//! - a string in an old code page instead of UTF-8 is read with replacement characters, because a
//!   title in GBK is no reason to refuse a stream. Such a string is not written back as it came.

mod read;
mod write;

pub use read::{parse, parse_all};
pub use write::write;

/// How deep objects and arrays nest: 32. Commands use two levels, so deeper input is an attack on
/// the stack and is refused with [`Error::TooDeep`].
pub const DEPTH_MAX: usize = 32;

/// How many values one call reads, nested ones included: 16 384. A value takes up to fifty times
/// the memory of its bytes, so more are refused with [`Error::TooManyElements`]. The largest honest
/// input is the keyframe index of a recorded file, two numbers a keyframe.
pub const ELEMENTS_MAX: usize = 16_384;

/// How long one string is: 256 KiB. Longer ones are refused with [`Error::StringTooLong`].
pub const STRING_MAX: usize = 256 * 1024;

/// Type markers (AMF0, section 2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const MOVIE_CLIP: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const RECORD_SET: u8 = 0x0e;
    pub(super) const XML_DOCUMENT: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVM_PLUS: u8 = 0x11;
}

/// One AMF0 value. Properties keep the order of the wire; a name may come twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Section 2.2.
    Number(f64),
    /// Section 2.3.
    Boolean(bool),
    /// Sections 2.4 and 2.14: which of the two forms it came in is not kept.
    String(String),
    /// Sections 2.5 and 2.18: the class name of a typed object is not kept.
    Object(Vec<(String, Self)>),
    /// Section 2.7.
    Null,
    /// Section 2.8.
    Undefined,
    /// Section 2.10: an object that says how many properties it has.
    EcmaArray(Vec<(String, Self)>),
    /// Section 2.12.
    StrictArray(Vec<Self>),
    /// Section 2.13.
    Date {
        /// Milliseconds since 1970-01-01, UTC.
        millis: f64,
        /// Reserved by the specification; should be zero.
        zone: i16,
    },
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The first property of that name, of an object or ECMA array.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => {
                properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// The bytes are not AMF0, or more than this reader takes. `offset` counts from the first byte
/// that was given to the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input ends inside a value.
    #[error("input ends at byte {offset} inside {expected}")]
    Truncated {
        /// Where the missing field begins.
        offset: usize,
        /// The field that is not whole.
        expected: &'static str,
    },

    /// A marker that the specification does not define, or an end without an object.
    #[error("marker {marker:#04x} at byte {offset} begins no value (AMF0, section 2.1)")]
    UnknownMarker {
        /// The byte found.
        marker: u8,
        /// Where it is.
        offset: usize,
    },

    /// A type that no RTMP peer needs.
    #[error("{name} at byte {offset} is not supported (AMF0, section 2.1)")]
    Unsupported {
        /// The type as the specification calls it.
        name: &'static str,
        /// Where its marker is.
        offset: usize,
    },

    /// Nested deeper than [`DEPTH_MAX`].
    #[error("values nest deeper than {DEPTH_MAX} at byte {offset}")]
    TooDeep {
        /// Where the first value beyond the limit begins.
        offset: usize,
    },

    /// More values than [`ELEMENTS_MAX`].
    #[error("more than {ELEMENTS_MAX} values at byte {offset}")]
    TooManyElements {
        /// Where the first value beyond the limit begins.
        offset: usize,
    },

    /// A string longer than [`STRING_MAX`].
    #[error("string of {length} bytes at byte {offset} exceeds the limit of {STRING_MAX}")]
    StringTooLong {
        /// The length that the input announces.
        length: usize,
        /// Where the length is.
        offset: usize,
    },
}

#[cfg(test)]
mod tests;
