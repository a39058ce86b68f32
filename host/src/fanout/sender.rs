//! How bytes get from a fan-out thread to the kernel: the seam that another mechanism than `sendmsg` takes.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// What became of one send.
#[derive(Debug)]
pub(super) enum Progress {
    /// The kernel has taken this many bytes; fewer than given: it is full.
    Taken(usize),
    /// The kernel takes nothing now. epoll tells when it does again.
    Full,
    /// The connection is gone.
    Closed(io::Error),
}

/// Sends pieces of feeds on sockets.
pub(super) trait Sender {
    /// Gives `parts` to the kernel, in order, as far as it takes them.
    fn submit(&mut self, socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Progress;
}

/// One system call per send.
#[derive(Debug, Default)]
pub(super) struct SendMessage;

impl Sender for SendMessage {
    fn submit(&mut self, socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Progress {
        // Not writev: a peer that is gone must not raise SIGPIPE in whatever process loads this library.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            let mut control = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(socket, parts, &mut control, flags) {
                Ok(n) => return Progress::Taken(n),
                Err(Errno::INTR) => {}
                // No memory for it in the kernel: as good as full; the stall timer watches it.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Progress::Full,
                Err(errno) => return Progress::Closed(errno.into()),
            }
        }
    }
}
