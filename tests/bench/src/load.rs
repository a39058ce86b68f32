//! The viewers: any number of sockets on one epoll in one thread.
//!
//! socket → **load** → session → checker → figures

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::checker::{Checker, Faults, Window};
use crate::clock::{as_ns, now_ns};
use crate::error::Error;
use crate::session::{Session, Wish};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Events taken from epoll at a time.
const EVENTS_MAX: usize = 256;
/// Read at a time; more than any frame, so one call is enough as a rule.
const SCRATCH_LEN: usize = 256 << 10;
/// How often a signal is looked for while nothing arrives.
const IDLE_NS: u64 = 100_000_000;

pub(crate) struct Load {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    viewers: Vec<Viewer>,
    /// Viewers that could not connect, and why the first could not.
    unopened: Option<(u64, Error)>,
    scratch: Vec<u8>,
    stop: Arc<AtomicBool>,
    pub window: Window,
    /// Received in all, since the start.
    pub bytes: u64,
    /// Of every picture in the window and every viewer, in microseconds.
    pub latencies_us: Vec<u64>,
}

struct Viewer {
    socket: TcpStream,
    session: Session,
    checker: Checker,
    asked_ns: Option<u64>,
    lost: Option<Error>,
}

/// What the viewers have to say in the end.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub faults: Faults,
    /// From sending `play` to the end of the first keyframe, in microseconds.
    pub first_keyframes_us: Vec<u64>,
    /// Of each viewer, in microseconds.
    pub longest_gaps_us: Vec<u64>,
    /// Why the first of the lost viewers was lost.
    pub reason: Option<String>,
}

/// How a viewer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Bare,
    Rtmp,
}

impl Load {
    /// `stop` ends every wait with [`Error::Interrupted`].
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::io("epoll"))?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            viewers: Vec::new(),
            unopened: None,
            scratch: vec![0; SCRATCH_LEN],
            stop,
            window: Window::CLOSED,
            bytes: 0,
            latencies_us: Vec::new(),
        })
    }

    /// Opens viewers one after another, spread over `ramp`, and serves those that are there. Once a
    /// server does not accept one, it is not asked for more: the run is invalid anyway.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        opening: Opening,
        mut wishes: impl ExactSizeIterator<Item = Wish>,
        ramp: Duration,
    ) -> Result<(), Error> {
        let step = as_ns(ramp) / u64::try_from(wishes.len().max(1)).unwrap_or(1);
        let mut due = now_ns();
        while let Some(wish) = wishes.next() {
            if let Err(error) = self.open_one(address, opening, wish) {
                let lost = u64::try_from(wishes.len() + 1).unwrap_or(u64::MAX);
                self.unopened = Some((lost, error));
                break;
            }
            due += step;
            self.run_until(due)?;
        }
        Ok(())
    }

    fn open_one(&mut self, address: SocketAddr, opening: Opening, wish: Wish) -> Result<(), Error> {
        let failed = || Error::io(format!("viewer {} to {address}", self.viewers.len() + 1));
        let mut socket = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(failed())?;
        socket.set_nodelay(true).map_err(failed())?;
        socket.set_nonblocking(true).map_err(failed())?;
        let mut out = Vec::new();
        let (session, asked_ns) = match opening {
            // It lets viewers wait for the next keyframe: no time to tell.
            Opening::Bare => (Session::bare(wish), None),
            Opening::Rtmp => (Session::new(wish, &mut out), None),
        };
        socket.write_all(&out).map_err(failed())?;
        let index = u64::try_from(self.viewers.len()).unwrap_or(u64::MAX);
        let data = epoll::EventData::new_u64(index);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)
            .map_err(Error::io("epoll"))?;
        let checker = Checker::default();
        self.viewers.push(Viewer { socket, session, checker, asked_ns, lost: None });
        Ok(())
    }

    /// Serves all viewers until `due_ns`, once at least.
    pub(crate) fn run_until(&mut self, due_ns: u64) -> Result<(), Error> {
        loop {
            let left = due_ns.saturating_sub(now_ns());
            self.turn(left.min(IDLE_NS))?;
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if now_ns() >= due_ns {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, wait_ns: u64) -> Result<(), Error> {
        let nanos = i64::try_from(wait_ns).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io("epoll")(error)),
        }
        for event in &self.events {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(viewer) = self.viewers.get_mut(index) else { continue };
            let (latencies, window) = (&mut self.latencies_us, &self.window);
            match viewer.receive(&mut self.scratch, window, latencies) {
                Ok(received) => self.bytes += received,
                Err(error) => {
                    // Else a socket at its end would wake us for ever.
                    epoll::delete(&self.epoll, &viewer.socket).map_err(Error::io("epoll"))?;
                    viewer.lost = Some(error);
                }
            }
        }
        Ok(())
    }

    /// Whether every viewer that is left has all that was sent in the window.
    pub(crate) fn is_complete(&self) -> bool {
        let mut left = self.viewers.iter().filter(|viewer| viewer.lost.is_none());
        left.all(|viewer| viewer.checker.has_all_until(self.window.to_ns))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        if let Some((lost, error)) = &self.unopened {
            verdict.faults.viewers_lost += lost;
            verdict.reason = Some(error.to_string());
        }
        for viewer in &self.viewers {
            let checker = &viewer.checker;
            verdict.faults.add(&checker.faults);
            verdict.longest_gaps_us.push(checker.longest_gap_ns / 1000);
            if let (Some(asked), Some(seen)) = (viewer.asked_ns, checker.first_keyframe_ns) {
                verdict.first_keyframes_us.push(seen.saturating_sub(asked) / 1000);
            }
            if viewer.lost.is_some() || !checker.has_all_until(self.window.to_ns) {
                verdict.faults.viewers_lost += 1;
                let reason = viewer.lost.as_ref().map(Error::to_string);
                let silence = || "media stopped before the end of the window".to_owned();
                verdict.reason.get_or_insert_with(|| reason.unwrap_or_else(silence));
            }
        }
        verdict
    }
}

impl Viewer {
    /// Reads once; gives the number of bytes.
    fn receive(
        &mut self,
        scratch: &mut [u8],
        window: &Window,
        latencies_us: &mut Vec<u64>,
    ) -> Result<u64, Error> {
        let len = match self.socket.read(scratch) {
            Ok(0) => return Err(Error::Closed("of a viewer")),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(Error::io("reading as a viewer")(error)),
        };
        let now_ns = now_ns();
        let mut out = Vec::new();
        let checker = &mut self.checker;
        self.session.push(&scratch[..len], &mut out, |message| {
            let latency = checker.on_media(&message, now_ns, window);
            latencies_us.extend(latency.map(|ns| ns / 1000));
        })?;
        if !out.is_empty() {
            if self.asked_ns.is_none() && self.session.has_asked() {
                self.asked_ns = Some(now_ns);
            }
            self.socket.write_all(&out).map_err(Error::io("writing as a viewer"))?;
        }
        Ok(u64::try_from(len).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::chunk::{self, Header};
    use crate::clip::{self, Clip, Frame};
    use crate::session::Role;

    /// What two viewers say of a server that sends six seconds of a clip at once, without the frames
    /// that `drops` picks.
    fn watch(drops: fn(&Frame) -> bool) -> (Verdict, Load) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let frames = Clip::new(200_000).frames().take_while(|frame| frame.time_ms <= 6000);
            let (mut body, mut out) = (Vec::new(), Vec::new());
            for frame in frames.filter(|frame| !drops(frame)) {
                frame.write(u64::from(frame.time_ms), &mut body);
                let type_id = frame.type_id;
                let chunk_stream = if type_id == clip::AUDIO { 4 } else { 6 };
                let timestamp = frame.time_ms;
                let header = Header { chunk_stream, type_id, stream_id: 1, timestamp };
                chunk::write(&header, &body, chunk::SIZE_DEFAULT, &mut out);
            }
            let mut sockets: Vec<TcpStream> =
                (0..2).map(|_| listener.accept().unwrap().0).collect();
            sockets.iter_mut().for_each(|socket| socket.write_all(&out).unwrap());
            sockets
        });
        let wish = || Wish {
            role: Role::Play,
            tc_url: String::new(),
            app: String::new(),
            name: String::new(),
        };
        let mut load = Load::new(Arc::default()).unwrap();
        load.window = Window { from_ns: 0, to_ns: 6000 };
        load.open(address, Opening::Bare, [wish(), wish()].into_iter(), Duration::ZERO).unwrap();
        let deadline = now_ns() + 5_000_000_000;
        while !load.is_complete() && now_ns() < deadline {
            load.run_until(now_ns() + 1_000_000).unwrap();
        }
        drop(server.join().unwrap());
        (load.verdict(), load)
    }

    #[test]
    fn viewers_see_every_frame() {
        let (verdict, load) = watch(|_| false);

        assert!(verdict.faults.is_clean(), "{verdict:?}");
        assert_eq!(load.latencies_us.len(), 2 * 150);
        assert!(load.bytes > 2 * 150_000, "{} bytes", load.bytes);
    }

    #[test]
    fn viewers_see_what_is_missing() {
        let (verdict, _) = watch(|frame| frame.sequence == 42);

        assert_eq!(verdict.faults, Faults { missing: 2 * 2, ..Faults::default() });
    }
}
