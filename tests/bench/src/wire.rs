//! A viewer's connection, plain or with TLS.
//!
//! socket → **wire** → session, flv

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::error::Error;

pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// With TLS if there is a config for it; the handshake happens within the first reads.
    pub(crate) fn new(socket: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Error> {
        let Some(config) = tls else { return Ok(Self::Plain(socket)) };
        let name = ServerName::try_from("localhost").map_err(io::Error::other);
        let connection = name.and_then(|name| {
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)
        });
        let connection = connection.map_err(Error::io("TLS"))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// Gives what has arrived to `each`, piece by piece; how many bytes of it there were.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut received = 0;
        loop {
            let read = match self {
                Self::Plain(socket) => socket.read(scratch),
                Self::Tls(stream) => stream.read(scratch),
            };
            match read {
                Ok(0) => return Err(Error::Closed("of a viewer")),
                Ok(len) => {
                    received += u64::try_from(len).unwrap_or(0);
                    each(&scratch[..len])?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(received),
                Err(error) => return Err(Error::io("reading as a viewer")(error)),
            }
            // What is left in the socket wakes us again; what TLS has decrypted does not.
            if matches!(self, Self::Plain(_)) {
                return Ok(received);
            }
        }
    }

    /// Sends a little: there is room for it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(stream) => {
                // It waits there for the end of the handshake.
                stream.conn.writer().write_all(bytes)?;
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock)?;
                }
                Ok(())
            }
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
            Self::Tls(stream) => stream.sock.as_fd(),
        }
    }
}
