//! One connection on its fan-out thread: its socket, its place in the feed, and what happens when it is visited.

use std::io::{IoSlice, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::mem::{Buf, Pool};

use super::cursor::{Cursor, PARTS_MAX, Piece, Until};
use super::lag::LagPolicy;
use super::sender::{Progress, Sender, flush_tls, submit_tls};
use super::viewer::Control;
use crate::hub::Reason;
use crate::hub::feed::{Packets, Prepared, ViewerRecord};
use crate::net::{Conn, Lent};

/// Sends on one visit; then it is the others' turn.
const SENDS_PER_VISIT: usize = 4;

/// Reads on one visit.
const READS_PER_VISIT: usize = 8;

/// A viewer's connection. Its memory is what an attached viewer costs beside the kernel's.
pub(super) struct Attached {
    pub(super) control: Arc<Control>,
    pub(super) conn: Arc<Conn>,
    pub(super) lent: Lent,
    pub(super) prepared: Prepared,
    /// Made when the thread takes the viewer.
    pub(super) record: Option<Arc<ViewerRecord>>,
    /// It has had its line in the log.
    pub(super) is_logged: bool,
    pub(super) cursor: Cursor,
    /// The thread's slot of the feed.
    pub(super) group: usize,
    /// The first packet that it gets with all who are in sync; its cursor says nothing then. `None`: it stands apart.
    pub(super) in_sync_from: Option<u64>,
    /// Its place among the feed's viewers that are in sync, or among those that stand apart.
    pub(super) member: usize,
    /// False from when the kernel is full until epoll says otherwise.
    pub(super) writable: bool,
    /// Since when the kernel has taken nothing.
    pub(super) full_since: Option<Instant>,
    /// The pipe is full: the session has to read first.
    pub(super) reading_paused: bool,
    /// Asked to leave at the next packet boundary.
    pub(super) leaving: Option<Reason>,
    /// Listed to be visited again without waiting.
    pub(super) revisit: bool,
}

/// What a visit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Everything is sent, or the kernel is full.
    Done,
    /// More could be sent at once.
    Again,
    Leave(Leave),
}

/// How a viewer leaves its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The socket goes back to the session.
    Back(Reason),
    /// The socket is closed.
    Dead(Reason),
}

impl Attached {
    pub(super) fn new(
        control: Arc<Control>,
        conn: Arc<Conn>,
        lent: Lent,
        prepared: Prepared,
        first: Buf,
    ) -> Self {
        let mut cursor = Cursor::new(prepared.begin);
        cursor.push(Piece { bytes: first, injected: false });
        Self {
            control,
            conn,
            lent,
            prepared,
            record: None,
            is_logged: false,
            cursor,
            group: 0,
            in_sync_from: None,
            member: 0,
            writable: true,
            full_since: None,
            reading_paused: false,
            leaving: None,
            revisit: false,
        }
    }

    /// Sends what is due.
    pub(super) fn send(
        &mut self,
        window: &Packets,
        ended: Option<Reason>,
        sender: &mut dyn Sender,
        policy: &LagPolicy,
        pool: &Pool,
    ) -> Visit {
        if self.cursor.is_lost(window)
            || !self.writable && self.cursor.is_lagging(window, policy.max_lag)
        {
            self.cursor.skip(window, pool);
        }
        if let Some(reason) = ended.filter(|reason| !sends_the_rest(*reason)) {
            self.leaving.get_or_insert(reason);
        }
        if let Some(reason) = self.leaving.filter(|_| self.cursor.is_at_boundary()) {
            return Visit::Leave(Leave::Back(reason));
        }
        if !self.writable {
            return Visit::Done;
        }
        for _ in 0..SENDS_PER_VISIT {
            match self.send_once(window, sender) {
                Step::Full => return Visit::Done,
                Step::Closed => return Visit::Leave(Leave::Dead(Reason::PeerClosed)),
                Step::NothingDue => {
                    return match self.leaving.or(ended) {
                        Some(reason) => Visit::Leave(Leave::Back(reason)),
                        None => Visit::Done,
                    };
                }
                Step::More => {}
            }
        }
        Visit::Again
    }

    fn send_once(&mut self, window: &Packets, sender: &mut dyn Sender) -> Step {
        if let Some(tls) = self.lent.tls.as_mut().filter(|tls| tls.has_pending()) {
            let progress = flush_tls(tls, sender, self.lent.socket.as_fd());
            match self.after(&progress) {
                Step::More => {}
                step => return step,
            }
        }
        let until = match self.leaving {
            Some(_) => Until::Boundary,
            None => {
                let skipped = self.cursor.enter(window);
                if let Some(record) = self.record.as_ref().filter(|_| skipped > 0) {
                    record.skip(skipped);
                }
                Until::Newest
            }
        };
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let due = self.cursor.gather(window, until, &mut parts);
        if due.bytes == 0 {
            self.full_since = None;
            return Step::NothingDue;
        }
        let parts = parts.get(..due.parts).unwrap_or_default();
        let socket = self.lent.socket.as_fd();
        let progress = match &mut self.lent.tls {
            None => sender.submit(socket, parts),
            Some(tls) => submit_tls(tls, sender, socket, parts),
        };
        self.advance(window, &progress);
        self.after(&progress)
    }

    /// What a send that was made for many has come to. Says whether the connection is gone.
    pub(super) fn after_submit(&mut self, window: &Packets, progress: &Progress) -> bool {
        self.advance(window, progress);
        matches!(self.after(progress), Step::Closed)
    }

    /// Whether it has got everything before this packet, can take more, and means to stay.
    pub(super) fn is_at(&self, seq: u64) -> bool {
        self.cursor.is_at(seq) && self.writable && self.leaving.is_none() && !self.revisit
    }

    fn after(&mut self, progress: &Progress) -> Step {
        match progress {
            Progress::Taken { is_full, .. } => {
                // epoll speaks up after a send that was cut short, as after one that was refused.
                self.writable = !is_full;
                self.full_since = is_full.then(Instant::now);
                if *is_full { Step::Full } else { Step::More }
            }
            Progress::Full => {
                self.writable = false;
                self.full_since.get_or_insert_with(Instant::now);
                Step::Full
            }
            Progress::Closed(error) => {
                tracing::debug!(event = "viewer.send_failed", conn = self.conn.id(), %error, "gone");
                Step::Closed
            }
        }
    }

    fn advance(&mut self, window: &Packets, progress: &Progress) {
        let Progress::Taken { bytes, .. } = *progress else { return };
        let sent = self.cursor.advance(window, bytes);
        self.conn.count_out(bytes as u64);
        if let Some(record) = &self.record {
            record.sent(bytes as u64, sent.position);
        }
        if sent.injected > 0 {
            self.control.injected(sent.injected);
        }
    }

    /// Passes on what the peer says. `scratch` is the thread's.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Visit {
        for _ in 0..READS_PER_VISIT {
            let room = self.lent.pipe.room().min(scratch.len());
            self.reading_paused = room == 0;
            let Some(buf) = scratch.get_mut(..room).filter(|buf| !buf.is_empty()) else {
                return Visit::Done;
            };
            let mut socket = &self.lent.socket;
            let read = match &mut self.lent.tls {
                None => socket.read(buf),
                Some(tls) => tls.read(buf, |buf| socket.read(buf)),
            };
            match read {
                Ok(0) => {
                    self.lent.pipe.finish();
                    return Visit::Leave(Leave::Back(Reason::PeerClosed));
                }
                Ok(n) => {
                    self.conn.count_in(n as u64);
                    self.lent.pipe.push(buf.get(..n).unwrap_or_default());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Visit::Done,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lent.pipe.fail(error.kind());
                    return Visit::Leave(Leave::Dead(Reason::PeerClosed));
                }
            }
        }
        Visit::Again
    }

    /// Whether the kernel has taken nothing for longer than `limit`.
    pub(super) fn is_stalled(&self, limit: Duration) -> bool {
        self.full_since.is_some_and(|since| since.elapsed() > limit)
    }
}

enum Step {
    More,
    Full,
    NothingDue,
    Closed,
}

/// Whether viewers get everything that was written before the feed ended in this way.
fn sends_the_rest(reason: Reason) -> bool {
    !matches!(reason, Reason::Error | Reason::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_takes_half_a_kibibyte_on_its_thread() {
        assert!(size_of::<Attached>() <= 512, "{}", size_of::<Attached>());
    }
}
