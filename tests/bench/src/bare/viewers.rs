//! The bare loop's viewers, and what they could not take yet.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::Engine;
use crate::error::Error;

/// A viewer further behind is let go.
const BACKLOG_MAX: usize = 16 << 20;

/// What is sent at a time to the viewers of one stream.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    /// Where the first keyframe in it begins.
    pub keyframe: Option<usize>,
}

/// By stream.
pub(super) struct Viewers {
    streams: Vec<Vec<Viewer>>,
    accepted: usize,
    preamble: Vec<u8>,
}

pub(super) struct Viewer {
    pub socket: TcpStream,
    /// Counts the viewers from zero.
    pub number: usize,
    /// Begins with a keyframe.
    has_begun: bool,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.keyframe = None;
    }
}

impl Viewers {
    pub(super) fn new(streams: usize, preamble: Vec<u8>) -> Self {
        Self { streams: (0..streams).map(|_| Vec::new()).collect(), accepted: 0, preamble }
    }

    pub(super) fn of(&mut self, stream: usize) -> &mut Vec<Viewer> {
        &mut self.streams[stream]
    }

    /// Takes everybody who waits; they are spread over the streams.
    pub(super) fn accept(
        &mut self,
        listener: &TcpListener,
        engine: &mut impl Engine,
    ) -> Result<(), Error> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Error::io("accept")(error)),
            };
            socket.set_nodelay(true).map_err(Error::io("accept"))?;
            let number = self.accepted;
            self.accepted += 1;
            let mut viewer = Viewer { socket, number, has_begun: false, backlog: Vec::new() };
            engine.admit(&viewer)?;
            if viewer.send(&self.preamble) {
                let stream = number % self.streams.len();
                self.streams[stream].push(viewer);
            }
        }
    }

    /// Tries those again whose socket was full; `true` if there is one left.
    pub(super) fn retry(&mut self) -> bool {
        let mut is_left = false;
        for viewers in &mut self.streams {
            viewers.retain_mut(|viewer| viewer.backlog.is_empty() || viewer.send(&[]));
            is_left |= viewers.iter().any(|viewer| !viewer.backlog.is_empty());
        }
        is_left
    }
}

impl Viewer {
    /// The part of the batch that this viewer gets.
    pub(super) fn due<'a>(&mut self, batch: &'a Batch) -> &'a [u8] {
        if self.has_begun {
            return &batch.bytes;
        }
        self.has_begun = batch.keyframe.is_some();
        batch.keyframe.map_or(&[], |at| &batch.bytes[at..])
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Keeps what the socket did not take.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.backlog.extend_from_slice(rest);
    }

    /// Sends what is left over and then `bytes`; `false` if the viewer is gone.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if self.backlog.is_empty() {
            let sent = self.try_send(bytes);
            return sent.map(|sent| self.keep(&bytes[sent..])).is_ok();
        }
        self.keep(bytes);
        let Ok(sent) = self.try_send(&self.backlog) else { return false };
        self.backlog.drain(..sent);
        self.backlog.len() <= BACKLOG_MAX
    }

    fn try_send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => Ok(0),
            outcome => outcome,
        }
    }
}
