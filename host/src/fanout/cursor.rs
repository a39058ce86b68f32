//! Where a viewer is in its feed, and what it has to get next.
//!
//! ```text
//! rest of the packet begun ▸ pieces (first bytes, head, injected messages) ▸ packets
//! ```
//!
//! Pieces go between packets only. Nothing here touches a socket.

use std::collections::VecDeque;
use std::io::IoSlice;

use plugin_api::frame::Ns;
use plugin_api::mem::{Buf, Pool};

use crate::hub::feed::Packets;

/// Pieces of memory in one send. Neighbouring packets are one piece, so that a GOP takes a few.
pub(super) const PARTS_MAX: usize = 64;

/// Bytes in one send: a joining viewer's GOP goes in several, and others have their turn in between.
const SEND_BYTES_MAX: usize = 256 << 10;

/// A position and what is to be sent before it.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The packet that is next, or begun. `None`: the newest start point will be, when there is room for it.
    at: Option<u64>,
    /// How much of it is sent.
    offset: usize,
    /// No packet before this one is sent any more.
    floor: u64,
    /// At `at` the viewer begins or resumes: it may need the head.
    entering: bool,
    /// Number of the newest head that it has had; 0: none.
    head: u32,
    pieces: VecDeque<Piece>,
    /// How much of the first piece is sent.
    piece_offset: usize,
}

/// Bytes that are no packet.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Buf,
    /// Counts against the bound on waiting messages.
    pub(super) injected: bool,
}

/// Which bytes may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The packet begun, and the pieces.
    Boundary,
    /// All that is there.
    Newest,
}

/// What a send is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) parts: usize,
    pub(super) bytes: usize,
}

/// What a send has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// The dts of the newest packet of which something was sent.
    pub(super) position: Option<Ns>,
    /// Bytes of injected messages that are through.
    pub(super) injected: usize,
}

/// The packets of one send to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) from: u64,
    /// The first packet that is not in it.
    pub(super) to: u64,
    pub(super) bytes: usize,
}

impl Round {
    /// As many whole packets from `from` on as one send takes, at least one. `None`: there is nothing new.
    pub(super) fn plan(window: &Packets, from: u64) -> Option<Self> {
        let (mut due, mut to, mut last) = (Due::default(), from, None);
        for packet in window.iter_from(from) {
            let follows = last.is_some_and(|last| packet.follows(last));
            let is_fit = due.bytes == 0
                || due.bytes + packet.len() <= SEND_BYTES_MAX && (follows || due.parts < PARTS_MAX);
            if !is_fit {
                break;
            }
            due.parts += usize::from(!follows);
            due.bytes += packet.len();
            (to, last) = (to + 1, Some(packet));
        }
        (to > from).then_some(Self { from, to, bytes: due.bytes })
    }

    /// Lists its bytes.
    pub(super) fn gather<'p, 'a>(
        self,
        window: &'a Packets,
        parts: &'p mut [IoSlice<'a>; PARTS_MAX],
    ) -> &'p [IoSlice<'a>] {
        let mut due = Due::default();
        let left = usize::try_from(self.to - self.from).unwrap_or(usize::MAX);
        let mut packets = window.iter_from(self.from).take(left).peekable();
        while let Some(first) = packets.next() {
            let (mut last, mut len) = (first, first.len());
            while let Some(packet) = packets.next_if(|packet| packet.follows(last)) {
                last = packet;
                len += packet.len();
            }
            due.add(parts, window.bytes(first, 0, len));
        }
        parts.get(..due.parts).unwrap_or_default()
    }
}

impl Cursor {
    /// Begins at a start point, or at the next one.
    pub(super) fn new(begin: Option<u64>) -> Self {
        Self {
            at: begin,
            offset: 0,
            floor: 0,
            entering: true,
            head: 0,
            pieces: VecDeque::new(),
            piece_offset: 0,
        }
    }

    /// Queues bytes that go between packets.
    pub(super) fn push(&mut self, piece: Piece) {
        if !piece.bytes.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// The packet that is next is this one, and nothing goes before it.
    pub(super) fn is_at(&self, seq: u64) -> bool {
        self.at == Some(seq) && self.is_at_boundary()
    }

    /// Everything before this packet was sent by others. `head` is the newest that was in it.
    pub(super) fn stand_at(&mut self, seq: u64, head: Option<u32>) {
        self.at = Some(seq);
        self.head = head.unwrap_or(self.head);
    }

    /// No packet is begun and no piece waits.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.offset == 0 && self.pieces.is_empty()
    }

    /// The oldest packet that it has still to get.
    pub(super) fn needs_from(&self) -> u64 {
        self.at.unwrap_or(u64::MAX)
    }

    /// To be called before [`Cursor::gather`]: finds the place to resume at, and queues the head where the viewer needs
    /// it. Gives the number of packets left out.
    pub(super) fn enter(&mut self, window: &Packets) -> u64 {
        let mut skipped = 0;
        if self.at.is_none() {
            let start = window.newest_start().filter(|start| *start >= self.floor);
            let Some(start) = start else { return 0 };
            skipped = if self.head == 0 { 0 } else { start - self.floor };
            self.at = Some(start);
            self.entering = true;
        }
        if self.offset > 0 {
            return skipped;
        }
        let Some(packet) = self.at.and_then(|at| window.get(at)) else { return skipped };
        let begins = std::mem::take(&mut self.entering) || packet.restart;
        if begins && self.head != packet.head {
            if let Some(head) = window.head(packet.head) {
                if self.head == 0 {
                    self.push(Piece { bytes: head.preamble.clone(), injected: false });
                }
                self.push(Piece { bytes: head.config.clone(), injected: false });
            }
            self.head = packet.head;
        }
        skipped
    }

    /// Lists what is due, as far as one send takes it.
    pub(super) fn gather<'a>(
        &'a self,
        window: &'a Packets,
        until: Until,
        parts: &mut [IoSlice<'a>; PARTS_MAX],
    ) -> Due {
        let mut due = Due::default();
        let mut next = self.at;
        if let Some(packet) = self.at.filter(|_| self.offset > 0).and_then(|at| window.get(at)) {
            let left = packet.len() - self.offset;
            due.add(parts, window.bytes(packet, self.offset, left));
            next = self.at.map(|at| at + 1);
        }
        let mut skip = self.piece_offset;
        for piece in &self.pieces {
            if !due.has_room() {
                return due;
            }
            due.add(parts, &piece.bytes[skip..]);
            skip = 0;
        }
        if let Some(seq) = next.filter(|_| until == Until::Newest) {
            self.gather_packets(window, seq, parts, &mut due);
        }
        due
    }

    fn gather_packets<'a>(
        &self,
        window: &'a Packets,
        seq: u64,
        parts: &mut [IoSlice<'a>; PARTS_MAX],
        due: &mut Due,
    ) {
        let mut packets = window.iter_from(seq).peekable();
        let mut is_next = self.offset == 0;
        while due.has_room() {
            // Where another packager began, the head may come first: not in this send.
            let Some(first) = packets.next_if(|packet| is_next || !packet.restart) else { return };
            is_next = false;
            let room = SEND_BYTES_MAX - due.bytes;
            let (mut last, mut len) = (first, first.len());
            while let Some(packet) = packets.next_if(|packet| {
                !packet.restart && packet.follows(last) && len + packet.len() <= room
            }) {
                last = packet;
                len += packet.len();
            }
            due.add(parts, window.bytes(first, 0, len));
        }
    }

    /// The kernel has taken `n` bytes of what was gathered.
    pub(super) fn advance(&mut self, window: &Packets, mut n: usize) -> Sent {
        let mut sent = Sent::default();
        while n > 0 {
            if self.offset == 0 && !self.pieces.is_empty() {
                n = self.advance_piece(n, &mut sent);
                continue;
            }
            let Some((at, packet)) = self.at.and_then(|at| Some((at, window.get(at)?))) else {
                break;
            };
            sent.position = Some(packet.dts);
            let left = packet.len() - self.offset;
            if n < left {
                self.offset += n;
                break;
            }
            n -= left;
            self.offset = 0;
            self.at = Some(at + 1);
            if packet.start_point {
                // Everything that changed in band has been read by now.
                self.head = packet.head;
            }
        }
        sent
    }

    /// Gives the bytes that are left for what follows the piece.
    fn advance_piece(&mut self, n: usize, sent: &mut Sent) -> usize {
        let Some(piece) = self.pieces.front() else { return n };
        let left = piece.bytes.len() - self.piece_offset;
        if n < left {
            self.piece_offset += n;
            return 0;
        }
        sent.injected += if piece.injected { piece.bytes.len() } else { 0 };
        self.piece_offset = 0;
        self.pieces.pop_front();
        if self.pieces.is_empty() {
            // The list's memory goes with the first burst.
            self.pieces = VecDeque::new();
        }
        n - left
    }

    /// Whether the packet that is next is about to go.
    pub(super) fn is_lost(&self, window: &Packets) -> bool {
        self.at.is_some_and(|at| at < window.first())
    }

    /// Whether a viewer that the kernel takes nothing from is to jump: it is further behind than `max_lag`, and there is a
    /// start point ahead.
    pub(super) fn is_lagging(&self, window: &Packets, max_lag: Ns) -> bool {
        let Some(at) = self.at else { return false };
        let behind = || Some(window.newest_dts()?.saturating_sub(window.get(at)?.dts));
        window.newest_start().is_some_and(|start| start > at)
            && behind().is_some_and(|behind| behind > max_lag)
    }

    /// Gives up everything up to the newest start point that there will be when the viewer takes bytes again. The packet
    /// begun is finished before: its rest is copied, so that a slow viewer holds no more than that.
    pub(super) fn skip(&mut self, window: &Packets, pool: &Pool) {
        let Some(at) = self.at.take() else { return };
        self.entering = true;
        self.floor = at;
        if self.offset > 0 {
            self.floor += 1;
            if let Some(rest) = window.rest(at, self.offset) {
                let bytes = pool.copy(&[&rest]).unwrap_or(rest);
                self.pieces.push_front(Piece { bytes, injected: false });
            }
            self.offset = 0;
        }
    }
}

impl Due {
    fn has_room(self) -> bool {
        self.parts < PARTS_MAX && self.bytes < SEND_BYTES_MAX
    }

    fn add<'a>(&mut self, parts: &mut [IoSlice<'a>; PARTS_MAX], bytes: &'a [u8]) {
        if let Some(part) = parts.get_mut(self.parts) {
            *part = IoSlice::new(bytes);
            self.parts += 1;
            self.bytes += bytes.len();
        }
    }
}
