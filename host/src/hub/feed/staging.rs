//! What a packager has written in the call that is going on: copied into slabs at once, shown to readers when the call has
//! succeeded.

use std::sync::Arc;

use plugin_api::mem::{Buf, BufMut, Pool};

use super::framing::Framing;
use super::packager::{FeedOut, HEAD_BYTES_MAX, PACKET_BYTES_MAX, PackagerError, PacketRef};
use super::packets::{Head, Packet, Slab};

/// A slab: large enough that a GOP of a usual stream lies in few pieces, small enough that the one that is being filled
/// costs little. A larger packet gets one of its own size.
const SLAB_BYTES: usize = 256 << 10;

/// Heads that one call may set. A shape change needs one.
const HEADS_PER_CALL_MAX: usize = 64;

/// Copies packets into slabs.
#[derive(Debug)]
pub(super) struct Staging {
    pool: Pool,
    framing: Framing,
    /// The slab that is being filled, and its number.
    block: Option<BufMut>,
    number: u32,
    last_head: u32,
    /// Set by the first packet of a new packager.
    restart: bool,
    pub(super) packets: Vec<Packet>,
    pub(super) slabs: Vec<Slab>,
    pub(super) heads: Vec<Arc<Head>>,
}

impl Staging {
    pub(super) fn new(pool: Pool, framing: Framing) -> Self {
        Self {
            pool,
            framing,
            block: None,
            number: 0,
            last_head: 0,
            restart: false,
            packets: Vec::new(),
            slabs: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// The next packet is the first of another packager.
    pub(super) fn restart(&mut self) {
        self.restart = true;
    }

    /// The number of the newest head; 0: none yet.
    pub(super) fn last_head(&self) -> u32 {
        self.last_head
    }

    /// Adds the view of the slab that is being filled, so that everything staged lies in `slabs`.
    pub(super) fn seal(&mut self) {
        if let Some(block) = &self.block {
            self.slabs.push(Slab { number: self.number, bytes: block.filled() });
        }
    }

    /// For the next call.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.slabs.clear();
        self.heads.clear();
    }

    /// The call failed: nobody sees its packets. Slabs and heads stay, since their numbers are taken.
    pub(super) fn discard(&mut self) {
        self.packets.clear();
    }

    fn write_one(&mut self, packet: &PacketRef<'_>) -> Result<(), PackagerError> {
        let bytes: usize = packet.parts.iter().map(|part| part.len()).sum();
        if bytes == 0 || bytes > PACKET_BYTES_MAX {
            let text = format!("a packet of {bytes} bytes: 1 to {PACKET_BYTES_MAX} are allowed");
            return Err(PackagerError::failed(text));
        }
        if packet.head == 0 || packet.head != self.last_head {
            let text = format!("a packet names head {}, not the one in force", packet.head);
            return Err(PackagerError::failed(text));
        }
        let prefix = self.framing.prefix(bytes);
        let bytes = prefix.as_slice().len() + bytes;
        let block = self.room_for(bytes)?;
        let offset = u32::try_from(block.len()).map_err(|_| memory_limit())?;
        block.extend_from_slice(prefix.as_slice());
        for part in packet.parts {
            block.extend_from_slice(part);
        }
        self.packets.push(Packet {
            dts: packet.dts,
            head: packet.head,
            slab: self.number,
            offset,
            len: u32::try_from(bytes).map_err(|_| memory_limit())?,
            start_point: packet.start_point,
            restart: std::mem::take(&mut self.restart),
        });
        Ok(())
    }

    /// The slab that takes the next `bytes`.
    fn room_for(&mut self, bytes: usize) -> Result<&mut BufMut, PackagerError> {
        if self.block.as_ref().is_none_or(|block| block.remaining() < bytes) {
            let fresh = self.pool.alloc(bytes.max(SLAB_BYTES)).ok_or_else(memory_limit)?;
            self.seal();
            self.number += 1;
            self.block = Some(fresh);
        }
        self.block.as_mut().ok_or_else(memory_limit)
    }

    fn copy(&self, parts: &[&[u8]]) -> Result<Buf, PackagerError> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        if bytes == 0 {
            return Ok(Buf::default());
        }
        let prefix = self.framing.prefix(bytes);
        let parts: Vec<&[u8]> =
            std::iter::once(prefix.as_slice()).chain(parts.iter().copied()).collect();
        self.pool.copy(&parts).ok_or_else(memory_limit)
    }
}

impl FeedOut for Staging {
    fn set_head(&mut self, preamble: &[&[u8]], config: &[&[u8]]) -> Result<u32, PackagerError> {
        let bytes: usize = preamble.iter().chain(config).map(|part| part.len()).sum();
        if bytes > HEAD_BYTES_MAX || self.heads.len() == HEADS_PER_CALL_MAX {
            let text = format!("a head of {bytes} bytes: {HEAD_BYTES_MAX} are allowed");
            return Err(PackagerError::failed(text));
        }
        let (preamble, config) = (self.copy(preamble)?, self.copy(config)?);
        self.last_head += 1;
        self.heads.push(Arc::new(Head { number: self.last_head, preamble, config }));
        Ok(self.last_head)
    }

    fn write(&mut self, packets: &[PacketRef<'_>]) -> Result<(), PackagerError> {
        packets.iter().try_for_each(|packet| self.write_one(packet))
    }
}

fn memory_limit() -> PackagerError {
    PackagerError::failed("the server's memory limit")
}
