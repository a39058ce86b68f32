//! The loop of one fan-out thread.
//!
//! Wait; what sockets say; what the inbox says (commands, then feeds that have grown); who has more to send; who is
//! stalled. Sockets are watched edge-triggered, once for both directions, so that a viewer that keeps up costs one
//! send per batch and nothing else.

mod feeds;
mod in_sync;
mod members;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_api::mem::Pool;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use slab::Slab;

use self::feeds::Group;
use super::attached::{Attached, Leave, Visit};
use super::inbox::{Command, Inbox, Waiting};
use super::lag::LagPolicy;
use super::loads::{Counters, Loads};
use super::sender::{self, Progress, Sender, Target};
use super::{Mechanism, Settings};
use crate::hub::Reason;
use crate::log::quiet::Quiet;
use crate::net::PIPE_BYTES_MAX;

/// Events of one wait.
const EVENTS_MAX: usize = 256;

/// The inbox's mark in epoll; no viewer has number 0.
const INBOX: u64 = 0;

/// One thread's viewers, and the feeds that they watch.
pub(super) struct Worker {
    index: usize,
    epoll: OwnedFd,
    inbox: Arc<Inbox>,
    pool: Pool,
    loads: Arc<Loads>,
    /// For lines about viewers that begin.
    starts: Arc<Quiet>,
    policy: LagPolicy,
    send_buffer: Option<usize>,
    sender: CountingSender,
    mechanism: Mechanism,
    viewers: Slab<Box<Attached>>,
    by_number: HashMap<u64, usize>,
    groups: Slab<Group>,
    by_feed: HashMap<u64, usize>,
    /// Slots of feeds that have grown.
    news: VecDeque<usize>,
    /// When the news of which feed have waited for long enough.
    due: BTreeSet<(Instant, usize)>,
    /// Slots of viewers that have more to do.
    revisit: Vec<usize>,
    mail: Waiting,
    /// Commands that came in the middle of a round.
    deferred: Vec<Command>,
    /// Slots of those that did not take all of a round, and what they took; empty between rounds.
    cut_short: Vec<(u32, Progress)>,
    scratch: Box<[u8]>,
    /// The kernel is full for somebody: look for stalled ones from then on.
    next_tick: Option<Instant>,
    quit: bool,
}

impl Worker {
    pub(super) fn new(
        index: usize,
        settings: &Settings,
        inbox: Arc<Inbox>,
        pool: Pool,
        loads: Arc<Loads>,
        starts: Arc<Quiet>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mark = EventData::new_u64(INBOX);
        epoll::add(&epoll, inbox.descriptor(), mark, EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            index,
            epoll,
            inbox,
            pool,
            policy: LagPolicy::new(settings),
            send_buffer: settings.send_buffer,
            sender: CountingSender { sender: sender::portable(), loads: Arc::clone(&loads), index },
            mechanism: settings.sender,
            loads,
            starts,
            viewers: Slab::new(),
            by_number: HashMap::new(),
            groups: Slab::new(),
            by_feed: HashMap::new(),
            news: VecDeque::new(),
            due: BTreeSet::new(),
            revisit: Vec::new(),
            mail: Waiting::default(),
            deferred: Vec::new(),
            cut_short: Vec::new(),
            scratch: vec![0; PIPE_BYTES_MAX].into(),
            next_tick: None,
            quit: false,
        })
    }

    /// Until it is told to quit.
    pub(super) fn run(mut self) {
        self.sender.sender = sender::open(self.mechanism, self.index);
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while !self.quit {
            if catch_unwind(AssertUnwindSafe(|| self.pass(&mut events))).is_err() {
                self.recover();
            }
        }
        for command in self.inbox.close() {
            if let Command::Attach(viewer) = command {
                self.finish(*viewer, Leave::Dead(Reason::Stopped));
            }
        }
    }

    fn pass(&mut self, events: &mut Vec<epoll::Event>) {
        events.clear();
        let timeout = self.timeout().and_then(|timeout| Timespec::try_from(timeout).ok());
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                tracing::error!(event = "fanout.wait_failed", %errno, "epoll_wait failed")
            }
        }
        self.counters().wake_ups.fetch_add(1, Ordering::Relaxed);
        for event in events.iter() {
            let (mark, flags) = (event.data.u64(), event.flags);
            if mark != INBOX {
                self.on_socket(mark, flags);
            }
        }
        self.take_mail();
        while let Some(group) = self.news.pop_front() {
            self.on_news(group);
        }
        self.send_due();
        for command in std::mem::take(&mut self.deferred) {
            self.obey(command);
        }
        self.revisit_all();
        self.look_for_stalled();
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.revisit.is_empty() || !self.news.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.due.first().map(|(due, _)| *due);
        let next = self.next_tick.into_iter().chain(due).min();
        next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    fn on_socket(&mut self, mark: u64, flags: EventFlags) {
        let Some(slot) = self.slot_of_mark(mark) else { return };
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP) || broken {
            self.read(slot);
        }
        // Reading may have been the end of it.
        if self.slot_of_mark(mark).is_none() {
            return;
        }
        if broken {
            self.leave(slot, Leave::Dead(Reason::PeerClosed));
        } else if flags.contains(EventFlags::OUT) {
            self.viewers[slot].writable = true;
            self.send(slot);
        }
    }

    fn take_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.inbox.take(&mut mail);
        self.news.extend(mail.news.drain(..));
        for command in mail.commands.drain(..) {
            self.obey(command);
        }
        self.mail = mail;
    }

    /// In the middle of a round: viewers that come are served, the rest waits, since it may change who is in sync.
    fn admit_newcomers(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.inbox.take(&mut mail);
        self.news.extend(mail.news.drain(..));
        for command in mail.commands.drain(..) {
            match command {
                Command::Attach(viewer) => self.admit(viewer),
                command => self.deferred.push(command),
            }
        }
        self.mail = mail;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(viewer) => self.admit(viewer),
            Command::Close(number, reason) => {
                if let Some(slot) = self.slot_of(number) {
                    self.leave(slot, Leave::Dead(reason));
                }
            }
            Command::Detach(number, reason) => self.detach(number, reason),
            Command::Inject(number, message) => self.inject(number, message),
            Command::ResumeReading(number) => {
                if let Some(slot) = self.slot_of(number) {
                    self.read(slot);
                }
            }
            Command::DetachAll(reason) => {
                let numbers: Vec<u64> = self.by_number.keys().copied().collect();
                numbers.into_iter().for_each(|number| self.detach(number, reason));
            }
            Command::Quit(reason) => {
                self.quit = true;
                self.leave_all(Leave::Dead(reason));
            }
            Command::SetPolicy(policy) => self.policy = policy,
            #[cfg(test)]
            Command::Panic => panic!("asked to"),
        }
    }

    fn revisit_all(&mut self) {
        let mut slots = std::mem::take(&mut self.revisit);
        for slot in slots.drain(..) {
            let Some(viewer) = self.viewers.get_mut(slot) else { continue };
            let number = viewer.control.number();
            viewer.revisit = false;
            if !viewer.reading_paused {
                self.read(slot);
            }
            if self.slot_of(number).is_some() {
                self.send(slot);
            }
        }
        if self.revisit.is_empty() {
            self.revisit = slots;
        }
    }

    /// Viewers that the kernel is full for get one more try: epoll speaks up only when a third of its buffer is free.
    fn look_for_stalled(&mut self) {
        if self.next_tick.is_none_or(|tick| tick > Instant::now()) {
            return;
        }
        self.next_tick = None;
        let limit = self.policy.stall_timeout;
        let full = self.viewers.iter().filter(|(_, viewer)| viewer.full_since.is_some());
        let full: Vec<(usize, u64)> =
            full.map(|(slot, viewer)| (slot, viewer.control.number())).collect();
        for (slot, number) in full {
            if self.slot_of(number).is_some() && self.viewers[slot].is_stalled(limit) {
                self.viewers[slot].writable = true;
                self.send(slot);
            }
            if self.slot_of(number).is_some() && self.viewers[slot].is_stalled(limit) {
                self.leave(slot, Leave::Dead(Reason::Stalled));
            }
        }
        if self.viewers.iter().any(|(_, viewer)| viewer.full_since.is_some()) {
            self.next_tick = Some(Instant::now() + self.policy.tick());
        }
    }

    /// A panic is a bug of ours, and where each viewer's bytes end is not known any more: they are closed, and the thread
    /// goes on with the next ones.
    fn recover(&mut self) {
        tracing::error!(
            event = "fanout.panicked",
            thread = self.index,
            viewers = self.viewers.len(),
            "a fan-out thread panicked, its viewers are closed"
        );
        while let Some(slot) = self.viewers.iter().map(|(slot, _)| slot).next() {
            let left = catch_unwind(AssertUnwindSafe(|| {
                self.leave(slot, Leave::Dead(Reason::Error));
            }));
            if left.is_err() {
                self.viewers.try_remove(slot);
            }
        }
        self.groups.clear();
        self.cut_short.clear();
        self.due.clear();
        self.by_feed.clear();
        self.by_number.clear();
        self.news.clear();
        self.revisit.clear();
    }

    fn counters(&self) -> &Counters {
        self.loads.counters(self.index)
    }

    fn visited(&mut self, slot: usize, visit: Visit) {
        match visit {
            Visit::Leave(leave) => self.leave(slot, leave),
            Visit::Again => {
                let viewer = &mut self.viewers[slot];
                if !std::mem::replace(&mut viewer.revisit, true) {
                    self.revisit.push(slot);
                }
            }
            Visit::Done if self.viewers[slot].full_since.is_some() => self.note_full(),
            Visit::Done => self.join_if_level(slot),
        }
    }

    /// The kernel is full for somebody.
    fn note_full(&mut self) {
        self.next_tick.get_or_insert_with(|| Instant::now() + self.policy.tick());
    }
}

/// Counts sends, for the figures.
struct CountingSender {
    sender: Box<dyn Sender + Send>,
    loads: Arc<Loads>,
    index: usize,
}

impl CountingSender {
    fn count(&self, sends: usize) {
        let counters = self.loads.counters(self.index);
        counters.sends.fetch_add(sends as u64, Ordering::Relaxed);
    }
}

impl Sender for CountingSender {
    fn submit(
        &mut self,
        socket: std::os::fd::BorrowedFd<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Progress {
        self.count(1);
        self.sender.submit(socket, parts)
    }

    fn broadcast(
        &mut self,
        targets: &[Target],
        parts: &[io::IoSlice<'_>],
        cut_short: &mut dyn FnMut(Target, Progress),
    ) {
        self.count(targets.len());
        self.sender.broadcast(targets, parts, cut_short);
    }
}
