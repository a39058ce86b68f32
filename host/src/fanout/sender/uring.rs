//! Many sends in one system call, by io_uring.
//!
//! A batch is submitted and waited for in one call. `MSG_DONTWAIT` lets each send complete while it is submitted, with what the
//! kernel took or `EAGAIN`; so nothing is in flight between two calls, feed memory needs no share per send, and a socket can be
//! closed at any time. What it saves is a crossing into the kernel for each viewer.
#![expect(unsafe_code, reason = "submissions name memory and sockets by number")]

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::{Progress, SendMessage, Sender, Target};

/// Sends of one system call.
const BATCH: usize = ENTRIES as usize;

/// The same, as the kernel counts.
const ENTRIES: u32 = 64;

/// A ring, for the thread that made it.
pub(in crate::fanout) struct Uring {
    /// `None` once the kernel has refused to go on.
    ring: Option<IoUring>,
    /// For a single socket, for memory in several pieces, and for everything without a ring.
    send: SendMessage,
}

impl Uring {
    /// To be called on the thread that uses it.
    ///
    /// # Errors
    /// Where the kernel is older than 6.1, or the container forbids io_uring.
    pub(in crate::fanout) fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_submit_all().setup_single_issuer().setup_defer_taskrun();
        let ring = builder.build(ENTRIES)?;
        Ok(Self { ring: Some(ring), send: SendMessage })
    }

    /// `targets` are at most [`BATCH`].
    fn send_batch(
        &mut self,
        targets: &[Target],
        part: &IoSlice<'_>,
        cut_short: &mut dyn FnMut(Target, Progress),
    ) {
        let parts = std::slice::from_ref(part);
        let (Some(ring), Ok(len)) = (&mut self.ring, u32::try_from(part.len())) else {
            return self.send.broadcast(targets, parts, cut_short);
        };
        let flags = (SendFlags::NOSIGNAL | SendFlags::DONTWAIT).bits().cast_signed();
        for (index, target) in targets.iter().enumerate() {
            let send = opcode::Send::new(Fd(target.socket), part.as_ptr(), len).flags(flags);
            let entry = send.build().user_data(index as u64);
            // SAFETY: `part` outlives the calls below, after which the kernel is done with it; a target is listed only as
            // long as its socket is open. The queue is empty before and has room for all.
            let _fits = unsafe { ring.submission().push(&entry) };
        }
        let mut done = [false; BATCH];
        let mut left = targets.len();
        while left > 0 {
            let submitted = ring.submit_and_wait(left);
            for completion in ring.completion() {
                left = left.saturating_sub(1);
                let index = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
                let (Some(done), Some(target)) = (done.get_mut(index), targets.get(index)) else {
                    continue;
                };
                // What was interrupted is sent again, below.
                *done = completion.result() != -Errno::INTR.raw_os_error();
                match progress(completion.result(), part.len()) {
                    Progress::Taken { is_full: false, .. } => {}
                    progress if *done => cut_short(*target, progress),
                    _ => {}
                }
            }
            if let Err(error) = submitted
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(event = "fanout.io_uring_failed", %error, "going on without it");
                // With it goes what was not submitted.
                self.ring = None;
                break;
            }
        }
        for (target, _) in targets.iter().zip(done).filter(|(_, done)| !done) {
            self.send.broadcast(std::slice::from_ref(target), parts, cut_short);
        }
    }
}

impl Sender for Uring {
    fn submit(&mut self, socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Progress {
        self.send.submit(socket, parts)
    }

    fn broadcast(
        &mut self,
        targets: &[Target],
        parts: &[IoSlice<'_>],
        cut_short: &mut dyn FnMut(Target, Progress),
    ) {
        let [part] = parts else { return self.send.broadcast(targets, parts, cut_short) };
        for batch in targets.chunks(BATCH) {
            self.send_batch(batch, part, cut_short);
        }
    }
}

/// What a completion says: bytes, or an error below zero.
fn progress(result: i32, given: usize) -> Progress {
    if let Ok(bytes) = usize::try_from(result) {
        return Progress::Taken { bytes, is_full: bytes < given };
    }
    match Errno::from_raw_os_error(result.saturating_neg()) {
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM => Progress::Full,
        errno => Progress::Closed(errno.into()),
    }
}
