//! The publishers: all streams of a run, sent at their pace by one thread.
//!
//! clip → schedule → **publisher** → session → socket

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

use crate::clip::Clip;
use crate::clock::{now_ns, sleep_until};
use crate::error::Error;
use crate::schedule::Schedule;
use crate::session::{Session, Wish};

/// How long the server may take for an answer, or to make room for a frame.
const IO_LIMIT: Duration = Duration::from_secs(5);

/// Running publishers; they stop when this is dropped.
pub(crate) struct Publishers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Since the last look: how late a frame was sent, at most.
    late_ns: AtomicU64,
    /// Sent in all.
    bytes: AtomicU64,
}

struct Publisher {
    socket: TcpStream,
    session: Session,
}

impl Publishers {
    /// Connects all of them, then begins to send.
    pub(crate) fn start(
        address: SocketAddr,
        wishes: impl Iterator<Item = Wish>,
        clip: Clip,
    ) -> Result<Self, Error> {
        let publishers: Vec<Publisher> =
            wishes.map(|wish| Publisher::open(address, wish, &clip)).collect::<Result<_, _>>()?;
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("publisher".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || send_all(publishers, &clip, &shared)
        });
        let thread = thread.map_err(Error::io("a thread"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How late frames were sent at most since the last call: the generator's own trouble, or a
    /// server that does not read.
    pub(crate) fn take_lateness_ns(&self) -> u64 {
        self.shared.late_ns.swap(0, Ordering::Relaxed)
    }

    /// Sent since the start, by all.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// # Errors
    ///
    /// A publisher that was cut off before.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.join()
    }

    fn join(&mut self) -> Result<(), Error> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| ended.unwrap_or(Err(Error::Closed("of a publisher"))))
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        // Whoever drops it without `stop` has an error of its own to tell.
        let _unheard = self.join();
    }
}

fn send_all(mut publishers: Vec<Publisher>, clip: &Clip, shared: &Shared) -> Result<(), Error> {
    let mut schedule = Schedule::new(publishers.len(), now_ns());
    let (mut body, mut out) = (Vec::new(), Vec::new());
    while !shared.stop.load(Ordering::Relaxed) {
        let due_ns = schedule.next_ns();
        sleep_until(due_ns);
        let Some((index, frame)) = schedule.take() else { break };
        let publisher = &mut publishers[index];
        let sent_ns = now_ns();
        shared.late_ns.fetch_max(sent_ns.saturating_sub(due_ns), Ordering::Relaxed);
        clip.write(&frame, sent_ns, &mut body);
        out.clear();
        publisher.session.write(frame.type_id, frame.time_ms, &body, &mut out);
        publisher.send(&out)?;
        shared.bytes.fetch_add(u64::try_from(out.len()).unwrap_or(0), Ordering::Relaxed);
        if frame.is_keyframe() {
            publisher.listen()?;
        }
    }
    Ok(())
}

impl Publisher {
    fn open(address: SocketAddr, wish: Wish, clip: &Clip) -> Result<Self, Error> {
        let failed = || Error::io(format!("publisher to {address}"));
        let socket = TcpStream::connect_timeout(&address, IO_LIMIT).map_err(failed())?;
        socket.set_nodelay(true).map_err(failed())?;
        socket.set_read_timeout(Some(IO_LIMIT)).map_err(failed())?;
        socket.set_write_timeout(Some(IO_LIMIT)).map_err(failed())?;
        let mut out = Vec::new();
        let session = Session::new(wish, &mut out);
        let mut publisher = Self { socket, session };
        let mut input = [0; 8192];
        loop {
            publisher.send(&out)?;
            if publisher.session.is_ready() {
                break;
            }
            out.clear();
            let len = match publisher.socket.read(&mut input) {
                Ok(0) => return Err(Error::Closed("before publishing began")),
                Ok(len) => len,
                Err(error) if is_timeout(&error) => return Err(Error::Timeout("to a publisher")),
                Err(error) => return Err(failed()(error)),
            };
            publisher.session.push(&input[..len], &mut out, |_| {})?;
        }
        out.clear();
        for (type_id, body) in clip.preamble() {
            publisher.session.write(type_id, 0, &body, &mut out);
        }
        publisher.send(&out)?;
        Ok(publisher)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes).map_err(|error| match error {
            error if is_timeout(&error) => Error::Timeout("to a publisher's frame"),
            error => Error::io("writing as a publisher")(error),
        })
    }

    /// Takes what the server says in between: acknowledgements, pings, the end.
    fn listen(&mut self) -> Result<(), Error> {
        let mut input = [0; 8192];
        let mut out = Vec::new();
        loop {
            match recv(&self.socket, &mut input, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(Error::Closed("of a publisher")),
                Ok((_, len)) => self.session.push(&input[..len], &mut out, |_| {})?,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(Error::io("reading as a publisher")(error)),
            }
        }
        self.send(&out)
    }
}

/// What a read or write with a time limit says when it is over.
fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
