//! The baseline: what the kernel alone takes to send one frame to each viewer.
//!
//! clip → schedule → **bare** → socket
//!
//! One thread, one `send()` for each frame and socket, no RTMP from the viewer, no publisher. It
//! makes its frames itself and stamps them as the publisher does. Runs as a process of its own so
//! that its CPU time can be told from the generator's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::chunk::{self, Header, type_id};
use crate::clip::{self, Clip};
use crate::clock::now_ns;
use crate::error::Error;
use crate::options::Media;
use crate::schedule::Schedule;

/// Larger than any frame, so that a frame is one chunk.
const CHUNK_SIZE: u32 = 1 << 20;
const CHUNK_SIZE_LEN: usize = CHUNK_SIZE as usize;
/// A viewer further behind is let go.
const BACKLOG_MAX: usize = 16 << 20;
/// How soon a viewer whose socket was full is tried again.
const RETRY_NS: u64 = 1_000_000;
/// Viewers are accepted that often even when frames are late.
const LOOK_NS: u64 = 50_000_000;

struct Viewer {
    socket: TcpStream,
    stream: usize,
    /// Begins with a keyframe.
    has_begun: bool,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

/// Says its address on standard output, then serves until standard input ends.
pub(crate) fn run(media: Media) -> Result<(), Error> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any).map_err(Error::io("the bare loop"))?;
    listener.set_nonblocking(true).map_err(Error::io("the bare loop"))?;
    let address = listener.local_addr().map_err(Error::io("the bare loop"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{address}").map_err(Error::io("the bare loop"))?;
    stdout.flush().map_err(Error::io("the bare loop"))?;
    let parent = thread::Builder::new().name("parent".to_owned());
    let watcher = parent.spawn(|| {
        // Nothing is ever written; its end is that of the one who started us.
        let _end = std::io::stdin().read(&mut [0]);
        process::exit(0);
    });
    watcher.map_err(Error::io("a thread"))?;
    serve(&listener, media)
}

fn serve(listener: &TcpListener, media: Media) -> Result<(), Error> {
    let mut schedule = Schedule::new(Clip::new(media.bitrate), media.streams, now_ns());
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut accepted = 0;
    let (mut body, mut message) = (Vec::new(), Vec::new());
    let mut looked_ns = 0;
    loop {
        let now = now_ns();
        if now < schedule.next_ns() || now > looked_ns + LOOK_NS {
            looked_ns = now;
            if wait(listener, &mut viewers, schedule.next_ns())? {
                accept(listener, media.streams, &mut accepted, &mut viewers)?;
            }
            continue;
        }
        let Some((stream, frame)) = schedule.take() else { return Ok(()) };
        frame.write(now_ns(), &mut body);
        message.clear();
        let chunk_stream = if frame.type_id == clip::AUDIO { 4 } else { 6 };
        let timestamp = frame.time_ms;
        let header = Header { chunk_stream, type_id: frame.type_id, stream_id: 1, timestamp };
        chunk::write(&header, &body, CHUNK_SIZE_LEN, &mut message);
        viewers.retain_mut(|viewer| {
            viewer.has_begun |= viewer.stream == stream && frame.is_keyframe();
            !viewer.has_begun || viewer.stream != stream || viewer.send(&message)
        });
    }
}

/// Waits until the next frame; `true` if somebody wants to be accepted.
fn wait(listener: &TcpListener, viewers: &mut Vec<Viewer>, due_ns: u64) -> Result<bool, Error> {
    let mut left = due_ns.saturating_sub(now_ns());
    if viewers.iter().any(|viewer| !viewer.backlog.is_empty()) {
        viewers.retain_mut(|viewer| viewer.send(&[]));
        left = left.min(RETRY_NS);
    }
    let nanos = i64::try_from(left).unwrap_or(i64::MAX);
    let timeout = Timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
    let mut sockets = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
    match poll(&mut sockets, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Error::io("poll")(error)),
    }
}

fn accept(
    listener: &TcpListener,
    streams: usize,
    accepted: &mut usize,
    viewers: &mut Vec<Viewer>,
) -> Result<(), Error> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Error::io("accept")(error)),
        };
        socket.set_nodelay(true).map_err(Error::io("accept"))?;
        let stream = *accepted % streams;
        let mut viewer = Viewer { socket, stream, has_begun: false, backlog: Vec::new() };
        *accepted += 1;
        if viewer.send(&preamble()) {
            viewers.push(viewer);
        }
    }
}

fn preamble() -> Vec<u8> {
    let mut preamble = Vec::new();
    let type_id = type_id::SET_CHUNK_SIZE;
    let header = Header { chunk_stream: 2, type_id, stream_id: 0, timestamp: 0 };
    chunk::write(&header, &CHUNK_SIZE.to_be_bytes(), chunk::SIZE_DEFAULT, &mut preamble);
    for (type_id, body) in Clip::preamble() {
        let header = Header { chunk_stream: 6, type_id, stream_id: 1, timestamp: 0 };
        chunk::write(&header, &body, CHUNK_SIZE_LEN, &mut preamble);
    }
    preamble
}

impl Viewer {
    /// Sends what is left over and then `bytes`; `false` if the viewer is gone.
    fn send(&mut self, bytes: &[u8]) -> bool {
        if self.backlog.is_empty() {
            return match self.try_send(bytes) {
                Ok(sent) => {
                    self.backlog.extend_from_slice(&bytes[sent..]);
                    true
                }
                Err(_) => false,
            };
        }
        self.backlog.extend_from_slice(bytes);
        let backlog = std::mem::take(&mut self.backlog);
        let Ok(sent) = self.try_send(&backlog) else { return false };
        self.backlog = backlog;
        self.backlog.drain(..sent);
        self.backlog.len() <= BACKLOG_MAX
    }

    fn try_send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => Ok(0),
            outcome => outcome,
        }
    }
}
