//! A session's handle on its attached connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use plugin_api::mem::Pool;

use super::inbox::{Command, Inbox};
use crate::hub::Reason;
use crate::net::{Borrower, CloseReason, Conn};

/// Bytes of injected messages that may wait.
pub const INJECT_BYTES_MAX: usize = 64 << 10;

/// Why an attached connection came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached {
    pub reason: Reason,
    /// Sent as a viewer.
    pub bytes: u64,
    /// Packets left out because it lagged.
    pub skipped: u64,
}

/// Why something with a viewer was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection is lent already, or closed.
    #[error(transparent)]
    Conn(#[from] crate::net::Error),

    #[error("more than {INJECT_BYTES_MAX} bytes of injected messages wait")]
    Limit,

    #[error("the server's memory limit")]
    Memory,

    #[error("the connection is detached")]
    Detached,

    #[error("the server is stopping")]
    Stopped,
}

/// An attached connection. Dropping it before it is detached closes the connection.
#[derive(Debug)]
pub struct Viewer {
    control: Arc<Control>,
    conn: Arc<Conn>,
    pool: Pool,
}

/// What a viewer's session and its fan-out thread share.
#[derive(Debug)]
pub(super) struct Control {
    number: u64,
    inbox: Arc<Inbox>,
    /// Bytes of injected messages that were not sent yet.
    waiting: AtomicUsize,
    /// The session has asked for the connection back.
    is_leaving: AtomicBool,
    end: Mutex<Ending>,
}

#[derive(Debug, Default)]
struct Ending {
    detached: Option<Detached>,
    waker: Option<Waker>,
}

impl Viewer {
    pub(super) fn new(control: Arc<Control>, conn: Arc<Conn>, pool: Pool) -> Self {
        Self { control, conn, pool }
    }

    /// Puts a whole small message between two packets.
    ///
    /// # Errors
    /// `Limit` when too much waits; `Detached` when nothing is sent any more, or the connection was asked back.
    pub fn inject(&self, parts: &[&[u8]]) -> Result<(), Error> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if self.control.is_leaving() {
            return Err(Error::Detached);
        }
        let before = self.control.waiting.fetch_add(bytes, Ordering::Relaxed);
        let message = match before.saturating_add(bytes) > INJECT_BYTES_MAX {
            true => Err(Error::Limit),
            false => self.pool.copy(parts).ok_or(Error::Memory),
        };
        let sent = message.and_then(|message| {
            let command = Command::Inject(self.control.number, message);
            self.control.inbox.send(command).map_err(|_| Error::Detached)
        });
        if sent.is_err() {
            self.control.injected(bytes);
        }
        sent
    }

    /// Asks to stop at the next packet boundary. From here on nothing can be injected: it waits for the connection to be back.
    pub fn detach(&self) {
        self.control.is_leaving.store(true, Ordering::Release);
        // When the thread has ended, so has the viewer.
        let _ended = self.control.inbox.send(Command::Detach(self.control.number, Reason::Asked));
    }

    /// Ready once the connection is back: it can be written again, unless the reason says that it is dead.
    pub fn poll_detached(&self, cx: &mut Context<'_>) -> Poll<Detached> {
        let mut end = self.control.end.lock();
        match end.detached {
            Some(detached) => Poll::Ready(detached),
            None => {
                end.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the end.
    pub async fn detached(&self) -> Detached {
        std::future::poll_fn(|cx| self.poll_detached(cx)).await
    }

    /// The connection.
    pub fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if !self.control.is_detached() {
            self.conn.close(CloseReason::Asked);
        }
    }
}

impl Control {
    pub(super) fn new(number: u64, inbox: Arc<Inbox>) -> Arc<Self> {
        let (waiting, is_leaving) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { number, inbox, waiting, is_leaving, end: Mutex::default() })
    }

    /// Unique among all viewers.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// `bytes` of injected messages don't wait any more.
    pub(super) fn injected(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The last thing that a fan-out thread does with a viewer.
    pub(super) fn finish(&self, detached: Detached) {
        let waker = {
            let mut end = self.end.lock();
            end.detached = Some(detached);
            end.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_detached(&self) -> bool {
        self.end.lock().detached.is_some()
    }

    /// Whether what is injected now could come too late.
    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire) || self.is_detached()
    }
}

impl Borrower for Control {
    fn resume_reading(&self) {
        let _ended = self.inbox.send(Command::ResumeReading(self.number));
    }

    fn close(&self, reason: CloseReason) {
        let reason = match reason {
            CloseReason::Asked => Reason::Asked,
            CloseReason::Stopped => Reason::Stopped,
        };
        let _ended = self.inbox.send(Command::Close(self.number, reason));
    }
}
