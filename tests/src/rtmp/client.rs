//! A connection: handshake, `connect`, commands and their answers, and all that arrives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::chunk;
use super::{Player, Publisher};
use crate::amf::{self, Value};
use crate::flv::{self, Tag};
use crate::wait;

/// How long an answer may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Message types (section 5.4, 7.1).
pub(super) const SET_CHUNK_SIZE: u8 = 1;
pub(super) const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
pub(super) const WINDOW_SIZE: u8 = 5;
const COMMAND: u8 = 20;

/// User control events (section 7.1.7).
const PING: [u8; 2] = [0, 6];
const PONG: [u8; 2] = [0, 7];

const HANDSHAKE_LEN: usize = 1536;
const OUR_CHUNK_SIZE: usize = 4096;

/// What this client says of itself in `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Lists the FourCCs that it takes: Enhanced RTMP.
    Enhanced,
    /// Knows nothing newer than 2008.
    Plain,
}

/// Something that arrived.
#[derive(Debug, Clone)]
pub struct Message {
    pub kind: u8,
    pub stream: u32,
    pub time_ms: u32,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Message {
    pub(super) fn values(&self) -> Option<Vec<Value>> {
        if self.kind == COMMAND { amf::read(&self.body) } else { None }
    }

    pub(super) fn is_media(&self) -> bool {
        matches!(self.kind, flv::AUDIO | flv::VIDEO)
    }

    /// As a tag.
    pub fn tag(&self) -> Tag {
        Tag { kind: self.kind, time_ms: self.time_ms, body: self.body.clone() }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer closed its half in an orderly way.
    Closed,
    /// Anything else: a reset, bytes that are not RTMP.
    Broken(String),
}

#[derive(Debug, Default)]
struct Inbox {
    messages: Mutex<Vec<Message>>,
    end: Mutex<Option<End>>,
    paused: AtomicBool,
}

/// A connection after `connect` was answered.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    writer: Arc<Mutex<chunk::Writer>>,
    inbox: Arc<Inbox>,
    transaction: f64,
}

/// The refusal of a request: the code and description of an `onStatus` or `_error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub description: String,
}

impl Client {
    /// Connects, shakes hands and asks for the application `app`.
    #[track_caller]
    pub fn connect(address: SocketAddr, app: &str, dialect: Dialect) -> Self {
        let socket =
            TcpStream::connect_timeout(&address, ANSWER_LIMIT).expect("the server accepts");
        socket.set_nodelay(true).expect("a socket option");
        Self::start(socket, app, dialect)
    }

    /// With a receive buffer so small that the server soon feels it when this client stops reading.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr, app: &str) -> Self {
        let socket =
            TcpStream::connect_timeout(&address, ANSWER_LIMIT).expect("the server accepts");
        sockopt::set_socket_recv_buffer_size(&socket, 16 << 10).expect("a socket option");
        Self::start(socket, app, Dialect::Enhanced)
    }

    /// The same on a connection that is open already.
    #[track_caller]
    pub fn start(mut socket: TcpStream, app: &str, dialect: Dialect) -> Self {
        let address = socket.peer_addr().expect("connected");
        shake_hands(&mut socket)
            .unwrap_or_else(|error| panic!("handshake with {address}: {error}"));
        let writer =
            Arc::new(Mutex::new(chunk::Writer::new(socket.try_clone().expect("a descriptor"))));
        let inbox = Arc::new(Inbox::default());
        let reader = socket.try_clone().expect("a descriptor");
        thread::spawn({
            let (writer, inbox) = (Arc::clone(&writer), Arc::clone(&inbox));
            move || receive(reader, &writer, &inbox)
        });
        let mut client = Self { socket, writer, inbox, transaction: 0.0 };
        let chunk_size = u32::try_from(OUR_CHUNK_SIZE).expect("a small number");
        client.send(2, SET_CHUNK_SIZE, 0, 0, &chunk_size.to_be_bytes());
        client.writer().set_chunk_size(OUR_CHUNK_SIZE);
        let transaction = client.call(0, "connect", connect_arguments(address, app, dialect));
        if let Err(refusal) = client.answer(transaction) {
            panic!("connect was refused: {refusal:?}");
        }
        client
    }

    fn writer(&self) -> MutexGuard<'_, chunk::Writer> {
        self.writer.lock().expect("nobody panics while writing")
    }

    pub(super) fn send(&self, chunk_stream: u8, kind: u8, stream: u32, time_ms: u32, body: &[u8]) {
        // A peer that has closed is seen by the reader; a test that minds looks there.
        drop(self.try_send(chunk_stream, kind, stream, time_ms, body));
    }

    pub(super) fn try_send(
        &self,
        chunk_stream: u8,
        kind: u8,
        stream: u32,
        time_ms: u32,
        body: &[u8],
    ) -> std::io::Result<()> {
        self.writer().write(chunk_stream, kind, stream, time_ms, body)
    }

    /// Every byte sent so far, as acknowledgements count them.
    pub(super) fn bytes_sent(&self) -> u64 {
        let handshake = 1 + 2 * HANDSHAKE_LEN as u64;
        handshake + self.writer().written()
    }

    /// Sends a command; returns its transaction number.
    pub(super) fn call(&mut self, stream: u32, name: &str, arguments: Vec<Value>) -> f64 {
        self.transaction += 1.0;
        let mut values = vec![Value::text(name), Value::Number(self.transaction)];
        values.extend(arguments);
        self.send(3, COMMAND, stream, 0, &amf::write(&values));
        self.transaction
    }

    /// Waits for `_result` or `_error` of a transaction.
    #[track_caller]
    pub(super) fn answer(&self, transaction: f64) -> Result<Vec<Value>, Refusal> {
        self.until("an answer", ANSWER_LIMIT, |messages| {
            messages.iter().filter_map(Message::values).find_map(|values| {
                let name = values.first()?.as_str()?;
                if values.get(1)?.as_number()? != transaction {
                    return None;
                }
                match name {
                    "_result" => Some(Ok(values)),
                    "_error" => Some(Err(refusal(&values))),
                    _ => None,
                }
            })
        })
    }

    #[track_caller]
    pub(super) fn create_stream(&mut self) -> u32 {
        let transaction = self.call(0, "createStream", vec![Value::Null]);
        let values = self.answer(transaction).expect("createStream is answered");
        let number = values.get(3).and_then(Value::as_number).expect("createStream gives a number");
        to_u32(number)
    }

    /// Waits for an `onStatus` whose code `wanted` accepts, among the messages from `from` on.
    #[track_caller]
    pub fn wait_for_status(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Refusal {
        self.until("onStatus", ANSWER_LIMIT, |messages| {
            let statuses = messages.get(from..).unwrap_or_default().iter().filter_map(status);
            statuses.into_iter().find(|status| wanted(&status.code))
        })
    }

    /// Every `onStatus` so far.
    pub fn statuses(&self) -> Vec<Refusal> {
        self.messages().iter().filter_map(status).collect()
    }

    /// Waits until `probe` finds something in the messages. Panics early when the connection has ended without it.
    #[track_caller]
    pub fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        probe: impl Fn(&[Message]) -> Option<T>,
    ) -> T {
        let found = wait::try_until(limit, || {
            let ended = self.end();
            // In this order: what came before the end must be seen.
            let found = probe(&self.messages());
            match (found, ended) {
                (Some(found), _) => Some(Ok(found)),
                (None, Some(end)) => Some(Err(end)),
                (None, None) => None,
            }
        });
        match found {
            Some(Ok(found)) => found,
            Some(Err(end)) => {
                panic!("the connection ended ({end:?}) before {what}; {}", self.describe())
            }
            None => panic!("waited {limit:?} for {what}; {}", self.describe()),
        }
    }

    fn describe(&self) -> String {
        let messages = self.messages();
        let media = messages.iter().filter(|message| message.is_media()).count();
        let commands: Vec<_> = messages.iter().filter_map(Message::values).collect();
        format!("{} messages, {media} of them media; commands: {commands:?}", messages.len())
    }

    /// All that arrived so far.
    pub fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.inbox.messages.lock().expect("nobody panics while holding the messages")
    }

    /// How the connection ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.inbox.end.lock().expect("nobody panics while holding the end").clone()
    }

    /// Waits for the end of the connection.
    #[track_caller]
    pub fn wait_for_end(&self, limit: Duration) -> End {
        wait::until("the end of the connection", limit, || self.end())
    }

    /// Stops taking bytes from the socket, which stays open.
    pub fn stop_reading(&self) {
        self.inbox.paused.store(true, Ordering::SeqCst);
    }

    /// Goes on where [`Self::stop_reading`] stopped.
    pub fn resume_reading(&self) {
        self.inbox.paused.store(false, Ordering::SeqCst);
    }

    /// Closes the socket without a word: a lost link.
    pub fn hang_up(self) {
        drop(self);
    }

    /// Asks to publish `name`.
    #[track_caller]
    pub fn publish(mut self, name: &str) -> Result<Publisher, Refusal> {
        self.call(0, "releaseStream", vec![Value::Null, Value::text(name)]);
        self.call(0, "FCPublish", vec![Value::Null, Value::text(name)]);
        let stream = self.create_stream();
        let from = self.messages().len();
        self.call(stream, "publish", vec![Value::Null, Value::text(name), Value::text("live")]);
        let status = self.wait_for_status(from, |code| code.starts_with("NetStream.Publish."));
        if status.code == "NetStream.Publish.Start" {
            Ok(Publisher::new(self, stream))
        } else {
            Err(status)
        }
    }

    /// Asks to play `name`; does not wait for an answer.
    #[track_caller]
    pub fn play(mut self, name: &str) -> Player {
        let stream = self.create_stream();
        let from = self.messages().len();
        self.call(stream, "play", vec![Value::Null, Value::text(name), Value::Number(-2000.0)]);
        Player::new(self, stream, from)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Ends the reading thread; the peer may have closed before.
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

fn connect_arguments(address: SocketAddr, app: &str, dialect: Dialect) -> Vec<Value> {
    let mut fields = vec![
        ("app".to_owned(), Value::text(app)),
        ("type".to_owned(), Value::text("nonprivate")),
        ("flashVer".to_owned(), Value::text("plugcast-tests")),
        ("tcUrl".to_owned(), Value::String(format!("rtmp://{address}/{app}"))),
        ("fpad".to_owned(), Value::Boolean(false)),
        ("capabilities".to_owned(), Value::Number(15.0)),
        ("audioCodecs".to_owned(), Value::Number(4071.0)),
        ("videoCodecs".to_owned(), Value::Number(252.0)),
        ("videoFunction".to_owned(), Value::Number(1.0)),
    ];
    if dialect == Dialect::Enhanced {
        let list = ["av01", "vp09", "hvc1"].map(Value::text).to_vec();
        fields.push(("fourCcList".to_owned(), Value::Array(list)));
    }
    vec![Value::Object(fields)]
}

pub(super) fn status(message: &Message) -> Option<Refusal> {
    let values = message.values()?;
    (values.first()?.as_str()? == "onStatus").then(|| refusal(&values))
}

fn refusal(values: &[Value]) -> Refusal {
    let text = |key: &str| {
        let found = values.iter().find_map(|value| value.get(key)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    Refusal { code: text("code"), description: text("description") }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "stream numbers are small and whole"
)]
fn to_u32(number: f64) -> u32 {
    number as u32
}

/// The plain handshake (section 5.2). What the server's bytes are is its own affair, but it must echo ours.
fn shake_hands(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut c0_c1 = vec![3];
    c0_c1.extend([0; 8]);
    c0_c1.extend((0..HANDSHAKE_LEN - 8).map(|n| u8::try_from(n % 251).expect("below 251")));
    socket.write_all(&c0_c1)?;
    let mut s0_s1_s2 = vec![0; 1 + 2 * HANDSHAKE_LEN];
    socket.read_exact(&mut s0_s1_s2)?;
    let (s1, s2) = s0_s1_s2[1..].split_at(HANDSHAKE_LEN);
    if s2[8..] != c0_c1[9..] {
        return Err(std::io::Error::other("S2 does not echo C1"));
    }
    socket.write_all(s1)?;
    socket.set_read_timeout(None)
}

/// Reads until the end: keeps every message, and does what the protocol asks of a client by itself.
fn receive(mut socket: TcpStream, writer: &Mutex<chunk::Writer>, inbox: &Inbox) {
    let reply = |kind, body: &[u8]| {
        let mut writer = writer.lock().expect("nobody panics while writing");
        // A peer that can't be answered has closed, which the next read shows.
        drop(writer.write(2, kind, 0, 0, body));
    };
    let mut reader = chunk::Reader::default();
    let mut buffer = vec![0; 64 << 10];
    let (mut window, mut received, mut acknowledged) = (u32::MAX, 0u32, 0u32);
    let end = loop {
        if inbox.paused.load(Ordering::SeqCst) {
            wait::try_until(Duration::from_secs(1), || {
                (!inbox.paused.load(Ordering::SeqCst)).then_some(())
            });
            continue;
        }
        let taken = match socket.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break End::Broken(error.to_string()),
        };
        let at = Instant::now();
        received = received.wrapping_add(u32::try_from(taken).expect("no more than the buffer"));
        let messages = match reader.push(&buffer[..taken], at) {
            Ok(messages) => messages,
            Err(error) => break End::Broken(error),
        };
        for message in messages {
            match (message.kind, message.body.as_slice()) {
                (WINDOW_SIZE, body) => {
                    window = body.first_chunk().map_or(u32::MAX, |size| u32::from_be_bytes(*size));
                }
                (USER_CONTROL, [a, b, time @ ..]) if [*a, *b] == PING => {
                    reply(USER_CONTROL, &[&PONG, time].concat());
                }
                _ => {}
            }
            inbox.messages.lock().expect("nobody panics while holding the messages").push(message);
        }
        if received.wrapping_sub(acknowledged) >= window {
            acknowledged = received;
            reply(ACKNOWLEDGEMENT, &received.to_be_bytes());
        }
    };
    *inbox.end.lock().expect("nobody panics while holding the end") = Some(end);
}
