//! One system call for all viewers of a batch, by `io_uring`.
//!
//! The sends don't wait, so the kernel has done with all of them when it returns: nothing is in flight between two calls.
//! Completions are posted for those only that failed or were cut short.
#![expect(
    unsafe_code,
    reason = "the kernel is given addresses of bytes that it reads within the call"
)]

use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};
use rustix::fd::AsRawFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Engine;
use super::viewers::{Batch, Viewer};
use crate::error::Error;

/// Sends that are given to the kernel at a time.
const ENTRIES: usize = 4096;
/// Sockets that are registered, which spares the kernel a look-up for each send.
const SOCKETS_MAX: u32 = 16_384;

pub(super) struct Uring(IoUring);

impl Uring {
    pub(super) fn new() -> Result<Self, Error> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(to_u32(ENTRIES))
            .map_err(Error::io("io_uring"))?;
        ring.submitter().register_files_sparse(SOCKETS_MAX).map_err(Error::io("io_uring"))?;
        Ok(Self(ring))
    }

    fn push(&mut self, index: usize, viewer: &Viewer, due: &[u8]) -> Result<(), Error> {
        let slot = types::Fixed(to_u32(viewer.number));
        // Else a send that is cut short counts as a success, and nothing is said of it.
        let flags = (SendFlags::DONTWAIT | SendFlags::NOSIGNAL).bits() | RecvFlags::WAITALL.bits();
        let entry = opcode::Send::new(slot, due.as_ptr(), to_u32(due.len()))
            .flags(i32::from_ne_bytes(flags.to_ne_bytes()))
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(u64::from(to_u32(index)) << 32 | u64::from(to_u32(due.len())));
        // SAFETY: the caller's bytes are borrowed until after the call that submits, and no send outlives that one.
        let pushed = unsafe { self.0.submission().push(&entry) };
        pushed.map_err(|_| Error::Start("io_uring's queue is full".to_owned()))
    }
}

/// What is counted here is far below 2^32.
fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Engine for Uring {
    fn admit(&mut self, viewer: &Viewer) -> Result<(), Error> {
        let slot = to_u32(viewer.number);
        let socket = [viewer.socket.as_raw_fd()];
        let registered = self.0.submitter().register_files_update(slot, &socket);
        registered.map(|_| ()).map_err(Error::io("registering a viewer with io_uring"))
    }

    fn send_all(&mut self, viewers: &mut Vec<Viewer>, batch: &Batch) -> Result<(), Error> {
        let mut gone = Vec::new();
        for first in (0..viewers.len()).step_by(ENTRIES) {
            let last = viewers.len().min(first + ENTRIES);
            for (index, viewer) in viewers.iter_mut().enumerate().take(last).skip(first) {
                let due = viewer.due(batch);
                if viewer.is_behind() {
                    gone.extend((!viewer.send(due)).then_some(index));
                } else if !due.is_empty() {
                    self.push(index, viewer, due)?;
                }
            }
            self.0.submit().map_err(Error::io("io_uring"))?;
            for completion in self.0.completion() {
                let [index, len] =
                    [completion.user_data() >> 32, completion.user_data() & 0xffff_ffff];
                let [index, len] = [index, len].map(|number| usize::try_from(number).unwrap_or(0));
                match usize::try_from(completion.result()) {
                    Ok(sent) => viewers[index].keep(&batch.bytes[batch.bytes.len() - len + sent..]),
                    Err(_) if completion.result() == -Errno::AGAIN.raw_os_error() => {
                        viewers[index].keep(&batch.bytes[batch.bytes.len() - len..]);
                    }
                    Err(_) => gone.push(index),
                }
            }
        }
        gone.sort_unstable();
        gone.into_iter().rev().for_each(|index| drop(viewers.swap_remove(index)));
        Ok(())
    }
}
