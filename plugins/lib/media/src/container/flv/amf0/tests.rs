//! Every type there and back, what real encoders send, and every refusal.

use super::*;
use crate::testing::{bytes, each_truncation};

fn object(properties: &[(&str, Value)]) -> Vec<(String, Value)> {
    properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

#[test]
fn reads_and_writes_every_type() {
    let cases: &[(&str, &str, Value)] = &[
        ("number", "00 3ff0000000000000", Value::Number(1.0)),
        ("boolean", "01 01", Value::Boolean(true)),
        ("string", "02 0004 6c697665", "live".into()),
        ("empty string", "02 0000", "".into()),
        (
            "object",
            "03 0003 617070 02 0004 6c697665  0000 09",
            Value::Object(object(&[("app", "live".into())])),
        ),
        ("null", "05", Value::Null),
        ("undefined", "06", Value::Undefined),
        (
            "ECMA array",
            "08 00000001 0005 7769647468 00 4094000000000000  0000 09",
            Value::EcmaArray(object(&[("width", 1280.0.into())])),
        ),
        (
            "strict array",
            "0a 00000002 05 01 00",
            Value::StrictArray(vec![Value::Null, false.into()]),
        ),
        ("date", "0b 4059000000000000 ffc4", Value::Date { millis: 100.0, zone: -60 }),
        (
            "property without a name",
            "03 0000 05  0000 09",
            Value::Object(object(&[("", Value::Null)])),
        ),
    ];
    for (name, hex, value) in cases {
        let sample = bytes(hex);

        let mut input = sample.as_slice();
        assert_eq!(parse(&mut input).as_ref(), Ok(value), "{name}");
        assert!(input.is_empty(), "{name}");
        assert_eq!(written(value), sample, "{name}");
    }
}

#[test]
fn reads_what_is_not_written_back_alike() {
    let cases: &[(&str, &str, Value)] = &[
        ("long string", "0c 00000001 61", "a".into()),
        ("typed object", "10 0001 58  0001 61 05  0000 09", {
            Value::Object(object(&[("a", Value::Null)]))
        }),
        (
            "ECMA array with a count of 0",
            "08 00000000 0001 61 05  0000 09",
            Value::EcmaArray(object(&[("a", Value::Null)])),
        ),
        (
            "ECMA array with a count of 4 billion",
            "08 ffffffff 0001 61 05  0000 09",
            Value::EcmaArray(object(&[("a", Value::Null)])),
        ),
        (
            "ECMA array that ends with the input",
            "08 00000001 0001 61 05",
            Value::EcmaArray(object(&[("a", Value::Null)])),
        ),
        ("GBK text", "02 0002 d6d0", "\u{fffd}\u{fffd}".into()),
        ("boolean of 2", "01 02", Value::Boolean(true)),
    ];
    for (name, hex, value) in cases {
        assert_eq!(parse(&mut bytes(hex).as_slice()).as_ref(), Ok(value), "{name}");
    }
}

/// A `connect` command with the properties that ffmpeg's RTMP client sends.
const CONNECT: &str = "02 0007 636f6e6e656374  00 3ff0000000000000
    03 0003 617070 02 0004 6c697665
       0004 74797065 02 000a 6e6f6e70726976617465
       0008 666c617368566572 02 0024
            464d4c452f332e302028636f6d70617469626c653b204c61766635392e32372e31303029
       0005 746355726c 02 0015 72746d703a2f2f3132372e302e302e312f6c697665
    0000 09";

#[test]
fn reads_a_connect_command() {
    let values = parse_all(&bytes(CONNECT)).unwrap();

    assert_eq!(values.len(), 3);
    assert_eq!(values[0].as_str(), Some("connect"));
    assert_eq!(values[1].as_f64(), Some(1.0));
    assert_eq!(values[2].get("app").and_then(Value::as_str), Some("live"));
    assert_eq!(values[2].get("tcUrl").and_then(Value::as_str), Some("rtmp://127.0.0.1/live"));
    assert_eq!(values[2].get("fpad").and_then(Value::as_bool), None);
}

#[test]
fn leaves_the_rest_of_the_input() {
    let sample = bytes("05 01 01");
    let mut input = sample.as_slice();

    assert_eq!(parse(&mut input), Ok(Value::Null));
    assert_eq!(input, &[1, 1]);
}

#[test]
fn refuses_malformed_values() {
    let cases: &[(&str, &str, Error)] = &[
        ("nothing", "", Error::Truncated { offset: 0, expected: "marker" }),
        ("object end alone", "09", Error::UnknownMarker { marker: 9, offset: 0 }),
        ("no such marker", "12", Error::UnknownMarker { marker: 0x12, offset: 0 }),
        ("reference", "07 0000", Error::Unsupported { name: "reference", offset: 0 }),
        ("AMF3", "11 01", Error::Unsupported { name: "AMF3 value", offset: 0 }),
        ("long string beyond the limit", "0c 00040001", {
            Error::StringTooLong { length: 262_145, offset: 1 }
        }),
        ("object that ends with the input", "03 0001 61 05", {
            Error::Truncated { offset: 5, expected: "length of a string" }
        }),
        ("strict array of 4 billion", "0a ffffffff 05", {
            Error::Truncated { offset: 6, expected: "marker" }
        }),
    ];
    for (name, hex, error) in cases {
        let sample = bytes(hex);
        let mut input = sample.as_slice();

        assert_eq!(parse(&mut input).as_ref(), Err(error), "{name}");
        assert_eq!(input, sample.as_slice(), "{name}: input moved");
    }
}

#[test]
fn refuses_nesting_beyond_the_limit() {
    let nested = |depth| bytes("0a 00000001").repeat(depth);

    let mut fits = nested(DEPTH_MAX);
    fits.push(5);
    assert!(parse(&mut fits.as_slice()).is_ok());

    let deep = nested(100_000);
    let offset = (DEPTH_MAX + 1) * 5;
    assert_eq!(parse(&mut deep.as_slice()), Err(Error::TooDeep { offset }));
}

#[test]
fn refuses_more_values_than_the_limit() {
    let nulls = vec![5; ELEMENTS_MAX];
    assert_eq!(parse_all(&nulls).map(|values| values.len()), Ok(ELEMENTS_MAX));

    let nulls = vec![5; ELEMENTS_MAX + 1];
    assert_eq!(parse_all(&nulls), Err(Error::TooManyElements { offset: ELEMENTS_MAX }));
}

#[test]
fn refuses_every_truncation_of_a_value() {
    let values = parse_all(&bytes(CONNECT)).unwrap();
    for value in &values {
        each_truncation(&written(value), |cut| {
            assert!(parse(&mut &*cut).is_err(), "{value:?} cut to {} bytes", cut.len());
        });
    }
}

#[test]
fn writes_long_strings_and_cuts_long_names() {
    let long = "é".repeat(40_000);
    let value = Value::Object(object(&[(&long, long.as_str().into())]));

    let Ok(Value::Object(properties)) = parse(&mut written(&value).as_slice()) else {
        panic!("not an object");
    };

    assert_eq!(properties[0].0, "é".repeat(32_767));
    assert_eq!(properties[0].1.as_str(), Some(long.as_str()));
}
