//! A viewer over HTTP or a WebSocket (RFC 6455): what comes is kept as FLV bytes, a WebSocket's after de-framing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::flv::{self, Tag};
use crate::http::{self, Response};
use crate::media::Frames;
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Of RFC 6455, section 1.3, with the answer that belongs to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const FILE_HEADER_LEN: usize = 9;

/// See the module.
#[derive(Debug)]
pub struct Live {
    socket: TcpStream,
    received: Arc<Mutex<Received>>,
    is_websocket: bool,
}

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    /// When some came.
    arrivals: Vec<Instant>,
    is_over: bool,
    /// Nothing more is to be read.
    is_paused: bool,
}

/// What came over a WebSocket.
#[derive(Debug, Default)]
pub struct Messages {
    /// Every binary message.
    pub data: Vec<Vec<u8>>,
    pub pongs: Vec<Vec<u8>>,
    /// The code of the close frame.
    pub close: Option<u16>,
}

impl Live {
    /// Asks for `path` on a connection of its own.
    #[track_caller]
    pub fn http(address: SocketAddr, path: &str) -> Self {
        Self::on(connect(address), address, path, false)
    }

    /// The same as a WebSocket.
    #[track_caller]
    pub fn websocket(address: SocketAddr, path: &str) -> Self {
        Self::on(connect(address), address, path, true)
    }

    /// The same on a connection that is open already.
    #[track_caller]
    pub fn on(mut socket: TcpStream, address: SocketAddr, path: &str, is_websocket: bool) -> Self {
        let upgrade = match is_websocket {
            true => format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: {KEY}\r\n"
            ),
            false => String::new(),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{upgrade}\r\n");
        socket.set_write_timeout(Some(TIMEOUT)).expect("a socket option");
        socket.write_all(request.as_bytes()).expect("the server reads");
        let received = Arc::<Mutex<Received>>::default();
        let (mut reader, kept) =
            (socket.try_clone().expect("descriptors are left"), Arc::clone(&received));
        thread::spawn(move || {
            let mut bytes = [0; 16 << 10];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                let mut kept = kept.lock().expect("no test panics here");
                kept.bytes.extend_from_slice(&bytes[..n]);
                kept.arrivals.push(Instant::now());
                if kept.is_paused {
                    return;
                }
            }
            kept.lock().expect("no test panics here").is_over = true;
        });
        Self { socket, received, is_websocket }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().expect("no test panics here")
    }

    /// The head of the answer, once it is there, and what has come of its body.
    #[track_caller]
    pub fn answer(&self) -> Response {
        wait::until("the head of an answer", TIMEOUT, || {
            Some(http::parse_begun(&self.received().bytes)?.0)
        })
    }

    /// When bytes came.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.received().arrivals.clone()
    }

    /// Waits for the server to end the connection.
    #[track_caller]
    pub fn wait_for_end(&self, limit: Duration) {
        wait::until("the end of the connection", limit, || self.received().is_over.then_some(()));
    }

    /// Checks the handshake, and takes apart what came after it.
    #[track_caller]
    pub fn messages(&self) -> Messages {
        let answer = self.answer();
        assert_eq!(answer.status, 101, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        let mut messages = Messages::default();
        let mut rest = &answer.body[..];
        while let Some((first, payload, after)) = frame(rest) {
            match first {
                0x82 => messages.data.push(payload.to_vec()),
                0x8a => messages.pongs.push(payload.to_vec()),
                0x88 => {
                    messages.close = payload.first_chunk().map(|code| u16::from_be_bytes(*code))
                }
                other => panic!("a frame that begins with {other:02x}"),
            }
            rest = after;
        }
        messages
    }

    /// The FLV so far.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        if self.is_websocket {
            return self.messages().data.concat();
        }
        let answer = self.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body
    }

    /// The whole tags so far.
    #[track_caller]
    pub fn tags(&self) -> Vec<Tag> {
        let bytes = self.bytes();
        if bytes.len() < FILE_HEADER_LEN { Vec::new() } else { flv::read(&bytes) }
    }

    /// The same as frames.
    #[track_caller]
    pub fn frames(&self) -> Frames {
        Frames::of_tags(&self.tags())
    }

    /// Waits until there are `n` media tags.
    #[track_caller]
    pub fn wait_for_frames(&self, n: usize) {
        wait::until(&format!("{n} frames"), TIMEOUT, || {
            (self.tags().iter().filter(|tag| tag.is_frame()).count() >= n).then_some(())
        });
    }

    /// Sends a frame as clients do, masked.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        let len = u8::try_from(payload.len()).expect("short frames only");
        let mask = [0x12, 0x34, 0x56, 0x78];
        let mut bytes = vec![first, 0x80 | len];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.send_raw(&bytes);
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).expect("the server reads");
    }

    /// The same, for a server that may have closed.
    ///
    /// # Errors
    /// When it has.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Takes no more bytes from the socket, which stays open.
    pub fn stop_reading(&self) {
        self.received().is_paused = true;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The reading thread has a share of the socket.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A connection with a time-out.
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect_timeout(&address, TIMEOUT).expect("the server listens")
}

/// First byte and payload of a frame of a server, and what follows. `None`: not all of it is there.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, len], rest) = bytes.split_first_chunk::<2>()?;
    let (len, rest) = match len {
        126 => {
            rest.split_first_chunk().map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest))?
        }
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        short => (short.into(), rest),
    };
    assert!(len < 1 << 32, "a server does not mask");
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((first, payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_frames_apart() {
        let long = [&[0x82, 126, 0x01, 0x00][..], &[7; 256], &[0x8a, 1, 9]].concat();

        let (first, payload, rest) = frame(&long).expect("a frame");

        assert_eq!((first, payload), (0x82, &[7; 256][..]));
        assert_eq!(frame(rest), Some((0x8a, &[9][..], &[][..])));
        assert_eq!(frame(&long[..100]), None);
    }
}
