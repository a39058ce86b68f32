//! How bytes get from a fan-out thread to the kernel: one system call for each viewer, or io_uring for many.
//!
//! With TLS, what is given is encrypted on the way, into a buffer of the connection that is sent before anything else: that
//! costs one copy and the cipher for each viewer and byte, beside the state that [`Tls`] holds.

mod message;
mod uring;

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, RawFd};

use crate::net::tls::Tls;

use self::message::SendMessage;
use self::uring::Uring;
use super::Mechanism;

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

    /// The same for many sockets. Names only those that did not take all.
    fn broadcast(
        &mut self,
        targets: &[Target],
        parts: &[IoSlice<'_>],
        cut_short: &mut dyn FnMut(Target, Progress),
    );
}

/// A viewer's socket, which is open as long as the viewer is listed, and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) socket: RawFd,
    pub(super) slot: u32,
}

/// What every kernel can do.
pub(super) fn portable() -> Box<dyn Sender + Send> {
    Box::new(SendMessage)
}

/// The mechanism that is wished for, or the portable one where the kernel refuses it. To be called on the thread that sends;
/// the first one says in the log which it is, and why.
pub(super) fn open(wish: Mechanism, thread: usize) -> Box<dyn Sender + Send> {
    let (mechanism, sender, why) = match wish {
        Mechanism::Send => ("send", portable(), "configured".to_owned()),
        Mechanism::Auto | Mechanism::IoUring => match Uring::new() {
            Ok(ring) => ("io_uring", Box::new(ring) as _, "the kernel allows it".to_owned()),
            Err(error) => ("send", portable(), format!("io_uring: {error}")),
        },
    };
    if thread == 0 {
        let is_refused = wish == Mechanism::IoUring && mechanism != "io_uring";
        match is_refused {
            true => {
                tracing::warn!(event = "fanout.sender", mechanism, why, "how viewers are sent to")
            }
            false => {
                tracing::info!(event = "fanout.sender", mechanism, why, "how viewers are sent to")
            }
        }
    }
    sender
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
