//! Sessions over real sockets, with a host inside the test: captured clients, and one that does what we tell it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plugin_api::Error;
use plugin_api::frame::{FourCc, TrackKind};
use plugin_api::stream::Reason;
use plugin_api::testing::{FakeHost, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Rtmp;
use crate::ingest::Item;
use crate::testing::{ingest, sample};
use crate::wire::chunk_reader::{ChunkReader, Limits, Message};
use crate::wire::chunk_writer::{ChunkWriter, MessageHeader};
use crate::wire::command::Connect;
use crate::wire::command::client::{Call, Reply};
use crate::wire::handshake::{ClientHandshake, NOISE_LEN, Step};
use crate::wire::message::{self, Body, Control, UserControl, chunk_stream, type_id};

struct Server {
    host: FakeHost,
    plugin: Running<Rtmp>,
    addr: SocketAddr,
}

impl Server {
    fn start(config: &str) -> Self {
        let host = FakeHost::new();
        let config = format!(r#"{{"listen": "127.0.0.1:0"{config}}}"#);
        let plugin = host.start::<Rtmp>(&config).unwrap();
        let addr = host.wait_for("a listener", |state| state.listeners().first().copied());
        Self { host, plugin, addr }
    }

    /// Stops, and shows that nothing was left behind.
    fn stop(self) {
        let Self { host, plugin, .. } = self;
        plugin.stop();
        assert_eq!(host.state(|state| (state.running_tasks(), state.open_handles())), (0, 0));
    }

    /// Waits for a log line with all of these.
    fn logged(&self, texts: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let logs = self.host.logs();
            let found = logs.iter().find(|line| texts.iter().all(|text| line.contains(text)));
            if let Some(line) = found {
                return line.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(5), "no {texts:?} in {logs:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A stream by somebody else: what the sample's encoder would have published.
    fn publish(&self, key: &str, name: &str) {
        for item in ingest(&sample(name)) {
            match item {
                Item::Tracks(tracks) => self.host.set_tracks(key, &tracks),
                Item::Frame(frame) => self.host.push(key, &[frame]),
                Item::Ready => {}
            }
        }
    }

    fn client(&self) -> Client<'_> {
        Client::new(&self.host, self.addr)
    }

    fn connected(&self) -> Client<'_> {
        Client::connected(&self.host, self.addr)
    }
}

/// A client that reads whatever comes.
struct Client<'a> {
    host: &'a FakeHost,
    stream: TcpStream,
    reader: ChunkReader<Vec<u8>>,
    input: Vec<u8>,
}

impl<'a> Client<'a> {
    fn new(host: &'a FakeHost, addr: SocketAddr) -> Self {
        let stream = host.block_on(TcpStream::connect(addr)).unwrap();
        let reader = ChunkReader::new(Limits::default(), 0);
        let mut client = Self { host, stream, reader, input: Vec::new() };
        client.shake_hands();
        client
    }

    /// It has connected, and has a stream.
    fn connected(host: &'a FakeHost, addr: SocketAddr) -> Self {
        let mut client = Self::new(host, addr);
        let (app, flash_ver) = ("live".to_owned(), "test/1.0".to_owned());
        client.call(Call::Connect(&Connect { app, flash_ver, ..Connect::default() }));
        client.call(Call::CreateStream);
        while client.reply().is_none_or(|reply| reply.stream_id() != Some(1)) {}
        client
    }

    fn shake_hands(&mut self) {
        let mut handshake = ClientHandshake::new(0, Box::new([7; NOISE_LEN]));
        let mut output = Vec::new();
        handshake.push(&mut &[][..], &mut output).unwrap();
        loop {
            self.send(&std::mem::take(&mut output));
            let bytes = self.read();
            let mut rest = &bytes[..];
            let step = handshake.push(&mut rest, &mut output).unwrap();
            if step == Step::Done {
                self.input = rest.to_vec();
                return self.send(&output);
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.host.block_on(self.stream.write_all(bytes)).unwrap();
    }

    fn call(&mut self, call: Call<'_>) {
        let mut output = Vec::new();
        call.write(1.0, &ChunkWriter::default(), &mut output).unwrap();
        self.send(&output);
    }

    /// A command whose arguments are AMF0 as hex would be: name, transaction 0, null, and these.
    fn command(&mut self, name: &str, arguments: &[media::container::flv::amf0::Value]) {
        let mut payload = Vec::new();
        let start = [name.into(), 0.0.into(), media::container::flv::amf0::Value::Null];
        for value in start.iter().chain(arguments) {
            media::container::flv::amf0::write(value, &mut payload);
        }
        let (chunk_stream, type_id) = (chunk_stream::STREAM_COMMAND, type_id::COMMAND_AMF0);
        let header = MessageHeader { chunk_stream, timestamp: 0, type_id, stream_id: 1 };
        let mut output = Vec::new();
        ChunkWriter::default().write(&header, &payload, &mut output).unwrap();
        self.send(&output);
    }

    fn read(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let read = self.host.block_on(self.stream.read(&mut bytes)).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// The next message; `None` at the end.
    fn message(&mut self) -> Option<Message<Vec<u8>>> {
        loop {
            let mut rest = &self.input[..];
            let message = self.reader.push(&mut rest, &mut |_| Ok(Vec::new())).unwrap();
            self.input = rest.to_vec();
            if message.is_some() {
                return message;
            }
            let bytes = self.read();
            if bytes.is_empty() {
                return None;
            }
            self.input.extend_from_slice(&bytes);
        }
    }

    /// The next answer to a command; other messages are passed over. `None` at the end.
    fn reply(&mut self) -> Option<Reply> {
        loop {
            let message = self.message()?;
            if message.type_id == type_id::COMMAND_AMF0 {
                return Some(Reply::parse(&message.payload, message.offset).unwrap());
            }
        }
    }

    /// What comes until a status with this code: types of media, codes of statuses, events.
    fn until(&mut self, code: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != code) {
            let Some(message) = self.message() else {
                panic!("the end instead of {code}: {seen:?}")
            };
            seen.push(match message::parse(&message, &message.payload).unwrap() {
                Body::Command(payload) => match Reply::parse(payload, 0).unwrap() {
                    Reply::OnStatus { code, .. } => code,
                    other => format!("{other:?}"),
                },
                Body::Control(Control::User(event)) => format!("{event:?}"),
                Body::Control(_) => continue,
                Body::Audio(_) => "audio".to_owned(),
                Body::Video(_) => "video".to_owned(),
                Body::Data(_) => "data".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        seen
    }

    fn until_video(&mut self) -> Vec<u8> {
        while let Some(message) = self.message() {
            if message.type_id == type_id::VIDEO {
                return message.payload;
            }
        }
        panic!("the end instead of video");
    }

    /// Whether nothing but the end is left to come, after what is on its way.
    fn reads_the_end(&mut self) -> bool {
        while self.message().is_some() {}
        true
    }
}

#[test]
fn captured_encoders_publish() {
    let cases = [
        ("ffmpeg5_publish", "live/cam", FourCc::H264),
        ("ffmpeg5_publish_long_uptime", "live/cam", FourCc::H264),
        ("ffmpeg9_publish_hevc", "live/site/cam", FourCc::H265),
        ("gst122_rtmp2sink_publish", "live/cam", FourCc::H264),
        ("gst122_rtmpsink_publish", "live/cam", FourCc::H264),
        ("gst122_rtmpsink_publish_long_uptime", "live/cam", FourCc::H264),
    ];
    for (name, key, codec) in cases {
        let server = Server::start("");
        let path = format!("{}/testdata/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let mut stream = server.host.block_on(TcpStream::connect(server.addr)).unwrap();
        // All at once, as no client does: what follows publish waits for its answer.
        server.host.block_on(stream.write_all(&bytes)).unwrap();
        server.host.block_on(stream.shutdown()).unwrap();
        server.logged(&["session.end"]);

        let view = server.host.state(|state| state.stream(key)).unwrap();
        assert!(view.ready, "{name}");
        assert!(!view.finished, "{name}: leaving is a lost link");
        let shape = view.shapes.last().unwrap();
        assert_eq!(shape.first(TrackKind::Video).unwrap().codec, codec, "{name}");
        assert_eq!(shape.first(TrackKind::Audio).unwrap().codec, FourCc::AAC, "{name}");
        let video = shape.lead().unwrap().id;
        let pictures = view.frames.iter().filter(|frame| frame.track == video).count();
        assert!(pictures >= 14, "{name}: {pictures}");
        drop(stream);
        server.stop();
    }
}

#[test]
fn a_publisher_is_told_that_it_may_begin_and_why_it_ended() {
    let server = Server::start("");
    let mut client = server.connected();

    client.call(Call::FcPublish { name: "cam" });
    client.call(Call::Publish { stream_id: 1, name: "cam?key=1" });
    client.until("NetStream.Publish.Start");
    server.host.end_stream("live/cam", Reason::Replaced);

    client.until("NetStream.Publish.BadName");
    assert!(client.reads_the_end());
    let line = server.logged(&["session.end", "live/cam"]);
    assert!(!line.contains("key=1"), "{line}");
    drop(client);
    server.stop();
}

#[test]
fn a_connection_publishes_again_after_delete_stream() {
    let server = Server::start("");
    let mut client = server.connected();
    client.call(Call::Publish { stream_id: 1, name: "a" });
    client.until("NetStream.Publish.Start");

    client.call(Call::DeleteStream { stream_id: 1 });
    client.until("NetStream.Unpublish.Success");
    client.call(Call::CreateStream);
    client.call(Call::Publish { stream_id: 1, name: "b" });

    client.until("NetStream.Publish.Start");
    assert_eq!(server.host.state(plugin_api::testing::State::stream_keys), ["live/a", "live/b"]);
    drop(client);
    server.stop();
}

#[test]
fn refusals_to_publish_say_why() {
    let cases: [(&str, Option<Error>, &str, &str); 4] = [
        ("cam", Some(Error::denied("no rule allows it")), "NetStream.Publish.Denied", "no rule"),
        ("cam", Some(Error::conflict("taken")), "NetStream.Publish.BadName", "taken"),
        ("cam", Some(Error::limit("full")), "NetStream.Publish.Denied", "full"),
        ("", None, "NetStream.Publish.BadName", "empty"),
    ];
    for (name, error, expected, why) in cases {
        let server = Server::start("");
        let mut client = server.connected();
        if let Some(error) = error {
            server.host.fail_next("publish", error);
        }

        client.call(Call::Publish { stream_id: 1, name });

        let status = std::iter::from_fn(|| client.reply())
            .find(|reply| matches!(reply, Reply::OnStatus { .. }));
        let Some(Reply::OnStatus { level, code, description }) = status else { panic!("{why}") };
        assert_eq!((level.as_str(), code.as_str()), ("error", expected));
        assert!(description.contains(why), "{description}");
        assert!(client.reads_the_end());
        server.logged(&["INFO", "session.end", why]);
        drop(client);
        server.stop();
    }
}

#[test]
fn a_player_gets_what_it_waits_for_in_order() {
    let server = Server::start("");
    server.publish("live/cam", "ffmpeg5_avc_aac");
    let mut client = server.connected();

    client.call(Call::Play { stream_id: 1, name: "cam" });

    let seen = client.until("NetStream.Play.Start");
    assert!(seen.ends_with(&[
        "StreamBegin(1)".to_owned(),
        "NetStream.Play.Reset".to_owned(),
        "NetStream.Play.Start".to_owned()
    ]));
    assert_eq!(client.message().unwrap().type_id, type_id::DATA_AMF0);
    assert_eq!(client.until_video()[..2], [0x17, 0], "sequence header");
    assert_eq!(client.until_video()[..2], [0x17, 1], "keyframe");
    server.host.end_stream("live/cam", Reason::Ended);
    let seen = client.until("NetStream.Play.Stop");
    assert!(seen.contains(&"StreamEof(1)".to_owned()));
    assert!(seen.contains(&"NetStream.Play.UnpublishNotify".to_owned()));
    assert!(client.reads_the_end());
    drop(client);
    server.stop();
}

#[test]
fn a_player_whose_publisher_is_lost_waits_for_the_next_one() {
    let server = Server::start("");
    server.publish("live/cam", "ffmpeg5_avc_aac");
    let mut client = server.connected();
    client.call(Call::Play { stream_id: 1, name: "cam" });
    client.until("NetStream.Play.Start");
    client.until_video();

    server.host.end_stream("live/cam", Reason::Lost);
    client.until("StreamDry(1)");
    server.publish("live/cam", "ffmpeg9_hvc1_aac");

    let seen = client.until("video");
    assert_eq!(seen.first().map(String::as_str), Some("StreamBegin(1)"));
    assert!(!seen.iter().any(|seen| seen.starts_with("NetStream")), "{seen:?}");
    // Each track that the encoder names while the player joins brings a header.
    let mut videos = std::iter::repeat_with(|| client.until_video());
    let picture = videos.find(|video| video[0] & 0x0f != 0).unwrap();
    assert_eq!(picture[..5], *b"\x91hvc1", "the first picture is no keyframe");
    drop(client);
    server.stop();
}

#[test]
fn a_player_that_waits_again_in_vain_is_told_of_the_end() {
    let server = Server::start("");
    server.publish("live/cam", "ffmpeg5_avc_aac");
    let mut client = server.connected();
    client.call(Call::Play { stream_id: 1, name: "cam" });
    client.until_video();

    server.host.fail_next("prepare", Error::not_found("nobody is publishing live/cam"));
    server.host.end_stream("live/cam", Reason::Lost);

    let seen = client.until("NetStream.Play.Stop");
    assert!(seen.contains(&"StreamEof(1)".to_owned()), "{seen:?}");
    assert!(client.reads_the_end());
    drop(client);
    server.stop();
}

#[test]
fn a_player_is_answered_while_it_plays() {
    let server = Server::start("");
    server.publish("live/cam", "ffmpeg5_avc_aac");
    let mut client = server.connected();
    client.call(Call::Play { stream_id: 1, name: "cam" });
    client.until_video();

    let mut ping = Vec::new();
    Control::User(UserControl::PingRequest(77)).write(&ChunkWriter::default(), &mut ping);
    client.send(&ping);

    loop {
        let message = client.message().unwrap();
        if let Body::Control(Control::User(event)) =
            message::parse(&message, &message.payload).unwrap()
        {
            assert_eq!(event, UserControl::PingResponse(77));
            break;
        }
    }
    drop(client);
    server.stop();
}

#[test]
fn pauses_and_goes_on() {
    let server = Server::start("");
    server.publish("live/cam", "ffmpeg5_avc_aac");
    let mut client = server.connected();
    client.call(Call::Play { stream_id: 1, name: "cam" });
    client.until_video();

    client.command("pause", &[true.into(), 0.0.into()]);
    client.until("NetStream.Pause.Notify");
    client.command("pause", &[false.into(), 0.0.into()]);

    let seen = client.until("NetStream.Play.Start");
    assert!(seen.contains(&"NetStream.Unpause.Notify".to_owned()));
    assert!(!seen.contains(&"video".to_owned()), "{seen:?}");
    assert_eq!(client.until_video()[..2], [0x17, 0]);
    drop(client);
    server.stop();
}

#[test]
fn plays_another_stream_on_the_same_connection() {
    let server = Server::start("");
    server.publish("live/a", "ffmpeg5_avc_aac");
    server.publish("live/b", "ffmpeg9_hvc1_aac");
    let mut client = server.connected();
    client.call(Call::Play { stream_id: 1, name: "a" });
    client.until_video();

    client.call(Call::Play { stream_id: 1, name: "b?hevc=legacy" });

    client.until("NetStream.Play.Start");
    assert_eq!(client.until_video()[..2], [0x1c, 0], "id 12, as the player wished");
    client.call(Call::DeleteStream { stream_id: 1 });
    client.call(Call::CreateStream);
    client.call(Call::Play { stream_id: 1, name: "b" });
    client.until("NetStream.Play.Start");
    assert_eq!(client.until_video()[..5], *b"\x90hvc1");
    drop(client);
    server.stop();
}

#[test]
fn refusals_to_play_say_why() {
    let cases: [(&str, Option<Error>, &str); 4] = [
        ("cam", Some(Error::not_found("no such stream")), "NetStream.Play.StreamNotFound"),
        ("cam", Some(Error::denied("no rule allows it")), "NetStream.Play.Failed"),
        ("cam", Some(Error::unsupported("no words")), "NetStream.Play.Failed"),
        ("", None, "NetStream.Play.Failed"),
    ];
    for (name, error, expected) in cases {
        let server = Server::start("");
        let mut client = server.connected();
        if let Some(error) = error {
            server.host.fail_next("prepare", error);
        }

        client.call(Call::Play { stream_id: 1, name });

        client.until(expected);
        assert!(client.reads_the_end());
        drop(client);
        server.stop();
    }
}

#[test]
fn a_stop_tells_everybody() {
    let Server { host, plugin, addr } = {
        let server = Server::start("");
        server.publish("live/cam", "ffmpeg5_avc_aac");
        server
    };
    let mut player = Client::connected(&host, addr);
    player.call(Call::Play { stream_id: 1, name: "cam" });
    player.until_video();
    let mut publisher = Client::connected(&host, addr);
    publisher.call(Call::Publish { stream_id: 1, name: "other" });
    publisher.until("NetStream.Publish.Start");

    std::thread::scope(|scope| {
        // They close when they have read the end, as clients do.
        scope.spawn(move || {
            player.until("NetStream.Play.Stop");
            player.until("NetConnection.Connect.Closed");
            assert!(player.reads_the_end());
        });
        scope.spawn(move || {
            publisher.until("NetStream.Unpublish.Success");
            assert!(publisher.reads_the_end());
        });
        let start = Instant::now();
        plugin.stop();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    });
    assert_eq!(host.state(|state| (state.running_tasks(), state.open_handles())), (0, 0));
}

#[test]
fn gives_up_on_who_does_nothing() {
    let server = Server::start(r#", "handshake_timeout": "100ms""#);
    let mut silent = server.host.block_on(TcpStream::connect(server.addr)).unwrap();
    let mut idle = server.connected();

    let mut byte = [0];
    assert_eq!(server.host.block_on(silent.read(&mut byte)).unwrap_or(0), 0);
    assert!(idle.reads_the_end());

    server.logged(&["DEBUG", "session.end", "connecting", "nothing to publish or play"]);
    server.logged(&["INFO", "session.end", "idle", "nothing to publish or play"]);
    drop((silent, idle));
    server.stop();
}

#[test]
fn names_who_is_wrong() {
    let server = Server::start("");
    let mut client = server.host.block_on(TcpStream::connect(server.addr)).unwrap();
    server.host.block_on(client.write_all(b"GET / HTTP/1.1\r\n\r\n")).unwrap();
    server.logged(&["INFO", "session.end", "not RTMP"]);

    let mut client = server.client();
    client.call(Call::Publish { stream_id: 1, name: "cam" });
    server.logged(&["INFO", "session.end", "publish before connect"]);
    drop(client);
    server.stop();
}
