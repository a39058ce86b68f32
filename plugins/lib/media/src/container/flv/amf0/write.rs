//! [`Value`] → bytes.

use super::{Value, marker};

/// Appends `value` to `out`.
///
/// Strings of more than 65 535 bytes take the long form. A property name has no long form: one
/// beyond 65 535 bytes is cut at the last whole character before.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            out.extend(number.to_be_bytes());
        }
        Value::Boolean(value) => out.extend([marker::BOOLEAN, u8::from(*value)]),
        Value::String(text) => write_string(text, out),
        Value::Object(properties) => {
            out.push(marker::OBJECT);
            write_properties(properties, out);
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::EcmaArray(properties) => {
            out.push(marker::ECMA_ARRAY);
            out.extend(count(properties.len()).to_be_bytes());
            write_properties(properties, out);
        }
        Value::StrictArray(values) => {
            out.push(marker::STRICT_ARRAY);
            let count = count(values.len());
            out.extend(count.to_be_bytes());
            values.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).for_each(|value| {
                write(value, out);
            });
        }
        Value::Date { millis, zone } => {
            out.push(marker::DATE);
            out.extend(millis.to_be_bytes());
            out.extend(zone.to_be_bytes());
        }
    }
}

fn write_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        write_name(name, out);
        write(value, out);
    }
    out.extend([0, 0, marker::OBJECT_END]);
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    let name = name.get(..name.floor_char_boundary(usize::from(u16::MAX))).unwrap_or_default();
    out.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(name.as_bytes());
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.push(marker::STRING);
        out.extend(length.to_be_bytes());
        out.extend(text.as_bytes());
    } else {
        let text = text.get(..text.floor_char_boundary(STRING_WRITE_MAX)).unwrap_or_default();
        out.push(marker::LONG_STRING);
        out.extend(count(text.len()).to_be_bytes());
        out.extend(text.as_bytes());
    }
}

/// What the 32-bit length of a long string can say (section 1.3.2).
const STRING_WRITE_MAX: usize = u32::MAX as usize;

/// A count as the wire has it: four bytes.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
