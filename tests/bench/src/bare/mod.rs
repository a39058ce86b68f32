//! The baseline: what the kernel alone takes to bring each frame to each viewer.
//!
//! clip → schedule → **bare** → socket
//!
//! One thread, no RTMP from the viewer, no publisher: it makes its frames itself and stamps them as the publisher does.
//! Real-time, each frame goes out in one call for each viewer; coalescing, what has become due in an interval does. How
//! the bytes reach the kernel is the [`Engine`]: a system call for each viewer, or one for all. Runs as a process of its
//! own, so that its CPU time can be told from the generator's.

mod send;
mod uring;
mod viewers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::process;
use std::thread;

use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::send::Send;
use self::uring::Uring;
use self::viewers::{Batch, Viewers};
use crate::chunk::{self, Header, type_id};
use crate::clip::{self, Clip};
use crate::clock::now_ns;
use crate::error::Error;
use crate::options::Media;
use crate::schedule::Schedule;

/// Larger than any frame, so that a frame is one chunk.
const CHUNK_SIZE: u32 = 1 << 20;
const CHUNK_SIZE_LEN: usize = CHUNK_SIZE as usize;
/// How soon a viewer whose socket was full is tried again.
const RETRY_NS: u64 = 1_000_000;
/// Viewers are accepted that often even when frames are late.
const LOOK_NS: u64 = 50_000_000;

/// What the loop does; the same words on its command line and in a report.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    #[arg(long, value_enum)]
    pub engine: EngineKind,

    /// Sends once in so many milliseconds what has become due; each frame at once if zero.
    #[arg(long)]
    pub every_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineKind {
    Send,
    Uring,
}

/// Gives bytes to the kernel.
trait Engine {
    /// The slot of a viewer that came, for [`Self::send_all`].
    fn admit(&mut self, viewer: &viewers::Viewer) -> Result<(), Error>;

    /// Sends `batch` to all viewers of a stream; lets go of those that are gone.
    fn send_all(&mut self, viewers: &mut Vec<viewers::Viewer>, batch: &Batch) -> Result<(), Error>;
}

/// Says its address on standard output, then serves until standard input ends.
pub(crate) fn run(method: Method, media: Media) -> Result<(), Error> {
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
    match method.engine {
        EngineKind::Send => serve(&listener, media, method.every_ms, Send),
        EngineKind::Uring => serve(&listener, media, method.every_ms, Uring::new()?),
    }
}

fn serve(
    listener: &TcpListener,
    media: Media,
    every_ms: u32,
    mut engine: impl Engine,
) -> Result<(), Error> {
    let clip = Clip::of(media.bitrate)?;
    let every_ns = u64::from(every_ms) * 1_000_000;
    let start_ns = now_ns();
    let mut schedule = Schedule::new(media.streams, start_ns);
    let mut tick_ns = start_ns + every_ns;
    let mut viewers = Viewers::new(media.streams, preamble(&clip));
    let mut batches: Vec<Batch> = (0..media.streams).map(|_| Batch::default()).collect();
    let (mut body, mut looked_ns) = (Vec::new(), 0);
    loop {
        let due_ns = if every_ns == 0 { schedule.next_ns() } else { tick_ns };
        let now = now_ns();
        if now < due_ns || now > looked_ns + LOOK_NS {
            looked_ns = now;
            if wait(listener, &mut viewers, due_ns)? {
                viewers.accept(listener, &mut engine)?;
            }
            continue;
        }
        while schedule.next_ns() <= due_ns {
            let sent_ns = schedule.next_ns();
            let Some((stream, frame)) = schedule.take() else { return Ok(()) };
            let batch = &mut batches[stream];
            if frame.is_keyframe() {
                batch.keyframe.get_or_insert(batch.bytes.len());
            }
            clip.write(&frame, sent_ns, &mut body);
            let chunk_stream = if frame.type_id == clip::AUDIO { 4 } else { 6 };
            let timestamp = frame.time_ms;
            let header = Header { chunk_stream, type_id: frame.type_id, stream_id: 1, timestamp };
            chunk::write(&header, &body, CHUNK_SIZE_LEN, &mut batch.bytes);
            if every_ns == 0 {
                engine.send_all(viewers.of(stream), batch)?;
                batch.clear();
            }
        }
        if every_ns > 0 {
            for (stream, batch) in batches.iter_mut().enumerate() {
                engine.send_all(viewers.of(stream), batch)?;
                batch.clear();
            }
            tick_ns += every_ns;
        }
    }
}

/// Waits until `due_ns`; `true` if somebody wants to be accepted.
fn wait(listener: &TcpListener, viewers: &mut Viewers, due_ns: u64) -> Result<bool, Error> {
    let mut left = due_ns.saturating_sub(now_ns());
    if viewers.retry() {
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

fn preamble(clip: &Clip) -> Vec<u8> {
    let mut preamble = Vec::new();
    let type_id = type_id::SET_CHUNK_SIZE;
    let header = Header { chunk_stream: 2, type_id, stream_id: 0, timestamp: 0 };
    chunk::write(&header, &CHUNK_SIZE.to_be_bytes(), chunk::SIZE_DEFAULT, &mut preamble);
    for (type_id, body) in clip.preamble() {
        let header = Header { chunk_stream: 6, type_id, stream_id: 1, timestamp: 0 };
        chunk::write(&header, &body, CHUNK_SIZE_LEN, &mut preamble);
    }
    preamble
}
