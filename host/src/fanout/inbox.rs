//! What reaches a fan-out thread from outside: commands about viewers, and feeds that have grown. One wake-up for all that
//! comes before the thread looks.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use plugin_api::mem::Buf;
use rustix::event::EventfdFlags;

use super::attached::Attached;
use super::lag::LagPolicy;
use crate::hub::Reason;
use crate::hub::feed::FeedWaker;

/// Something to do for a viewer, which goes by its number.
pub(super) enum Command {
    Attach(Box<Attached>),
    /// The socket is not given back.
    Close(u64, Reason),
    /// At the next packet boundary.
    Detach(u64, Reason),
    Inject(u64, Buf),
    /// Its pipe has room again.
    ResumeReading(u64),
    /// All viewers, at their next packet boundary.
    DetachAll(Reason),
    /// All viewers, now, and the thread ends.
    Quit(Reason),
    SetPolicy(LagPolicy),
    #[cfg(test)]
    Panic,
}

/// The thread's side takes, everybody else puts.
#[derive(Debug)]
pub(super) struct Inbox {
    wake: OwnedFd,
    /// The descriptor was written since the thread last looked.
    signalled: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) commands: Vec<Command>,
    /// Slots of the thread's feeds that have grown.
    pub(super) news: Vec<usize>,
    /// The thread has ended: nothing is taken any more.
    closed: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({} commands, {} feeds)", self.commands.len(), self.news.len())
    }
}

impl Inbox {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let signalled = AtomicBool::new(false);
        Ok(Arc::new(Self { wake, signalled, waiting: Mutex::default() }))
    }

    /// Gives the command back when the thread has ended.
    pub(super) fn send(&self, command: Command) -> Result<(), Command> {
        {
            let mut waiting = self.waiting.lock();
            if waiting.closed {
                return Err(command);
            }
            waiting.commands.push(command);
        }
        self.signal();
        Ok(())
    }

    /// For the thread's epoll.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.wake
    }

    /// Whether there may be something to take.
    pub(super) fn has_mail(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// Moves everything that waits into `into`, which is empty. Later mail wakes the thread again.
    pub(super) fn take(&self, into: &mut Waiting) {
        // Before the list is taken: what is put afterwards signals again. The counter is never read, since every write to
        // it is an edge for epoll.
        self.signalled.swap(false, Ordering::AcqRel);
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.commands, &mut into.commands);
        std::mem::swap(&mut waiting.news, &mut into.news);
    }

    /// The thread ends: what still waits comes back, and nothing is taken any more.
    pub(super) fn close(&self) -> Vec<Command> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.commands)
    }

    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            let one = 1_u64.to_ne_bytes();
            // Written once per look, the counter does not overflow in the life of a machine.
            let _written = rustix::io::write(&self.wake, &one);
        }
    }
}

impl FeedWaker for Inbox {
    fn wake(&self, slot: usize) {
        self.waiting.lock().news.push(slot);
        self.signal();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

    use super::*;

    /// Two senders, each of which waits for its last message to be taken: a lost wake-up stops everything.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: u64 = 20_000;
        let inbox = Inbox::new().unwrap();
        let poll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&poll, inbox.descriptor(), EventData::new_u64(0), edge).unwrap();
        let taken = [AtomicU64::new(0), AtomicU64::new(0)];
        let deadline = Timespec { tv_sec: 10, tv_nsec: 0 };

        std::thread::scope(|scope| {
            for sender in 0..2_usize {
                let (inbox, taken) = (&inbox, &taken);
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        assert!(inbox.send(Command::ResumeReading(sender as u64)).is_ok());
                        while taken[sender].load(Ordering::Acquire) < round {
                            std::hint::spin_loop();
                        }
                    }
                });
            }
            let mut mail = Waiting::default();
            while taken.iter().any(|taken| taken.load(Ordering::Acquire) < ROUNDS) {
                let mut events = Vec::with_capacity(4);
                let room = rustix::buffer::spare_capacity(&mut events);
                let n = epoll::wait(&poll, room, Some(&deadline)).unwrap();
                if n == 0 {
                    // Lets the senders end, so that the test can fail.
                    taken.iter().for_each(|taken| taken.store(ROUNDS, Ordering::Release));
                    panic!("a wake-up was lost");
                }
                inbox.take(&mut mail);
                for command in mail.commands.drain(..) {
                    let Command::ResumeReading(sender) = command else { continue };
                    taken[usize::try_from(sender).unwrap()].fetch_add(1, Ordering::AcqRel);
                }
            }
        });
    }
}
