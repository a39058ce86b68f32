//! Bytes → [`Value`].

use super::{DEPTH_MAX, ELEMENTS_MAX, Error, STRING_MAX, Value, marker};
use crate::bits::ByteReader;

/// Parses one value and moves `input` behind it.
///
/// # Errors
///
/// When the input is cut short, malformed or beyond a limit; `input` has not moved then.
pub fn parse(input: &mut &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(input);
    let value = reader.value(0)?;
    *input = reader.bytes.rest();
    Ok(value)
}

/// Parses values until the input ends, as in a command message.
///
/// # Errors
///
/// As [`parse`]. [`ELEMENTS_MAX`] counts over the whole input.
pub fn parse_all(input: &[u8]) -> Result<Vec<Value>, Error> {
    let mut reader = Reader::new(input);
    let mut values = Vec::new();
    while !reader.bytes.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    bytes: ByteReader<'a>,
    /// Values that may still be read.
    elements_left: usize,
}

impl<'a> Reader<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self { bytes: ByteReader::new(input), elements_left: ELEMENTS_MAX }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let offset = self.bytes.offset();
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep { offset });
        }
        self.elements_left =
            self.elements_left.checked_sub(1).ok_or(Error::TooManyElements { offset })?;
        let marker = self.need("marker", ByteReader::u8)?;
        match marker {
            marker::NUMBER => Ok(Value::Number(self.need("number", ByteReader::f64)?)),
            marker::BOOLEAN => Ok(Value::Boolean(self.need("boolean", ByteReader::u8)? != 0)),
            marker::STRING => Ok(Value::String(self.short_string()?)),
            marker::OBJECT => Ok(Value::Object(self.properties(depth, OpenEnd::Refused)?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::ECMA_ARRAY => {
                self.need("count of an ECMA array", ByteReader::u32)?;
                Ok(Value::EcmaArray(self.properties(depth, OpenEnd::Accepted)?))
            }
            marker::STRICT_ARRAY => self.strict_array(depth),
            marker::DATE => {
                let millis = self.need("date", ByteReader::f64)?;
                let zone = self.need("time zone of a date", ByteReader::array)?;
                Ok(Value::Date { millis, zone: i16::from_be_bytes(zone) })
            }
            marker::LONG_STRING => Ok(Value::String(self.long_string()?)),
            marker::TYPED_OBJECT => {
                self.short_string()?;
                Ok(Value::Object(self.properties(depth, OpenEnd::Refused)?))
            }
            marker::MOVIE_CLIP => Err(Error::Unsupported { name: "movie clip", offset }),
            marker::REFERENCE => Err(Error::Unsupported { name: "reference", offset }),
            marker::UNSUPPORTED => Err(Error::Unsupported { name: "unsupported", offset }),
            marker::RECORD_SET => Err(Error::Unsupported { name: "record set", offset }),
            marker::XML_DOCUMENT => Err(Error::Unsupported { name: "XML document", offset }),
            marker::AVM_PLUS => Err(Error::Unsupported { name: "AMF3 value", offset }),
            _ => Err(Error::UnknownMarker { marker, offset }),
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Error> {
        let count = self.need("count of a strict array", ByteReader::u32)?;
        // The count is not trusted with memory: the array grows as values really come.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }

    /// Names and values up to the end marker, which is an empty name and `OBJECT_END`
    /// (section 2.11).
    fn properties(
        &mut self,
        depth: usize,
        open_end: OpenEnd,
    ) -> Result<Vec<(String, Value)>, Error> {
        let mut properties = Vec::new();
        loop {
            if self.bytes.is_empty() && open_end == OpenEnd::Accepted {
                return Ok(properties);
            }
            let name = self.short_string()?;
            if name.is_empty() && self.bytes.peek() == Some(marker::OBJECT_END) {
                self.bytes.u8();
                return Ok(properties);
            }
            let value = self.value(depth + 1)?;
            properties.push((name, value));
        }
    }

    /// Section 1.3.1: 16-bit length.
    fn short_string(&mut self) -> Result<String, Error> {
        let length = self.need("length of a string", ByteReader::u16)?;
        self.text(usize::from(length))
    }

    /// Section 1.3.2: 32-bit length.
    fn long_string(&mut self) -> Result<String, Error> {
        let offset = self.bytes.offset();
        let length = self.need("length of a long string", ByteReader::u32)?;
        match usize::try_from(length) {
            Ok(length) if length <= STRING_MAX => self.text(length),
            length => Err(Error::StringTooLong { length: length.unwrap_or(usize::MAX), offset }),
        }
    }

    fn text(&mut self, length: usize) -> Result<String, Error> {
        let bytes = self.need("string", |bytes| bytes.take(length))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn need<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&mut ByteReader<'a>) -> Option<T>,
    ) -> Result<T, Error> {
        let offset = self.bytes.offset();
        read(&mut self.bytes).ok_or(Error::Truncated { offset, expected })
    }
}

/// Whether the end of the input also ends the properties.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenEnd {
    Accepted,
    Refused,
}
