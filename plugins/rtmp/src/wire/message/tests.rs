//! Messages by type: control messages both ways, AMF3 forms, aggregates.

use super::super::testing::{bytes, read_all};
use super::*;

fn message(type_id: u8) -> Message<()> {
    Message { type_id, chunk_stream: 2, stream_id: 0, timestamp: 1000, payload: (), offset: 5000 }
}

const CONTROLS: [(Control, u8, &str); 13] = [
    (Control::SetChunkSize(4096), 1, "00001000"),
    (Control::Abort { chunk_stream: 6 }, 2, "00000006"),
    (Control::Acknowledgement(0xffff_ffff), 3, "ffffffff"),
    (Control::User(UserControl::StreamBegin(1)), 4, "0000 00000001"),
    (Control::User(UserControl::StreamEof(1)), 4, "0001 00000001"),
    (Control::User(UserControl::StreamDry(1)), 4, "0002 00000001"),
    (
        Control::User(UserControl::SetBufferLength { stream_id: 1, buffer_ms: 3000 }),
        4,
        "0003 00000001 00000bb8",
    ),
    (Control::User(UserControl::StreamIsRecorded(1)), 4, "0004 00000001"),
    (Control::User(UserControl::PingRequest(1234)), 4, "0006 000004d2"),
    (Control::User(UserControl::PingResponse(1234)), 4, "0007 000004d2"),
    (Control::User(UserControl::Other(31)), 4, "001f"),
    (Control::WindowAckSize(2_500_000), 5, "002625a0"),
    (
        Control::SetPeerBandwidth { window: 2_500_000, limit: BandwidthLimit::Dynamic },
        6,
        "002625a0 02",
    ),
];

#[test]
fn writes_and_parses_every_control_message() {
    for (control, type_id, hex) in CONTROLS {
        let mut output = Vec::new();
        control.write(&ChunkWriter::default(), &mut output);

        let messages = read_all(&output).expect("our own");

        assert_eq!((messages[0].type_id, &messages[0].payload), (type_id, &bytes(hex)));
        assert_eq!(parse(&messages[0], &messages[0].payload), Ok(Body::Control(control)));
    }
}

#[test]
fn rejects_control_messages_cut_at_every_byte() {
    for (control, type_id, hex) in CONTROLS {
        let whole = bytes(hex);
        for end in 0..whole.len() {
            let parsed = parse(&message(type_id), &whole[..end]);
            if matches!(control, Control::SetPeerBandwidth { .. }) && end == 4 {
                // Without the limit type: Dynamic.
                assert_eq!(parsed, Ok(Body::Control(control)));
            } else {
                let error = parsed.expect_err("cut");
                assert!(matches!(error, Error::MessageTooShort { offset: 5000, .. }), "{error}");
            }
        }
    }
}

#[test]
fn knows_payloads_by_type() {
    let payload = bytes("00 02 0000");
    let amf0 = &payload[1..];
    let cases = [
        (8, Body::Audio(&payload)),
        (9, Body::Video(&payload)),
        (15, Body::Data(amf0)),
        (17, Body::Command(amf0)),
        (18, Body::Data(&payload)),
        (20, Body::Command(&payload)),
        (0, Body::Other),
        (7, Body::Other),
        (16, Body::Other),
        (19, Body::Other),
        (255, Body::Other),
    ];
    for (type_id, body) in cases {
        assert_eq!(parse(&message(type_id), &payload), Ok(body), "type {type_id}");
    }
    assert_eq!(parse(&message(17), amf0), Ok(Body::Command(amf0)), "without the zero");
}

/// Type, time and payload.
type Sub = (u8, u32, Vec<u8>);

fn sub_messages(hex: &str) -> Vec<Result<Sub, Error>> {
    let payload = bytes(hex);
    let Ok(Body::Aggregate(aggregate)) = parse(&message(22), &payload) else { panic!("type 22") };
    aggregate.map(|sub| sub.map(|sub| (sub.type_id, sub.timestamp, sub.payload.to_vec()))).collect()
}

#[test]
fn splits_aggregates_and_shifts_their_time() {
    let hex = "08 000002 000064 00 000000 af01 0000000d
               09 000001 00008c 00 000000 27   0000000c
               08 000000 000050 00 000000      0000000b";

    let expected = [(8, 1000, bytes("af01")), (9, 1040, bytes("27")), (8, 980, vec![])];
    assert_eq!(sub_messages(hex), expected.map(Ok));
}

#[test]
fn accepts_an_aggregate_without_the_last_back_pointer() {
    let sub = "08 000001 ffffff 01 000000 af";

    assert_eq!(sub_messages(sub), [Ok((8, 1000, bytes("af")))]);
    assert_eq!(sub_messages(&format!("{sub} 0000")), [Ok((8, 1000, bytes("af")))]);
    assert_eq!(sub_messages(""), []);
}

#[test]
fn an_aggregate_ends_at_a_cut_sub_message() {
    for cut in ["08", "08 000002 000064 00 0000", "08 000002 000064 00 000000 af"] {
        let first = "08 000001 000064 00 000000 af 0000000c";
        let seen = sub_messages(&format!("{first} {cut}"));
        assert_eq!(seen, [Ok((8, 1000, bytes("af"))), Err(Error::Aggregate { offset: 5000 })]);
    }
}
