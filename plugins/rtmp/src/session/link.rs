//! The bytes of one connection, both ways, without the socket: what was read and not yet looked at, what is to be sent.
//!
//! socket → **link** → session → **link** → socket

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

/// What one read of a publisher takes at most: some frames, so that they are pushed together.
const READ_PUBLISHER: usize = 64 * 1024;

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

    /// A publisher's bytes are read straight into the input. `None`: the connection is quiet, and has no buffer.
    pub(super) fn room(&mut self) -> Option<&mut [u8]> {
        (self.input.len() == READ_PUBLISHER).then_some(self.input.as_mut_slice())
    }

    /// So many bytes were read into the room. What was in it before has been looked at: the session reads only then.
    pub(super) fn filled(&mut self, len: usize) {
        (self.start, self.end) = (0, len.min(self.input.len()));
    }

    /// Takes what was read elsewhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.clear();
        self.input.extend_from_slice(bytes);
        (self.start, self.end) = (0, bytes.len());
    }

    /// From here on much is read.
    pub(super) fn expect_much(&mut self) {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        self.input.resize(READ_PUBLISHER, 0);
    }

    /// From here on little is read: gives the memory back.
    pub(super) fn expect_little(&mut self) {
        self.input = self.input.get(self.start..self.end).unwrap_or_default().to_vec();
        (self.start, self.end) = (0, self.input.len());
        self.output.shrink_to_fit();
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
