//! AMF0, as much of it as RTMP commands need.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Array(Vec<Self>),
    Boolean(bool),
    Null,
    Number(f64),
    Object(Vec<(String, Self)>),
    String(String),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::String(text.to_owned())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A property of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Writes values one after another.
pub fn write(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        write_value(value, &mut out);
    }
    out
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(0);
            out.extend(number.to_be_bytes());
        }
        Value::Boolean(value) => out.extend([1, u8::from(*value)]),
        Value::String(text) => {
            out.push(2);
            write_text(text, out);
        }
        Value::Object(fields) => {
            out.push(3);
            for (key, value) in fields {
                write_text(key, out);
                write_value(value, out);
            }
            out.extend([0, 0, 9]);
        }
        Value::Null => out.push(5),
        Value::Array(values) => {
            out.push(10);
            out.extend(u32::try_from(values.len()).expect("a short array").to_be_bytes());
            values.iter().for_each(|value| write_value(value, out));
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend(text.as_bytes());
}

/// Reads all values; `None` if the bytes are not AMF0.
pub fn read(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(read_value(&mut bytes)?);
    }
    Some(values)
}

fn read_value(bytes: &mut &[u8]) -> Option<Value> {
    let [marker] = take(bytes)?;
    Some(match marker {
        0 => Value::Number(f64::from_be_bytes(take(bytes)?)),
        1 => Value::Boolean(take::<1>(bytes)? != [0]),
        2 => Value::String(read_text(bytes)?),
        3 => Value::Object(read_fields(bytes)?),
        5 | 6 => Value::Null,
        8 => {
            take::<4>(bytes)?;
            Value::Object(read_fields(bytes)?)
        }
        10 => {
            let count = u32::from_be_bytes(take(bytes)?);
            Value::Array((0..count).map(|_| read_value(bytes)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn read_fields(bytes: &mut &[u8]) -> Option<Vec<(String, Value)>> {
    let mut fields = Vec::new();
    loop {
        let key = read_text(bytes)?;
        if key.is_empty() && bytes.first() == Some(&9) {
            take::<1>(bytes)?;
            return Some(fields);
        }
        fields.push((key, read_value(bytes)?));
    }
}

fn read_text(bytes: &mut &[u8]) -> Option<String> {
    let len = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let values = vec![
            Value::text("connect"),
            Value::Number(1.0),
            Value::Object(vec![
                ("app".to_owned(), Value::text("live")),
                ("fourCcList".to_owned(), Value::Array(vec![Value::text("hvc1")])),
                ("fpad".to_owned(), Value::Boolean(false)),
            ]),
            Value::Null,
        ];

        assert_eq!(read(&write(&values)).unwrap(), values);
        assert_eq!(read(&write(&values)[..20]), None);
    }
}
