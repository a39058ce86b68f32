//! Commands and news for one thread: one wake-up for all that comes before the thread looks.

use crate::hub::feed::FeedWaker;
use crate::sync::Mutex;
use crate::told::Told;

/// The thread's side takes, everybody else puts.
pub(super) struct Mailbox<C, B> {
    bell: B,
    told: Told,
    waiting: Mutex<Waiting<C>>,
}

/// Ends the thread's wait, or the next one.
pub(super) trait Bell: Send + Sync {
    fn ring(&self);
}

pub(super) struct Waiting<C> {
    pub(super) commands: Vec<C>,
    /// Slots of the thread's feeds that have grown.
    pub(super) news: Vec<usize>,
    /// The thread has ended: nothing is taken any more.
    closed: bool,
}

impl<C> Default for Waiting<C> {
    fn default() -> Self {
        Self { commands: Vec::new(), news: Vec::new(), closed: false }
    }
}

impl<C, B> std::fmt::Debug for Mailbox<C, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("told", &self.told).finish_non_exhaustive()
    }
}

impl<C, B: Bell> Mailbox<C, B> {
    pub(super) fn with(bell: B) -> Self {
        Self { bell, told: Told::default(), waiting: Mutex::default() }
    }

    pub(super) fn bell(&self) -> &B {
        &self.bell
    }

    /// Gives the command back when the thread has ended.
    pub(super) fn send(&self, command: C) -> Result<(), C> {
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

    /// Whether there may be something to take.
    pub(super) fn has_mail(&self) -> bool {
        self.told.is_told()
    }

    /// Moves everything that waits into `into`, which is empty. Later mail wakes the thread again.
    pub(super) fn take(&self, into: &mut Waiting<C>) {
        // Before the list is taken: what is put afterwards rings again.
        self.told.looks();
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.commands, &mut into.commands);
        std::mem::swap(&mut waiting.news, &mut into.news);
    }

    /// The thread ends: what still waits comes back, and nothing is taken any more.
    pub(super) fn close(&self) -> Vec<C> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.commands)
    }

    fn signal(&self) {
        if self.told.tell() {
            self.bell.ring();
        }
    }
}

impl<C: Send, B: Bell> FeedWaker for Mailbox<C, B> {
    fn wake(&self, slot: usize) {
        self.waiting.lock().news.push(slot);
        self.signal();
    }
}
