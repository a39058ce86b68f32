//! Commands: what clients send, in the forms that they send it, and what we answer.

use media::container::flv::amf0::Value;

use super::super::chunk_writer::ChunkWriter;
use super::super::error::Error;
use super::super::testing::read_all;
use super::client::{Call, Reply};
use super::response::{Level, Response, Status, code};
use super::*;

fn encode(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| amf0::write(value, &mut bytes));
    bytes
}

fn parse(values: &[Value]) -> Command {
    Command::parse(&encode(values), 0).expect("AMF0")
}

fn object(properties: &[(&str, Value)]) -> Value {
    Value::Object(
        properties.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
    )
}

#[test]
fn parses_every_command() {
    let name = || "cam".to_owned();
    let play = Play { name: name(), start: -2.0, duration: -1.0, reset: true };
    let cases: &[(&str, &[Value], Request)] = &[
        ("releaseStream", &["cam".into()], Request::ReleaseStream { name: name() }),
        ("FCPublish", &["cam".into()], Request::FcPublish { name: name() }),
        ("FCUnpublish", &["cam".into()], Request::FcUnpublish { name: name() }),
        ("FCSubscribe", &["cam".into()], Request::FcSubscribe { name: name() }),
        ("createStream", &[], Request::CreateStream),
        ("deleteStream", &[3.0.into()], Request::DeleteStream { stream_id: Some(3) }),
        ("deleteStream", &["cam".into()], Request::DeleteStream { stream_id: None }),
        ("deleteStream", &[(-1.0).into()], Request::DeleteStream { stream_id: None }),
        ("deleteStream", &[f64::NAN.into()], Request::DeleteStream { stream_id: None }),
        ("closeStream", &[], Request::CloseStream),
        ("getStreamLength", &["cam".into()], Request::GetStreamLength { name: name() }),
        (
            "publish",
            &["cam".into(), "live".into()],
            Request::Publish { name: name(), kind: PublishKind::Live },
        ),
        (
            "publish",
            &["cam".into(), "append".into()],
            Request::Publish { name: name(), kind: PublishKind::Append },
        ),
        (
            "publish",
            &["cam".into(), "record".into()],
            Request::Publish { name: name(), kind: PublishKind::Record },
        ),
        ("publish", &[], Request::Publish { name: String::new(), kind: PublishKind::Live }),
        ("play", &["cam".into()], Request::Play(play.clone())),
        (
            "play",
            &["cam".into(), 5.0.into(), 10.0.into(), 0.0.into()],
            Request::Play(Play { name: name(), start: 5.0, duration: 10.0, reset: false }),
        ),
        (
            "play2",
            &[object(&[("streamName", "cam".into())])],
            Request::Play2 { name: Some(name()) },
        ),
        ("play2", &[], Request::Play2 { name: None }),
        ("pause", &[true.into(), 40.0.into()], Request::Pause { paused: true, position_ms: 40.0 }),
        ("pauseRaw", &[false.into()], Request::Pause { paused: false, position_ms: 0.0 }),
        ("seek", &[40.0.into()], Request::Seek { position_ms: 40.0 }),
        ("receiveAudio", &[false.into()], Request::ReceiveAudio(false)),
        ("receiveVideo", &[true.into()], Request::ReceiveVideo(true)),
        ("_checkbw", &[], Request::CheckBandwidth),
        ("ping", &["x".into()], Request::Unknown { name: "ping".to_owned() }),
    ];
    for (command, arguments, request) in cases {
        let values = [&[Value::from(*command), 4.0.into(), Value::Null], *arguments].concat();
        let expected = Command { transaction: 4.0, request: request.clone() };
        assert_eq!(parse(&values), expected, "{command}");
    }
}

#[test]
fn parses_connect_with_enhanced_capabilities() {
    let command = parse(&[
        "connect".into(),
        1.0.into(),
        object(&[
            ("app", "live?key=1".into()),
            ("tcUrl", "rtmp://host/live?key=1".into()),
            ("flashVer", "FMLE/3.0".into()),
            ("objectEncoding", 3.0.into()),
            ("videoFunction", 1.0.into()),
            ("fourCcList", Value::StrictArray(vec!["av01".into(), 1.0.into(), "hvc1".into()])),
            ("videoFourCcInfoMap", object(&[("*", 4.0.into()), ("hvc1", "no number".into())])),
            ("capsEx", 7.0.into()),
        ]),
    ]);

    let Request::Connect(connect) = command.request else { panic!("{command:?}") };
    let expected = Connect {
        app: "live?key=1".to_owned(),
        tc_url: "rtmp://host/live?key=1".to_owned(),
        flash_ver: "FMLE/3.0".to_owned(),
        object_encoding: 3.0,
        video_function: 1,
        capabilities: Capabilities {
            four_cc_list: vec!["av01".to_owned(), "hvc1".to_owned()],
            video_four_cc_info: vec![("*".to_owned(), 4)],
            audio_four_cc_info: vec![],
            caps_ex: caps_ex::RECONNECT | caps_ex::MULTITRACK | caps_ex::MOD_EX,
        },
        ..Connect::default()
    };
    assert_eq!(*connect, expected);
}

#[test]
fn connect_without_an_object_is_empty() {
    for object in [vec![], vec![Value::Null], vec![Value::from("live")]] {
        let command = parse(&[vec!["connect".into(), 1.0.into()], object].concat());
        assert_eq!(command.request, Request::Connect(Box::default()));
    }
}

#[test]
fn unknown_commands_are_not_looked_into() {
    let mut payload = encode(&["setPeerInfo".into(), Value::Null]);
    payload.extend_from_slice(&[0xff, 0xff]);

    let command = Command::parse(&payload, 0).expect("unknown");

    let request = Request::Unknown { name: "setPeerInfo".to_owned() };
    assert_eq!(command, Command { transaction: 0.0, request });
}

#[test]
fn rejects_what_is_no_command() {
    let known = encode(&["publish".into(), 1.0.into(), Value::Null, "cam".into()]);
    let cases = [
        ("empty", vec![]),
        ("no name", encode(&[1.0.into()])),
        ("not AMF0", vec![0xff]),
        ("an argument cut", known[..known.len() - 1].to_vec()),
    ];
    for (name, payload) in cases {
        let error = Command::parse(&payload, 3073).expect_err(name);
        assert!(matches!(error, Error::Command { offset: 3073, .. }), "{name}: {error}");
    }
}

#[test]
fn ignores_arguments_beyond_the_last() {
    let many = vec![Value::from("x"); ARGUMENTS_MAX + 3];
    let command = parse(&[vec!["FCPublish".into(), 1.0.into()], many].concat());

    assert_eq!(command.request, Request::FcPublish { name: "x".to_owned() });
}

#[test]
fn a_server_understands_the_calls_of_our_client() {
    let connect = Connect {
        app: "live".to_owned(),
        tc_url: "rtmp://host/live".to_owned(),
        flash_ver: "LNX".to_owned(),
        capabilities: Capabilities {
            four_cc_list: vec!["*".to_owned()],
            video_four_cc_info: vec![("av01".to_owned(), 7)],
            audio_four_cc_info: vec![("Opus".to_owned(), 7)],
            caps_ex: caps_ex::MULTITRACK,
        },
        ..Connect::default()
    };
    let name = || "cam?key=1".to_owned();
    let play = Play { name: name(), start: -2000.0, duration: -1.0, reset: true };
    let cases = [
        (Call::Connect(&connect), Request::Connect(Box::new(connect.clone())), 0),
        (Call::ReleaseStream { name: &name() }, Request::ReleaseStream { name: name() }, 0),
        (Call::FcPublish { name: &name() }, Request::FcPublish { name: name() }, 0),
        (Call::FcUnpublish { name: &name() }, Request::FcUnpublish { name: name() }, 0),
        (Call::CreateStream, Request::CreateStream, 0),
        (
            Call::Publish { stream_id: 1, name: &name() },
            Request::Publish { name: name(), kind: PublishKind::Live },
            1,
        ),
        (Call::Play { stream_id: 1, name: &name() }, Request::Play(play), 1),
        (Call::DeleteStream { stream_id: 1 }, Request::DeleteStream { stream_id: Some(1) }, 0),
    ];
    for (call, request, stream_id) in cases {
        let mut output = Vec::new();
        call.write(7.0, &ChunkWriter::default(), &mut output).expect("short");

        let messages = read_all(&output).expect("our own");

        assert_eq!((messages[0].type_id, messages[0].stream_id), (20, stream_id), "{call:?}");
        let command = Command::parse(&messages[0].payload, 0).expect("our own");
        assert_eq!(command, Command { transaction: 7.0, request });
    }
}

/// The message that a response becomes, read by our client.
fn reply(response: Response<'_>) -> (u32, Reply) {
    let mut output = Vec::new();
    response.write(&ChunkWriter::default(), &mut output).expect("short");
    let messages = read_all(&output).expect("our own");
    assert_eq!(messages[0].type_id, 20);
    (messages[0].stream_id, Reply::parse(&messages[0].payload, 0).expect("our own"))
}

#[test]
fn answers_connect_with_our_capabilities() {
    let ours = Capabilities { caps_ex: caps_ex::MOD_EX, ..Capabilities::default() };

    let (_, answer) = reply(Response::ConnectResult { transaction: 1.0, capabilities: &ours });

    let Reply::Result { transaction, first, second } = answer else { panic!("{answer:?}") };
    assert_eq!((transaction, Capabilities::parse(&first)), (1.0, ours));
    assert_eq!(first.get("fmsVer"), Some(&"FMS/3,5,7,7009".into()));
    assert_eq!(second.get("code"), Some(&code::CONNECT_SUCCESS.into()));
    assert_eq!(second.get("objectEncoding"), Some(&0.0.into()));
}

#[test]
fn says_nothing_of_enhanced_rtmp_unless_told_to() {
    let none = Capabilities::default();

    let (_, answer) = reply(Response::ConnectResult { transaction: 1.0, capabilities: &none });

    let Reply::Result { first, .. } = answer else { panic!("{answer:?}") };
    assert!(Capabilities::parse(&first).is_empty());
    assert_eq!(first.get("capsEx"), None);
}

#[test]
fn writes_the_other_answers() {
    let status = Status {
        level: Level::Error,
        code: code::PUBLISH_BAD_NAME,
        description: "taken",
        details: "live/cam",
    };
    let (level, code, description) =
        ("error".to_owned(), code::PUBLISH_BAD_NAME.to_owned(), "taken".to_owned());
    let other = |name: &str| (0, Reply::Other { name: name.to_owned() });
    let result = |second| (0, Reply::Result { transaction: 4.0, first: Value::Null, second });
    let cases = [
        (Response::CreateStreamResult { transaction: 4.0, stream_id: 1 }, result(1.0.into())),
        (Response::EmptyResult { transaction: 4.0 }, result(Value::Undefined)),
        (Response::StreamLengthResult { transaction: 4.0, seconds: 0.0 }, result(0.0.into())),
        (
            Response::Error { transaction: 4.0, status },
            (
                0,
                Reply::Error {
                    transaction: 4.0,
                    code: code.clone(),
                    description: description.clone(),
                },
            ),
        ),
        (
            Response::OnStatus { stream_id: 1, status },
            (1, Reply::OnStatus { level, code, description }),
        ),
        (Response::OnFcPublish { status }, other("onFCPublish")),
        (Response::OnFcUnpublish { status }, other("onFCUnpublish")),
        (Response::OnFcSubscribe { status }, other("onFCSubscribe")),
        (Response::OnBwDone, other("onBWDone")),
    ];
    for (response, expected) in cases {
        assert_eq!(reply(response), expected, "{response:?}");
    }
    assert_eq!(
        reply(Response::CreateStreamResult { transaction: 4.0, stream_id: 9 }).1.stream_id(),
        Some(9)
    );
}

#[test]
fn writes_sample_access_as_a_data_message() {
    let mut output = Vec::new();
    let access = Response::SampleAccess { stream_id: 1, allowed: true };
    access.write(&ChunkWriter::default(), &mut output).expect("short");

    let messages = read_all(&output).expect("our own");

    let values = encode(&["|RtmpSampleAccess".into(), true.into(), true.into()]);
    assert_eq!((messages[0].type_id, &messages[0].payload), (18, &values));
}
