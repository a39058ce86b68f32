//! One system call per viewer and send: what every kernel can do.
#![expect(unsafe_code, reason = "sockets of many viewers are known by number")]

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::{Progress, Sender, Target};

/// One system call per send.
#[derive(Debug, Default)]
pub(in crate::fanout) struct SendMessage;

impl Sender for SendMessage {
    fn submit(&mut self, socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Progress {
        // Not writev: a peer that is gone must not raise SIGPIPE in whatever process loads this library.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            let sent = match parts {
                // Cheaper by the copy of a list.
                [part] => rustix::net::send(socket, part, flags),
                parts => {
                    let mut control = SendAncillaryBuffer::default();
                    rustix::net::sendmsg(socket, parts, &mut control, flags)
                }
            };
            match sent {
                Ok(bytes) => {
                    let given: usize = parts.iter().map(|part| part.len()).sum();
                    return Progress::Taken { bytes, is_full: bytes < given };
                }
                Err(Errno::INTR) => {}
                // No memory for it in the kernel: as good as full; the stall timer watches it.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Progress::Full,
                Err(errno) => return Progress::Closed(errno.into()),
            }
        }
    }

    fn broadcast(
        &mut self,
        targets: &[Target],
        parts: &[IoSlice<'_>],
        cut_short: &mut dyn FnMut(Target, Progress),
    ) {
        for target in targets {
            // SAFETY: a target is listed only as long as its socket is open.
            let socket = unsafe { BorrowedFd::borrow_raw(target.socket) };
            match self.submit(socket, parts) {
                Progress::Taken { is_full: false, .. } => {}
                progress => cut_short(*target, progress),
            }
        }
    }
}
