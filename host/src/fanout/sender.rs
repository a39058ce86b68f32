//! How bytes get from a fan-out thread to the kernel: the seam that another mechanism than `sendmsg` takes.
//!
//! With TLS, what is given is encrypted on the way, into a buffer of the connection that is sent before anything else: that
//! costs one copy and the cipher for each viewer and byte, beside the state that [`Tls`] holds.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::net::tls::Tls;

/// What became of one send.
#[derive(Debug)]
pub(super) enum Progress {
    /// This many bytes are taken. `is_full`: the kernel has no room for more.
    Taken { bytes: usize, is_full: bool },
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
}

/// Encrypts and sends. [`flush_tls`] has left nothing behind.
pub(super) fn submit_tls(
    tls: &mut Tls,
    sender: &mut dyn Sender,
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
) -> Progress {
    let bytes = tls.write(parts);
    match flush_tls(tls, sender, socket) {
        Progress::Taken { is_full, .. } => Progress::Taken { bytes, is_full },
        Progress::Full => Progress::Taken { bytes, is_full: true },
        closed @ Progress::Closed(_) => closed,
    }
}

/// Sends what is encrypted already; counted in bytes of ciphertext.
pub(super) fn flush_tls(
    tls: &mut Tls,
    sender: &mut dyn Sender,
    socket: BorrowedFd<'_>,
) -> Progress {
    let (mut sent, mut was_cut_short) = (0, false);
    let flushed = tls.flush(|parts| {
        if was_cut_short {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match sender.submit(socket, parts) {
            Progress::Taken { bytes, is_full } => {
                sent += bytes;
                was_cut_short = is_full;
                Ok(bytes)
            }
            Progress::Full => Err(io::ErrorKind::WouldBlock.into()),
            Progress::Closed(error) => Err(error),
        }
    });
    match flushed {
        Ok(()) => Progress::Taken { bytes: sent, is_full: false },
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Progress::Closed(error),
        Err(_) if sent == 0 => Progress::Full,
        Err(_) => Progress::Taken { bytes: sent, is_full: true },
    }
}
