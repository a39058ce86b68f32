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
        if self.signalled.swap(false, Ordering::AcqRel) {
            let mut count = [0; 8];
            // Empties the counter; that there was nothing is no error.
            let _nothing = rustix::io::read(&self.wake, &mut count[..]);
        }
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
            // The counter can't overflow: it is written once per look.
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
