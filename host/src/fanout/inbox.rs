//! How a fan-out thread is reached: what can be done for its viewers, and the descriptor that wakes it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use plugin_api::mem::Buf;
use rustix::event::EventfdFlags;

use super::attached::Attached;
use super::lag::LagPolicy;
use super::mailbox::{self, Bell, Mailbox};
use crate::hub::Reason;

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

/// A fan-out thread's.
pub(super) type Inbox = Mailbox<Command, Descriptor>;

/// What waits in it.
pub(super) type Waiting = mailbox::Waiting<Command>;

/// Written to wake the thread.
pub(super) struct Descriptor(OwnedFd);

impl Inbox {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let descriptor = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self::with(Descriptor(descriptor))))
    }

    /// For the thread's epoll.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.bell().0
    }
}

impl Bell for Descriptor {
    fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        // The counter is never read, since every write to it is an edge for epoll. Written once per look, it does not overflow in
        // the life of a machine.
        let _written = rustix::io::write(&self.0, &one);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

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
