//! AMF0, as much of it as a client's commands need.
//!
//! Written apart from the server's own, so that the two do not share mistakes.

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Boolean(bool),
    Null,
    Number(f64),
    Object(Vec<(&'static str, Self)>),
    String(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

pub(crate) fn write(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| write_value(value, &mut out));
    out
}

/// Markers: AMF0, 2.1.
fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(0);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(value) => out.extend_from_slice(&[1, u8::from(*value)]),
        Value::String(text) => {
            out.push(2);
            write_text(text, out);
        }
        Value::Object(properties) => {
            out.push(3);
            for (name, value) in properties {
                write_text(name, out);
                write_value(value, out);
            }
            out.extend_from_slice(&[0, 0, 9]);
        }
        Value::Null => out.push(5),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Longer texts than 64 KiB are of another type; names and URLs never are.
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
}

/// What a client looks at in an answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reply {
    pub name: String,
    pub transaction: f64,
    /// The last number after the transaction: the stream id in the answer to createStream.
    pub number: Option<f64>,
    /// `level` and `code` of the information object.
    pub level: String,
    pub code: String,
}

impl Reply {
    /// `None` for bytes that are no AMF0 command.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut reply = Self::default();
        let Scalar::Text(name) = skip(&mut bytes, &mut reply)? else { return None };
        reply.name = name;
        let Scalar::Number(transaction) = skip(&mut bytes, &mut reply)? else { return None };
        reply.transaction = transaction;
        while !bytes.is_empty() {
            if let Scalar::Number(number) = skip(&mut bytes, &mut reply)? {
                reply.number = Some(number);
            }
        }
        Some(reply)
    }
}

enum Scalar {
    Number(f64),
    Other,
    Text(String),
}

/// Reads one value; keeps what an information object says.
fn skip(bytes: &mut &[u8], reply: &mut Reply) -> Option<Scalar> {
    let [marker] = take::<1>(bytes)?;
    Some(match marker {
        0 => Scalar::Number(f64::from_be_bytes(take(bytes)?)),
        1 => {
            take::<1>(bytes)?;
            Scalar::Other
        }
        2 => Scalar::Text(take_text(bytes)?),
        3 => {
            skip_properties(bytes, reply)?;
            Scalar::Other
        }
        8 => {
            take::<4>(bytes)?;
            skip_properties(bytes, reply)?;
            Scalar::Other
        }
        5 | 6 => Scalar::Other,
        _ => return None,
    })
}

fn skip_properties(bytes: &mut &[u8], reply: &mut Reply) -> Option<()> {
    loop {
        let name = take_text(bytes)?;
        if name.is_empty() && bytes.first() == Some(&9) {
            take::<1>(bytes)?;
            return Some(());
        }
        if let Scalar::Text(text) = skip(bytes, reply)? {
            match name.as_str() {
                "level" => reply.level = text,
                "code" => reply.code = text,
                _ => {}
            }
        }
    }
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let len = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(String::from_utf8_lossy(text).into_owned())
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
    fn reads_the_answers_of_servers() {
        let created =
            write(&["_result".into(), Value::Number(2.0), Value::Null, Value::Number(1.0)]);
        let status = Value::Object(vec![
            ("level", "status".into()),
            ("code", "NetStream.Play.Start".into()),
            ("isFastPlay", Value::Boolean(false)),
        ]);
        let started = write(&["onStatus".into(), Value::Number(0.0), Value::Null, status]);

        let created = Reply::parse(&created).unwrap();
        let started = Reply::parse(&started).unwrap();

        assert_eq!((created.name.as_str(), created.transaction), ("_result", 2.0));
        assert_eq!(created.number, Some(1.0));
        assert_eq!(
            (started.name.as_str(), started.code.as_str()),
            ("onStatus", "NetStream.Play.Start")
        );
        assert_eq!(started.level, "status");
    }

    #[test]
    fn refuses_cut_bytes() {
        let whole =
            write(&["_result".into(), Value::Number(1.0), Value::Object(vec![("a", Value::Null)])]);
        for len in [0, 1, 5, 10, 15, whole.len() - 1] {
            assert_eq!(Reply::parse(&whole[..len]), None, "{len} bytes");
        }
    }
}
