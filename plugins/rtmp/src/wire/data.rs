//! Data messages: metadata, and events of a publisher for its viewers (RTMP 1.0, section 7.1.2).
//!
//! socket → chunk_reader → message → **data** → session → ingest → host
//!
//! A data message is AMF0 values: a handler name and its arguments. To have the server keep the
//! message and give it to later viewers, a publisher puts `@setDataFrame` in front; viewers get the
//! rest. rtmp2sink and librtmp in GStreamer send it again with each change of a tag, many times.

use media::container::flv::amf0::{self, Value};

use super::error::{AmfProblem, Error};

const SET_DATA_FRAME: &str = "@setDataFrame";
const CLEAR_DATA_FRAME: &str = "@clearDataFrame";
const ON_META_DATA: &str = "onMetaData";

/// What a data message says. `amf0` is what viewers get: name and arguments, `@setDataFrame`
/// removed.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<'a> {
    /// What is in the stream, such as width, height and encoder.
    Metadata { properties: Vec<(String, Value)>, amf0: &'a [u8] },
    /// Forget the kept message with that handler name.
    Clear { name: String },
    /// Everything else: captions, cue points, time codes. `is_kept` says that it had @setDataFrame.
    Event { name: String, amf0: &'a [u8], is_kept: bool },
}

impl<'a> Data<'a> {
    /// Parses the payload of a data message; `offset` is the message's, for the error. The
    /// arguments of an [`Data::Event`] are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] for bytes that are no AMF0 or do not begin with a name.
    pub fn parse(payload: &'a [u8], offset: u64) -> Result<Self, Error> {
        Self::parse_values(payload).map_err(|problem| Error::Data { problem, offset })
    }

    fn parse_values(payload: &'a [u8]) -> Result<Self, AmfProblem> {
        let mut rest = payload;
        let first = parse_name(&mut rest)?;
        if first == CLEAR_DATA_FRAME {
            let name = parse_name(&mut rest)?;
            return Ok(Self::Clear { name });
        }
        let is_kept = first == SET_DATA_FRAME;
        let (name, amf0) = match is_kept {
            true => {
                let amf0 = rest;
                (parse_name(&mut rest)?, amf0)
            }
            false => (first, payload),
        };
        if name != ON_META_DATA {
            return Ok(Self::Event { name, amf0, is_kept });
        }
        match amf0::parse(&mut rest)? {
            Value::Object(properties) | Value::EcmaArray(properties) => {
                Ok(Self::Metadata { properties, amf0 })
            }
            _ => Err(AmfProblem::Missing { expected: "an object of metadata" }),
        }
    }
}

/// What a publisher sends so that `amf0`, a name and its arguments, is kept by the server.
pub fn set_data_frame(amf0: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(amf0.len() + 16);
    amf0::write(&Value::from(SET_DATA_FRAME), &mut payload);
    payload.extend_from_slice(amf0);
    payload
}

fn parse_name(input: &mut &[u8]) -> Result<String, AmfProblem> {
    match amf0::parse(input)? {
        Value::String(name) => Ok(name),
        _ => Err(AmfProblem::Missing { expected: "a handler name" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(values: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| amf0::write(value, &mut bytes));
        bytes
    }

    #[test]
    fn unwraps_set_data_frame() {
        let properties = vec![("width".to_owned(), Value::Number(64.0))];
        let inner = encode(&["onMetaData".into(), Value::EcmaArray(properties.clone())]);

        let wrapped = set_data_frame(&inner);

        let expected = Data::Metadata { properties, amf0: &inner };
        assert_eq!(Data::parse(&wrapped, 0), Ok(expected.clone()));
        assert_eq!(Data::parse(&inner, 0), Ok(expected));
    }

    #[test]
    fn hands_on_events_unparsed() {
        // 0x11 switches to AMF3, which the AMF0 parser refuses.
        let mut event = encode(&["onTextData".into()]);
        event.push(0x11);

        let parsed = Data::parse(&event, 0);

        let name = "onTextData".to_owned();
        assert_eq!(parsed, Ok(Data::Event { name, amf0: &event, is_kept: false }));
    }

    #[test]
    fn names_what_is_to_be_cleared() {
        let clear = encode(&["@clearDataFrame".into(), "onMetaData".into()]);

        assert_eq!(Data::parse(&clear, 0), Ok(Data::Clear { name: "onMetaData".to_owned() }));
    }

    #[test]
    fn rejects_what_has_no_name() {
        for values in [
            vec![],
            vec![Value::Null],
            vec!["@setDataFrame".into()],
            vec!["onMetaData".into(), 1.0.into()],
        ] {
            let error = Data::parse(&encode(&values), 77).expect_err("no name");
            assert!(matches!(error, Error::Data { offset: 77, .. }), "{values:?}: {error}");
        }
    }
}
