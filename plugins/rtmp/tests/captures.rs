//! What real clients send: each capture of `testdata/` is read to its last byte.
//!
//! Tests are named after the client. They state the commands in order, how media comes, and the one
//! thing that is special about that client.

use plugcast_rtmp::wire::chunk_reader::{Announced, ChunkReader, Limits, Message, NoMemory};
use plugcast_rtmp::wire::command::{Command, PublishKind, Request};
use plugcast_rtmp::wire::data::Data;
use plugcast_rtmp::wire::handshake::{NOISE_LEN, PACKET_LEN, ServerHandshake, Step};
use plugcast_rtmp::wire::message::{self, Body, Control, UserControl};
use plugcast_rtmp::wire::url::Target;

/// One connection, read through.
struct Capture {
    /// S0, S1 and S2.
    reply: Vec<u8>,
    c1: Vec<u8>,
    c2: Vec<u8>,
    messages: Vec<Message<Vec<u8>>>,
}

fn allocate(announced: Announced) -> Result<Vec<u8>, NoMemory> {
    Ok(Vec::with_capacity(announced.reserve))
}

/// Reads `bytes`, which come in pieces of `piece` bytes.
fn read(bytes: &[u8], piece: usize) -> Capture {
    let mut handshake = ServerHandshake::new(0, Box::new([7; NOISE_LEN]));
    let mut reader = ChunkReader::new(Limits::default(), 1 + 2 * PACKET_LEN as u64);
    let (mut reply, mut messages) = (Vec::new(), Vec::new());
    for mut input in bytes.chunks(piece) {
        if handshake.push(&mut input, &mut reply).expect("handshake") == Step::NeedMore {
            continue;
        }
        while let Some(message) = reader.push(&mut input, &mut allocate).expect("chunks") {
            messages.push(message);
        }
    }
    assert_eq!(reader.bytes_received(), bytes.len() as u64);
    let c1 = bytes[1..=PACKET_LEN].to_vec();
    let c2 = bytes[1 + PACKET_LEN..1 + 2 * PACKET_LEN].to_vec();
    Capture { reply, c1, c2, messages }
}

/// Reads a capture whole and in odd pieces, which must make no difference.
fn capture(name: &str) -> Capture {
    let path = format!("{}/testdata/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let whole = read(&bytes, bytes.len());
    for piece in [1, 7, 1000] {
        let pieces = read(&bytes, piece);
        assert_eq!(pieces.messages, whole.messages, "{name} in pieces of {piece}");
        assert_eq!(pieces.reply, whole.reply, "{name} in pieces of {piece}");
    }
    whole
}

impl Capture {
    fn is_answered_with_digest(&self) -> bool {
        self.reply[1 + PACKET_LEN..] != self.c1
    }

    fn commands(&self) -> Vec<Command> {
        self.bodies(|message, body| match body {
            Body::Command(payload) => {
                Some(Command::parse(payload, message.offset).expect("a command"))
            }
            _ => None,
        })
    }

    fn requests(&self) -> Vec<String> {
        let name = |command: Command| {
            let text = format!("{:?}", command.request);
            text.split([' ', '(']).next().unwrap_or_default().to_owned()
        };
        self.commands().into_iter().map(name).collect()
    }

    fn controls(&self) -> Vec<Control> {
        self.bodies(|_, body| if let Body::Control(control) = body { Some(control) } else { None })
    }

    fn bodies<T>(&self, mut pick: impl FnMut(&Message<Vec<u8>>, Body<'_>) -> Option<T>) -> Vec<T> {
        let bodies = self.messages.iter().filter_map(|message| {
            pick(message, message::parse(message, &message.payload).expect("a body"))
        });
        bodies.collect()
    }

    /// What the first publish or play is about.
    fn target(&self) -> Target {
        let commands = self.commands();
        let Request::Connect(connect) = &commands[0].request else { panic!("connect first") };
        let name = commands.iter().find_map(|command| match &command.request {
            Request::Publish { name, kind: PublishKind::Live } => Some(name),
            Request::Play(play) => Some(&play.name),
            _ => None,
        });
        Target::new(&connect.app, &connect.tc_url, name.expect("publish or play"))
    }

    /// Time and first bytes of messages of one type.
    fn media(&self, type_id: u8) -> Vec<(u32, &[u8])> {
        let media = self.messages.iter().filter(|message| message.type_id == type_id);
        media.map(|message| (message.timestamp, &message.payload[..])).collect()
    }

    /// The times of frames, sequence headers and metadata left out.
    fn frame_times(&self, type_id: u8) -> Vec<u32> {
        let is_header = |payload: &[u8]| match (type_id, payload) {
            (8, [_, 0, ..]) | (9, [0x17, 0, ..]) | (9, [0x17, 2, ..]) => true,
            // Enhanced: sequence start, sequence end, metadata.
            (9, [first, ..]) if first & 0x80 != 0 => matches!(first & 0x0f, 0 | 2 | 4),
            _ => false,
        };
        let media = self.media(type_id).into_iter();
        media.filter(|(_, payload)| !is_header(payload)).map(|(time, _)| time).collect()
    }
}

/// 25 pictures and 44100/1024 audio frames a second, rounded to milliseconds, from `start` on.
fn assert_steady(capture: &Capture, start: u32) {
    for (type_id, step, at_least) in [(9, 40..=40, 14), (8, 23..=24, 25)] {
        let times = capture.frame_times(type_id);
        assert!(times.len() >= at_least, "type {type_id}: {times:?}");
        assert!(times[0].abs_diff(start) <= 80, "type {type_id} starts at {}", times[0]);
        for pair in times.windows(2) {
            assert!(step.contains(&(pair[1] - pair[0])), "type {type_id}: {times:?}");
        }
    }
}

/// Metadata of a 64 by 64 picture came at least once, wrapped.
fn assert_metadata(capture: &Capture) {
    let widths = capture.bodies(|message, body| match body {
        Body::Data(payload) => match Data::parse(payload, message.offset).expect("data") {
            Data::Metadata { properties, amf0 } => {
                assert_eq!(&amf0[3..13], b"onMetaData");
                let width = properties.iter().find(|(name, _)| name == "width");
                width.and_then(|(_, value)| value.as_f64())
            }
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    assert!(!widths.is_empty() && widths.iter().all(|width| *width == 64.0), "{widths:?}");
}

const FMLE_PUBLISH: [&str; 7] = [
    "Connect",
    "ReleaseStream",
    "FcPublish",
    "CreateStream",
    "Publish",
    "FcUnpublish",
    "DeleteStream",
];

#[test]
fn ffmpeg5_publishes() {
    let capture = capture("ffmpeg5_publish");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    let expected = Target { path: "live/cam".to_owned(), query: "key=secret".to_owned() };
    assert_eq!(capture.target(), expected);
    // It signs C1 but, as a publisher, verifies nothing.
    assert!(capture.is_answered_with_digest());
    assert_metadata(&capture);
    assert_steady(&capture, 0);
    assert_eq!(capture.media(9)[0].1[..2], [0x17, 0], "AVC sequence header first");
}

#[test]
fn ffmpeg5_publishes_beyond_the_24_bits_of_a_timestamp() {
    let capture = capture("ffmpeg5_publish_long_uptime");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    assert_steady(&capture, 16_777_300);
}

#[test]
fn ffmpeg9_publishes_enhanced_hevc() {
    let capture = capture("ffmpeg9_publish_hevc");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    // It cuts after the last slash: the app is live/site.
    assert_eq!(capture.target().path, "live/site/cam");
    assert_metadata(&capture);
    assert_steady(&capture, 0);
    assert_eq!(capture.media(9)[0].1[..5], *b"\x90hvc1", "sequence start");
}

#[test]
fn ffmpeg_plays() {
    for (name, query) in [("ffmpeg5_play", "key=secret"), ("ffmpeg9_play", "")] {
        let capture = capture(name);

        let expected = ["Connect", "CreateStream", "GetStreamLength", "Play", "DeleteStream"];
        assert_eq!(capture.requests(), expected, "{name}");
        let expected = Target { path: "live/cam".to_owned(), query: query.to_owned() };
        assert_eq!(capture.target(), expected, "{name}");
        let Request::Play(play) = &capture.commands()[3].request else { panic!("{name}") };
        assert_eq!(play.start, -2000.0, "milliseconds, where the specification has seconds");
        let buffer = UserControl::SetBufferLength { stream_id: 1, buffer_ms: 3000 };
        let ping = UserControl::PingResponse(1234);
        assert_eq!(
            capture.controls(),
            [Control::WindowAckSize(2_500_000), Control::User(buffer), Control::User(ping)]
        );
    }
}

#[test]
fn rtmpdump_plays() {
    let capture = capture("rtmpdump24_play");

    let expected = ["Connect", "CreateStream", "FcSubscribe", "Play", "DeleteStream"];
    assert_eq!(capture.requests(), expected);
    let expected = Target { path: "live/cam".to_owned(), query: "key=secret".to_owned() };
    assert_eq!(capture.target(), expected);
    assert!(!capture.is_answered_with_digest());
    let Request::Play(play) = &capture.commands()[3].request else { panic!("play") };
    assert_eq!(play.start, -1000.0, "live only, in milliseconds");
}

#[test]
fn rtmpdump_signs_its_handshake_when_it_verifies_a_swf() {
    let capture = capture("rtmpdump24_play_digest");

    assert!(capture.is_answered_with_digest());
    assert_eq!(capture.requests(), ["Connect", "CreateStream", "Play", "DeleteStream"]);
    // Its playpath keeps the slash; joined, it is the same as ffmpeg's.
    assert_eq!(capture.target().path, "live/site/cam");
}

#[test]
fn gstreamer_rtmp2sink_publishes() {
    let capture = capture("gst122_rtmp2sink_publish");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    assert_eq!(capture.target().path, "live/cam");
    assert_metadata(&capture);
    assert_steady(&capture, 0);
    assert_eq!(capture.controls(), [Control::WindowAckSize(2_500_000), Control::SetChunkSize(128)]);
    // It numbers only what it waits for, deletes streams by name, and has a C2 of its own.
    let transactions: Vec<f64> = capture.commands().iter().map(|c| c.transaction).collect();
    assert_eq!(transactions, [1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
    let last = capture.commands().pop().map(|command| command.request);
    assert_eq!(last, Some(Request::DeleteStream { stream_id: None }));
    assert_ne!(capture.c2[..8], [0; 8]);
}

#[test]
fn gstreamer_rtmpsink_publishes_through_librtmp() {
    let capture = capture("gst122_rtmpsink_publish");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    assert_eq!(capture.target().path, "live/cam");
    assert_metadata(&capture);
    assert_steady(&capture, 0);
    // Everything of the stream, publish included, comes on one chunk stream.
    let lanes = capture.messages.iter().filter(|message| message.stream_id == 1);
    assert!(lanes.map(|message| message.chunk_stream).all(|id| id == 4));
}

#[test]
fn librtmp_publishes_beyond_the_24_bits_of_a_timestamp() {
    let capture = capture("gst122_rtmpsink_publish_long_uptime");

    assert_eq!(capture.requests(), FMLE_PUBLISH);
    assert_steady(&capture, 16_777_300);
}
