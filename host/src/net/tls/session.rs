//! The TLS state of one connection. It does no I/O: the functions that read and write the socket are arguments.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::Error;

/// Ciphertext that waits for the kernel, and plaintext that waits for the end of the handshake, at most; each. Records are up
/// to 16 KiB: a few of them keep one system call worthwhile.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Records taken for one read that come to nothing; then it is the others' turn.
const EMPTY_READS_MAX: usize = 64;

/// What a peer has sent and is owed.
pub struct Tls {
    session: ServerConnection,
    has_said_goodbye: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let mut session = ServerConnection::new(config)?;
        session.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        Ok(Self { session, has_said_goodbye: false })
    }

    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Ciphertext waits to be sent.
    pub fn has_pending(&self) -> bool {
        self.session.wants_write()
    }

    /// Takes ciphertext that was read already.
    pub(in crate::net) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.session.read_tls(&mut bytes)?;
            self.process()?;
        }
        Ok(())
    }

    /// Plaintext; 0 at the end. `source` reads the socket; its `WouldBlock` comes out when there is none.
    ///
    /// A peer that closes without saying so is at its end too: media has its own frames, and RTMP players do just that.
    pub fn read(
        &mut self,
        buf: &mut [u8],
        mut source: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        for _ in 0..EMPTY_READS_MAX {
            match self.session.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            self.session.read_tls(&mut Source(&mut source))?;
            self.process()?;
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Encrypts what there is room for, and says how much.
    pub fn write(&mut self, parts: &[IoSlice<'_>]) -> usize {
        self.session.writer().write_vectored(parts).unwrap_or(0)
    }

    /// Sends what is encrypted. `sink` writes to the socket; its `WouldBlock` comes out when something is left.
    pub fn flush(
        &mut self,
        mut sink: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while self.session.wants_write() {
            if self.session.write_tls(&mut Sink(&mut sink))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// The last record: nothing follows.
    pub(in crate::net) fn say_goodbye(&mut self) {
        if !std::mem::replace(&mut self.has_said_goodbye, true) {
            self.session.send_close_notify();
        }
    }

    fn process(&mut self) -> io::Result<()> {
        let processed = self.session.process_new_packets();
        processed.map(drop).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("version", &self.session.protocol_version())
            .finish_non_exhaustive()
    }
}

struct Source<'a, F>(&'a mut F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Source<'_, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (self.0)(buf)
    }
}

struct Sink<'a, F>(&'a mut F);

impl<F: FnMut(&[IoSlice<'_>]) -> io::Result<usize>> Write for Sink<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (self.0)(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
