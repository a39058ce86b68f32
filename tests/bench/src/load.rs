//! The viewers: any number of sockets on one epoll in one thread.
//!
//! socket → wire → **load** → session, flv → checker → figures

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustls::ClientConfig;

use crate::checker::{Checker, Faults, Window};
use crate::chunk::Message;
use crate::clock::{as_ns, now_ns};
use crate::error::Error;
use crate::flv;
use crate::session::{Session, Wish};
use crate::wire::Wire;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Events taken from epoll at a time.
const EVENTS_MAX: usize = 256;
/// Read at a time; more than any frame, so one call is enough as a rule.
const SCRATCH_LEN: usize = 256 << 10;
/// How often a signal is looked for while nothing arrives.
const IDLE_NS: u64 = 100_000_000;
/// How long a guest stays: longer than a GOP, which it may have to wait for.
const VISIT_NS: u64 = 3_000_000_000;

pub(crate) struct Load {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    viewers: Vec<Option<Viewer>>,
    /// Places of viewers that have left.
    vacant: Vec<usize>,
    /// When which guest leaves.
    guests: VecDeque<(u64, usize)>,
    /// Of guests that have left, and of viewers that could not connect.
    past: Verdict,
    scratch: Vec<u8>,
    stop: Arc<AtomicBool>,
    /// Viewers use TLS, and trust this.
    pub tls: Option<Arc<ClientConfig>>,
    pub window: Window,
    /// Received in all, since the start.
    pub bytes: u64,
    /// Of every picture in the window and every viewer, in microseconds.
    pub latencies_us: Vec<u64>,
}

struct Viewer {
    wire: Wire,
    client: Client,
    checker: Checker,
    asked_ns: Option<u64>,
    lost: Option<Error>,
    /// Comes and leaves within the window.
    is_guest: bool,
}

/// What the viewers have to say in the end.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub faults: Faults,
    /// Guests that came and left.
    pub guests: u64,
    /// From sending `play`, or the request, to the end of the first audio or video message, in microseconds. Of guests
    /// only, if there are any.
    pub first_media_us: Vec<u64>,
    /// To the end of the first keyframe.
    pub first_keyframes_us: Vec<u64>,
    /// Of each viewer, in microseconds.
    pub longest_gaps_us: Vec<u64>,
    /// Why the first of the lost viewers was lost.
    pub reason: Option<String>,
}

/// How a viewer begins.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    /// The server sends chunks at once and reads nothing.
    Bare,
    /// With this request.
    HttpFlv(Vec<u8>),
    Rtmp(Wish),
}

/// A viewer's side of the protocol.
enum Client {
    HttpFlv(flv::Client),
    Rtmp(Session),
}

impl Load {
    /// `stop` ends every wait with [`Error::Interrupted`].
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::io("epoll"))?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            viewers: Vec::new(),
            vacant: Vec::new(),
            guests: VecDeque::new(),
            past: Verdict::default(),
            scratch: vec![0; SCRATCH_LEN],
            stop,
            tls: None,
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
        mut openings: impl ExactSizeIterator<Item = Opening>,
        ramp: Duration,
    ) -> Result<(), Error> {
        let step = as_ns(ramp) / u64::try_from(openings.len().max(1)).unwrap_or(1);
        let mut due = now_ns();
        while let Some(opening) = openings.next() {
            if let Err(error) = self.open_one(address, opening) {
                let lost = u64::try_from(openings.len() + 1).unwrap_or(u64::MAX);
                self.past.lose(lost, &error);
                break;
            }
            due += step;
            self.run_until(due)?;
        }
        Ok(())
    }

    /// One more viewer, which leaves after [`VISIT_NS`].
    pub(crate) fn invite(&mut self, address: SocketAddr, opening: Opening) {
        match self.open_one(address, opening) {
            Ok(index) => {
                self.guests.push_back((now_ns() + VISIT_NS, index));
                if let Some(viewer) = &mut self.viewers[index] {
                    viewer.is_guest = true;
                }
            }
            Err(error) => self.past.lose(1, &error),
        }
    }

    fn open_one(&mut self, address: SocketAddr, opening: Opening) -> Result<usize, Error> {
        let failed = || Error::io(format!("viewer {} to {address}", self.viewers.len() + 1));
        let socket = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(failed())?;
        socket.set_nodelay(true).map_err(failed())?;
        socket.set_nonblocking(true).map_err(failed())?;
        let mut out = Vec::new();
        let (client, asked_ns) = match opening {
            // It lets viewers wait for the next keyframe: no time to tell.
            Opening::Bare => (Client::Rtmp(Session::bare()), None),
            Opening::HttpFlv(request) => {
                out = request;
                (Client::HttpFlv(flv::Client::default()), Some(now_ns()))
            }
            Opening::Rtmp(wish) => (Client::Rtmp(Session::new(wish, &mut out)), None),
        };
        let mut wire = Wire::new(socket, self.tls.as_ref())?;
        wire.send(&out).map_err(failed())?;
        let index = self.vacant.pop().unwrap_or(self.viewers.len());
        let data = epoll::EventData::new_u64(u64::try_from(index).unwrap_or(u64::MAX));
        epoll::add(&self.epoll, &wire, data, epoll::EventFlags::IN).map_err(Error::io("epoll"))?;
        let checker = Checker::default();
        let viewer = Viewer { wire, client, checker, asked_ns, lost: None, is_guest: false };
        match self.viewers.get_mut(index) {
            Some(place) => *place = Some(viewer),
            None => self.viewers.push(Some(viewer)),
        }
        Ok(index)
    }

    /// From now on nobody reads.
    pub(crate) fn stall(&mut self) -> Result<(), Error> {
        for viewer in self.viewers.iter().flatten().filter(|viewer| viewer.lost.is_none()) {
            epoll::delete(&self.epoll, &viewer.wire).map_err(Error::io("epoll"))?;
        }
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
            let now_ns = now_ns();
            self.see_guests_off(now_ns);
            if now_ns >= due_ns {
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
            let Some(Some(viewer)) = self.viewers.get_mut(index) else { continue };
            let (latencies, window) = (&mut self.latencies_us, &self.window);
            match viewer.receive(&mut self.scratch, window, latencies) {
                Ok(received) => self.bytes += received,
                Err(error) => {
                    // Else a socket at its end would wake us for ever.
                    epoll::delete(&self.epoll, &viewer.wire).map_err(Error::io("epoll"))?;
                    viewer.lost = Some(error);
                }
            }
        }
        Ok(())
    }

    fn see_guests_off(&mut self, now_ns: u64) {
        while let Some((_, index)) = self.guests.pop_front_if(|(due_ns, _)| *due_ns <= now_ns) {
            if let Some(viewer) = self.viewers[index].take() {
                self.past.guests += 1;
                self.past.hear(&viewer, viewer.checker.first_keyframe_ns.is_some());
                self.vacant.push(index);
            }
        }
    }

    fn present(&self) -> impl Iterator<Item = &Viewer> {
        self.viewers.iter().flatten()
    }

    /// Whether every viewer that is left has all that was sent in the window.
    pub(crate) fn is_complete(&self) -> bool {
        let mut left = self.present().filter(|viewer| viewer.lost.is_none());
        left.all(|viewer| viewer.checker.has_all_until(self.window.to_ns))
    }

    pub(crate) fn verdict(&mut self) -> Verdict {
        let mut verdict = std::mem::take(&mut self.past);
        for viewer in self.viewers.iter_mut().flatten().filter(|viewer| !viewer.is_guest) {
            if verdict.guests > 0 {
                // Where there are guests, theirs are the times to tell.
                viewer.asked_ns = None;
            }
            verdict.hear(viewer, viewer.checker.has_all_until(self.window.to_ns));
        }
        verdict
    }
}

impl Verdict {
    fn hear(&mut self, viewer: &Viewer, is_complete: bool) {
        let checker = &viewer.checker;
        self.faults.add(&checker.faults);
        self.longest_gaps_us.push(checker.longest_gap_ns / 1000);
        if let Some(asked_ns) = viewer.asked_ns {
            let since = |seen_ns: u64| seen_ns.saturating_sub(asked_ns) / 1000;
            self.first_media_us.extend(checker.first_media_ns.map(since));
            self.first_keyframes_us.extend(checker.first_keyframe_ns.map(since));
        }
        match &viewer.lost {
            Some(error) => self.lose(1, error),
            None if !is_complete => self.lose(1, &Error::Silence),
            None => {}
        }
    }

    fn lose(&mut self, viewers: u64, error: &Error) {
        self.faults.viewers_lost += viewers;
        self.reason.get_or_insert_with(|| error.to_string());
    }
}

impl Viewer {
    /// Reads what is there; gives the number of bytes.
    fn receive(
        &mut self,
        scratch: &mut [u8],
        window: &Window,
        latencies_us: &mut Vec<u64>,
    ) -> Result<u64, Error> {
        let Self { wire, client, checker, asked_ns, .. } = self;
        let mut out = Vec::new();
        let received = wire.receive(scratch, |input| {
            let now_ns = now_ns();
            let media = |message: Message<'_>| {
                let latency = checker.on_media(&message, now_ns, window);
                latencies_us.extend(latency.map(|ns| ns / 1000));
            };
            match client {
                Client::HttpFlv(client) => client.push(input, media)?,
                Client::Rtmp(session) => session.push(input, &mut out, media)?,
            }
            Ok(())
        })?;
        if !out.is_empty() {
            let has_asked = matches!(client, Client::Rtmp(session) if session.has_asked());
            if asked_ns.is_none() && has_asked {
                *asked_ns = Some(now_ns());
            }
            wire.send(&out).map_err(Error::io("writing as a viewer"))?;
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::chunk::{self, Header};
    use crate::clip::{self, Clip, Frame, Frames};

    /// What two viewers say of a server that sends six seconds of a clip at once, without the frames
    /// that `drops` picks.
    fn watch(drops: fn(&Frame) -> bool) -> (Verdict, Load) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let clip = Clip::of(200_000).unwrap();
            let frames = Frames::default().take_while(|frame| frame.time_ms <= 6000);
            let (mut body, mut out) = (Vec::new(), Vec::new());
            for frame in frames.filter(|frame| !drops(frame)) {
                clip.write(&frame, u64::from(frame.time_ms), &mut body);
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
        let mut load = Load::new(Arc::default()).unwrap();
        load.window = Window { from_ns: 0, to_ns: 6000 };
        load.open(address, [Opening::Bare, Opening::Bare].into_iter(), Duration::ZERO).unwrap();
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
        assert!(load.bytes > 2 * 120_000, "{} bytes", load.bytes);
    }

    #[test]
    fn viewers_see_what_is_missing() {
        let (verdict, _) = watch(|frame| frame.sequence == 42);

        assert_eq!(verdict.faults, Faults { missing: 2 * 2, ..Faults::default() });
    }
}
