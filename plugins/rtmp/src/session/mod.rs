//! One RTMP connection, from the first byte to the last.
//!
//! socket → **session** → wire → ingest → publisher, and feed → fan-out → socket of a player that the session has attached
//!
//! One task owns all of it. The loop waits for one of: bytes, an answer of the host, a notice about what is published or
//! played, a deadline, the server's stop. What a message *means* depends on what the connection does at the moment
//! ([`Role`]) and lives in the file of that phase: `connect`, [`publish`], [`play`]. Messages are handled without waiting:
//! they add to the output and to the frames, which the loop then sends and pushes, once a read.
//!
//! While a player is attached its write half belongs to the host: what the session has to say is injected between packets.
//! A connection carries one stream at a time, as all known clients do; createStream always gives the same id.

mod connect;
mod handshake;
mod link;
mod play;
mod publish;
mod quota;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use plugin_api::feed::{Detached, Prepared};
use plugin_api::frame::Ns;
use plugin_api::mem::Buf;
use plugin_api::net::TcpStream;
use plugin_api::stream::{Notice, Publisher};
use plugin_api::time::Timer;
use plugin_api::{Error, Host};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::config::Config;
use crate::error::End;
use crate::ingest::{Payload, Whole};
use crate::listener::Ticket;
use crate::wire::chunk_reader::Message;
use crate::wire::command::{Command, Connect};
use crate::wire::message::{self, Body, Control, UserControl, type_id};
use link::Link;
use play::{Awaiting, Playing};
use publish::Publishing;
pub(crate) use quota::PerMinute;

/// How long a peer may take nothing of our few own bytes before the connection is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer has to read our last words and close, before we do.
const LINGER: Duration = Duration::from_secs(2);

/// What one read takes of what it still sends meanwhile.
const READ_LINGERING: usize = 4096;

/// A paused player costs a connection; after this long it is closed.
const PAUSED_MAX: Duration = Duration::from_secs(3600);

/// How often a connection may begin to publish or play in a minute. People who change channels don't; each time is a line in
/// the log, an event, and work for everybody else.
const STARTS_MAX: u32 = 60;

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What the connection does at the moment.
enum Role {
    /// Nothing yet, or nothing any more.
    Idle,
    /// Asked to publish; the host has not answered. Nothing is read meanwhile.
    AwaitPublish(Pending<Publisher>),
    Publishing(Box<Publishing>),
    /// Asked to play; the host waits for the stream.
    AwaitPlay(Awaiting),
    Playing(Playing),
    /// The name it plays, to go on with.
    Paused(String),
}

impl Role {
    /// For the log.
    fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::AwaitPublish(_) | Self::Publishing(_) => "publish",
            Self::AwaitPlay(_) | Self::Playing(_) | Self::Paused(_) => "play",
        }
    }
}

enum Event {
    Bytes(io::Result<usize>),
    Deadline,
    Detached(Result<Detached, Error>),
    Notice(Result<Notice, Error>),
    Prepared(Result<Prepared, Error>),
    Published(Result<Publisher, Error>),
    Stop,
}

/// One connection.
pub(crate) struct Session {
    host: Host,
    config: Arc<Config>,
    /// Shared with the questions to the host that are under way.
    stream: Arc<TcpStream>,
    ticket: Ticket,
    timer: Option<Timer>,
    deadline: Option<(Ns, Duration)>,
    link: Link,
    /// What the client said of itself; empty before.
    connect: Option<Box<Connect>>,
    /// What it publishes or plays, or did last: a path without arguments, which may be secret.
    key: String,
    role: Role,
    starts: PerMinute,
}

impl Session {
    pub(crate) fn new(host: Host, config: Arc<Config>, stream: TcpStream, ticket: Ticket) -> Self {
        let link = Link::new(config.limits(), 0, &[]);
        Self {
            host,
            config,
            stream: Arc::new(stream),
            ticket,
            timer: None,
            deadline: None,
            link,
            connect: None,
            key: String::new(),
            role: Role::Idle,
            starts: PerMinute::default(),
        }
    }

    /// Runs until the peer leaves, what it does ends, or a limit is hit. Only here is the end logged.
    pub(crate) async fn run(mut self) {
        let end = match self.serve().await {
            Ok(()) => End::PeerClosed,
            Err(end) => end,
        };
        self.log_end(&end);
        // Gives the stream up before the last words, which may take a while.
        self.role = Role::Idle;
        if end.can_be_told() {
            // Best effort: the peer may be gone.
            let _ = self.close().await;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        self.idle()?;
        self.shake_hands().await?;
        loop {
            // First, since bytes may have come with the end of the handshake.
            let result = self.on_messages();
            self.link.acknowledge();
            // What came before a mistake was right, and its answers are due.
            self.flush().await?;
            result?;
            match self.next_event().await {
                Event::Bytes(Ok(0)) => return Ok(()),
                Event::Bytes(Ok(_)) => {}
                Event::Bytes(Err(error)) => return Err(error.into()),
                Event::Deadline => return Err(self.on_deadline()),
                Event::Detached(detached) => self.on_detached(detached)?,
                Event::Notice(notice) => self.on_notice(notice)?,
                Event::Prepared(prepared) => self.on_prepared(prepared)?,
                Event::Published(publisher) => self.on_published(publisher)?,
                Event::Stop => return Err(self.on_stop().await),
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Reading comes last: a peer that sends without end does not hide the rest.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.ticket.poll_stop(cx).is_ready() {
            return Poll::Ready(Event::Stop);
        }
        match &mut self.role {
            Role::AwaitPublish(pending) => return pending.as_mut().poll(cx).map(Event::Published),
            Role::Publishing(publishing) => {
                if let Poll::Ready(notice) = publishing.publisher.poll_notice(cx) {
                    return Poll::Ready(Event::Notice(notice));
                }
            }
            Role::AwaitPlay(awaiting) => {
                if let Poll::Ready(prepared) = awaiting.prepared.as_mut().poll(cx) {
                    return Poll::Ready(Event::Prepared(prepared));
                }
            }
            Role::Playing(playing) => {
                if let Poll::Ready(detached) = playing.viewer.poll_detached(cx) {
                    return Poll::Ready(Event::Detached(detached));
                }
            }
            Role::Idle | Role::Paused(_) => {}
        }
        if let (Some(timer), Some((deadline, _))) = (&mut self.timer, self.deadline)
            && timer.poll_until(cx, deadline).is_ready()
        {
            return Poll::Ready(Event::Deadline);
        }
        self.poll_read(cx).map(Event::Bytes)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stream = &*self.stream;
        self.link.read(|room| {
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut stream).poll_read(cx, &mut room))?;
            Poll::Ready(Ok(room.filled().len()))
        })
    }

    /// Handles what was read. Stops at a publish that the host has not answered: what follows belongs to it.
    fn on_messages(&mut self) -> Result<(), End> {
        while !matches!(self.role, Role::AwaitPublish(_)) && !self.link.is_empty() {
            let Some(message) = self.link.next(&self.host)? else { break };
            self.on_message(message)?;
        }
        self.link.keep_rest();
        self.push()
    }

    fn on_message(&mut self, message: Message<Payload<Host>>) -> Result<(), End> {
        let Message { type_id, chunk_stream, stream_id, timestamp, payload, offset } = message;
        let whole = payload.into_whole();
        let head = Message { type_id, chunk_stream, stream_id, timestamp, payload: (), offset };
        match (message::parse(&head, whole.as_ref())?, &whole) {
            (Body::Control(control), _) => self.on_control(control),
            (Body::Command(payload), _) => match Command::parse(payload, offset) {
                Ok(command) => self.on_command(command)?,
                // Framed well, only not understood: no reason to end.
                Err(error) => tracing::debug!(event = "rtmp.command_ignored", %error),
            },
            (Body::Audio(part), Whole::Host(buf)) => {
                self.on_media(type_id::AUDIO, timestamp, &part_of(buf, part), offset);
            }
            (Body::Video(part), Whole::Host(buf)) => {
                self.on_media(type_id::VIDEO, timestamp, &part_of(buf, part), offset);
            }
            (Body::Data(part), Whole::Host(buf)) => {
                self.on_media(type_id::DATA_AMF0, timestamp, &part_of(buf, part), offset);
            }
            (Body::Aggregate(parts), Whole::Host(buf)) => {
                for part in parts {
                    let part = part?;
                    let payload = part_of(buf, part.payload);
                    self.on_media(part.type_id, part.timestamp, &payload, offset);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::WindowAckSize(window) => self.link.set_ack_window(window),
            // Section 5.4.5: a new limit is answered with the window that is in force.
            Control::SetPeerBandwidth { .. } => {
                self.link.control(Control::WindowAckSize(link::WINDOW));
            }
            Control::User(UserControl::PingRequest(time)) => {
                self.link.event(UserControl::PingResponse(time));
            }
            // Acknowledgements tell what the kernel knows better; the rest is the chunk reader's or about buffers.
            Control::Acknowledgement(_)
            | Control::SetChunkSize(_)
            | Control::Abort { .. }
            | Control::User(_) => {}
        }
    }

    /// Sends what there is to send: itself, or through the host while a player is attached.
    async fn flush(&mut self) -> Result<(), End> {
        if self.link.output().is_empty() {
            return Ok(());
        }
        if let Role::Playing(playing) = &self.role {
            return match playing.viewer.inject(&[self.link.output()]) {
                Ok(true) => {
                    drop(self.link.take_output());
                    Ok(())
                }
                // Its last packet is out: what is left goes out when the host has told so.
                Ok(false) => Ok(()),
                Err(error) if error.status == plugin_api::Status::LIMIT => Err(End::Unread),
                Err(error) => Err(End::from_host(error)),
            };
        }
        let output = self.link.take_output();
        let mut stream = &*self.stream;
        match self.host.timeout(WRITE_TIMEOUT, stream.write_all(&output)).await {
            Ok(written) => Ok(written?),
            Err(error) if error.status == plugin_api::Status::TIMEOUT => {
                Err(End::WriteTimeout(WRITE_TIMEOUT))
            }
            Err(error) => Err(End::from_host(error)),
        }
    }

    /// The orderly end: our last words, the end of our half, then the peer's. Closing with unread input would reset the
    /// connection, and the peer might never see why.
    async fn close(&mut self) -> Result<(), End> {
        self.flush().await?;
        let mut stream = &*self.stream;
        let host = self.host.clone();
        let drained = host.timeout(LINGER, async {
            stream.shutdown().await?;
            let mut rest = vec![0; READ_LINGERING];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<(), io::Error>(())
        });
        drained.await.map_err(End::from_host)?.map_err(End::from)
    }

    /// Begins to wait for the client to say what it wants, for a limited time.
    fn idle(&mut self) -> Result<(), End> {
        self.role = Role::Idle;
        self.limit(self.config.handshake_timeout.get())
    }

    fn limit(&mut self, time: Duration) -> Result<(), End> {
        if self.timer.is_none() {
            self.timer = Some(self.host.timer().map_err(End::from_host)?);
        }
        self.deadline = Some((self.host.after(time), time));
        Ok(())
    }

    /// What it does now has its own limits.
    fn no_limit(&mut self) {
        (self.timer, self.deadline) = (None, None);
    }

    fn on_deadline(&mut self) -> End {
        let time = self.deadline.map_or(Duration::ZERO, |(_, time)| time);
        End::Idle(time)
    }

    /// It wants to publish or play, once more.
    fn count_start(&mut self) -> Result<(), End> {
        if self.starts.take(self.host.now(), STARTS_MAX) { Ok(()) } else { Err(End::TooOften) }
    }

    /// Where the connection was, for the log.
    fn phase(&self) -> &'static str {
        match (&self.connect, &self.role) {
            (None, _) => "connecting",
            (_, Role::Idle) => "idle",
            (_, Role::AwaitPublish(_) | Role::AwaitPlay(_)) => "waiting",
            (_, Role::Publishing(_) | Role::Playing(_)) => "streaming",
            (_, Role::Paused(_)) => "paused",
        }
    }

    fn log_end(&self, end: &End) {
        let (phase, role) = (self.phase(), self.role.name());
        let info = self.stream.info();
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    event = "session.end",
                    conn = info.id,
                    peer = %info.peer,
                    role,
                    phase,
                    key = self.key,
                    reason = %end,
                    "session ended"
                )
            };
        }
        // Connections that never said who they are come by the thousand: scanners, health checks, floods.
        let is_nobody = self.connect.is_none() && matches!(end, End::Idle(_));
        let has_streamed =
            matches!(self.role, Role::Publishing(_) | Role::Playing(_) | Role::Paused(_));
        match end.level() {
            _ if is_nobody => log!(debug),
            tracing::Level::ERROR => log!(error),
            tracing::Level::INFO if has_streamed => log!(info),
            tracing::Level::INFO if self.ticket.may_log_failure(self.host.now()) => log!(info),
            _ => log!(debug),
        }
    }
}

/// A part of a message's payload as memory of its own count: nothing is copied.
fn part_of(whole: &Buf, part: &[u8]) -> Buf {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => whole.slice(start..end),
        // An empty part may point anywhere.
        _ => Buf::default(),
    }
}

#[cfg(test)]
mod tests;
