//! The bytes of one connection, both ways, without the socket: what was read and not yet looked at, what is to be sent.
//!
//! socket → **link** → session → **link** → socket

use std::cell::Cell;
use std::io;
use std::task::Poll;

use plugin_api::Host;

use crate::ingest::Payload;
use crate::wire::Error;
use crate::wire::acks::Acks;
use crate::wire::chunk_reader::{ChunkReader, Limits, Message};
use crate::wire::chunk_writer::ChunkWriter;
use crate::wire::command::response::Response;
use crate::wire::message::{Control, UserControl};

/// The window that both sides acknowledge, as Flash Media Server's: 2.5 MB.
pub(super) const WINDOW: u32 = 2_500_000;

/// What one read takes at most: of a publisher some frames, so that they are pushed together.
const READ_MAX: usize = 64 * 1024;

thread_local! {
    /// What the sessions of this thread read into, one after the other: it stays in the processor's cache, and neither a
    /// silent viewer nor a publisher has a buffer. Empty while one of them uses it.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) struct Link {
    reader: ChunkReader<Payload<Host>>,
    writer: ChunkWriter,
    acks: Acks,
    input: Vec<u8>,
    /// What of `input` has not been looked at.
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Link {
    /// `received` bytes came before, in the handshake, and `input` after it.
    pub(super) fn new(limits: Limits, received: u64, input: &[u8]) -> Self {
        let mut acks = Acks::default();
        // Some encoders wait for acknowledgements without ever asking for them.
        acks.set_window(WINDOW);
        Self {
            reader: ChunkReader::new(limits, received),
            writer: ChunkWriter::default(),
            acks,
            input: input.to_vec(),
            start: 0,
            end: input.len(),
            output: Vec::new(),
        }
    }

    /// Reads by `read`, which fills the front of what it is given and says how much. What was read before has been looked at:
    /// the session reads only then.
    pub(super) fn read(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.input = INPUT.take();
        self.input.resize(READ_MAX, 0);
        let polled = read(&mut self.input);
        let len = if let Poll::Ready(Ok(len)) = polled { len } else { 0 };
        (self.start, self.end) = (0, len.min(READ_MAX));
        if len == 0 {
            self.keep_rest();
        }
        polled
    }

    /// Keeps what has not been looked at, nearly always nothing, and leaves the buffer to the next session.
    pub(super) fn keep_rest(&mut self) {
        let rest = self.input.get(self.start..self.end).unwrap_or_default().to_vec();
        (self.start, self.end) = (0, rest.len());
        let input = std::mem::replace(&mut self.input, rest);
        if input.len() == READ_MAX {
            INPUT.set(input);
        }
    }

    /// Whether there is nothing left to look at.
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The next whole message.
    pub(super) fn next(&mut self, host: &Host) -> Result<Option<Message<Payload<Host>>>, Error> {
        let mut unread = self.input.get(self.start..self.end).unwrap_or_default();
        let message =
            self.reader.push(&mut unread, &mut |announced| Payload::allocate(host, announced))?;
        self.start = self.end - unread.len();
        Ok(message)
    }

    pub(super) fn set_ack_window(&mut self, window: u32) {
        self.acks.set_window(window);
    }

    /// Tells the peer a chunk size and uses it from here on.
    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.control(Control::SetChunkSize(size));
        self.writer = ChunkWriter::new(size);
    }

    pub(super) fn control(&mut self, control: Control) {
        control.write(&self.writer, &mut self.output);
    }

    pub(super) fn event(&mut self, event: UserControl) {
        self.control(Control::User(event));
    }

    pub(super) fn respond(&mut self, response: &Response<'_>) {
        // Fails for 16 MiB only, and nothing that we write has as much.
        let _fits = response.write(&self.writer, &mut self.output);
    }

    /// Adds an acknowledgement if one is due.
    pub(super) fn acknowledge(&mut self) {
        if let Some(sequence) = self.acks.due(self.reader.bytes_received()) {
            self.control(Control::Acknowledgement(sequence));
        }
    }

    /// What is to be sent.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Takes what is to be sent.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(Limits::default(), 0, &[])
    }

    fn read(link: &mut Link, bytes: &[u8]) -> usize {
        let read = link.read(|room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        });
        let Poll::Ready(Ok(len)) = read else { panic!("bytes") };
        len
    }

    #[test]
    fn what_has_not_been_looked_at_outlives_the_next_read_of_another() {
        let (mut first, mut second) = (link(), link());

        assert_eq!(read(&mut first, b"of the first"), 12);
        first.start = 3;
        first.keep_rest();
        assert_eq!(read(&mut second, b"of the second"), 13);

        assert_eq!(first.input, b"the first");
        assert!(!first.is_empty());
        assert_eq!(second.input.get(..13), Some(&b"of the second"[..]));
    }

    #[test]
    fn a_buffer_is_held_only_while_there_is_something_to_look_at() {
        let mut link = link();

        assert!(link.read(|_| Poll::Pending).is_pending());
        assert_eq!((link.input.capacity(), link.is_empty()), (0, true));
        assert_eq!(read(&mut link, b"all of it"), 9);
        link.start = link.end;
        link.keep_rest();

        assert_eq!((link.input.capacity(), link.is_empty()), (0, true));
    }
}
