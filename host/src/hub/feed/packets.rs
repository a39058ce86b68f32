//! A run of packets and the memory they lie in.
//!
//! The feed has one, the log, which grows at the end and is trimmed in front. Each fan-out thread has another for each feed
//! that it sends, and brings it up to date once per pass ([`Packets::follow`]); so sending takes no lock and no count.
//!
//! ```text
//! packets   first ─▶ [seq 7] [seq 8] [seq 9]      a packet: which slab, where in it, dts, head, flags
//! slabs              [██████ 3 ███████] [█ 4  ]   append-only; the view of the last one grows
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use plugin_api::frame::Ns;
use plugin_api::mem::Buf;

/// What the log adds to the bytes of a packet in its bound: packets of one byte each are bounded too.
const PACKET_OVERHEAD: usize = size_of::<Packet>();

/// Where a packet lies, and what a viewer has to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub dts: Ns,
    pub head: u32,
    pub(super) slab: u32,
    pub(super) offset: u32,
    pub(super) len: u32,
    pub start_point: bool,
    /// The first of another packager: whoever reads straight on gets the config as one who resumes.
    pub restart: bool,
}

impl Packet {
    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the bytes of `self` follow those of `before` in memory.
    pub fn follows(&self, before: &Self) -> bool {
        self.slab == before.slab && self.offset == before.offset + before.len
    }
}

/// What a viewer needs before packets.
#[derive(Debug)]
pub struct Head {
    pub number: u32,
    /// Sent once per connection.
    pub preamble: Buf,
    /// Sent when a viewer begins or resumes under this head and has not had it.
    pub config: Buf,
}

/// A piece of feed memory as far as it is filled.
#[derive(Clone, Debug)]
pub(super) struct Slab {
    pub(super) number: u32,
    pub(super) bytes: Buf,
}

/// Consecutive packets, numbered from the feed's first on.
#[derive(Debug, Default)]
pub struct Packets {
    /// Number of `packets[0]`.
    base: u64,
    /// What is before it is on its way out; in the log, nothing ever is.
    first: u64,
    /// A window's packets from before a gap, on their way out too.
    stale: Option<Box<Self>>,
    packets: VecDeque<Packet>,
    slabs: VecDeque<Slab>,
    heads: VecDeque<Arc<Head>>,
    newest_start: Option<u64>,
    bytes: usize,
}

/// What a feed holds at most, and at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    pub(super) max_bytes: usize,
    pub(super) max_time: Ns,
    /// Viewers that are less far behind find their packet.
    pub(super) max_lag: Ns,
}

impl Packets {
    /// Number of the first packet that is held.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of the packet that comes next.
    pub fn end(&self) -> u64 {
        self.base + self.packets.len() as u64
    }

    /// The newest packet at which a viewer may begin or resume; `None` when it is not held any more.
    pub fn newest_start(&self) -> Option<u64> {
        self.newest_start
    }

    /// The dts of the newest packet.
    pub fn newest_dts(&self) -> Option<Ns> {
        self.packets.back().map(|packet| packet.dts)
    }

    pub fn get(&self, seq: u64) -> Option<&Packet> {
        self.packets.get(self.index(seq)?)
    }

    /// The packets from `seq` on; none when it is not held.
    pub fn iter_from(&self, seq: u64) -> impl Iterator<Item = &Packet> {
        let end = self.packets.len();
        let from = self.index(seq).map_or(end, |index| index.min(end));
        self.packets.range(from..)
    }

    /// `len` bytes from the packet's byte `skip` on: more than the packet when others follow it in memory.
    pub fn bytes(&self, packet: &Packet, skip: usize, len: usize) -> &[u8] {
        let from = packet.offset as usize + skip;
        self.slab(packet).and_then(|slab| slab.bytes.get(from..from + len)).unwrap_or_default()
    }

    /// The bytes of a packet from `skip` on, with a share in their memory. Finds packets that are on their way out.
    pub fn rest(&self, seq: u64, skip: usize) -> Option<Buf> {
        let Some(packet) = self.get(seq) else { return self.stale.as_ref()?.rest(seq, skip) };
        let from = packet.offset as usize + skip;
        let to = packet.offset as usize + packet.len();
        Some(self.slab(packet)?.bytes.slice(from..to))
    }

    /// A head that a packet names.
    pub fn head(&self, number: u32) -> Option<&Arc<Head>> {
        self.heads.iter().find(|head| head.number == number)
    }

    /// Bytes of packets, with what their descriptions take.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes over what `log` has got. Work under the log's lock: one step per packet that is new. What the log has
    /// dropped stays until [`Packets::let_go`], so that viewers can finish the packet that they have begun.
    pub fn follow(&mut self, log: &Self) {
        if self.end() < log.first {
            let stale = std::mem::take(self);
            *self = Self { base: log.first, stale: Some(Box::new(stale)), ..Self::default() };
        }
        self.first = log.first;
        self.packets.extend(log.iter_from(self.end()));
        self.newest_start = log.newest_start;
        self.bytes = log.bytes;
        // Only the newest slab can have grown. The log may have dropped it, and more after it.
        let newest = self.slabs.back().map_or(0, |slab| slab.number);
        let fresh = log.slabs.iter().filter(|slab| slab.number >= newest);
        fresh.for_each(|slab| self.put_slab(slab));
        let newest = |packets: &Self| packets.heads.back().map(|head| head.number);
        if newest(self) != newest(log) || self.heads.len() != log.heads.len() {
            self.heads.clone_from(&log.heads);
        }
    }

    /// Drops what the log had dropped.
    pub fn let_go(&mut self) {
        self.stale = None;
        let gone = self.index(self.first).unwrap_or(0).min(self.packets.len());
        self.packets.drain(..gone);
        self.base = self.first;
        self.drop_unused();
    }

    pub(super) fn append(&mut self, packets: &[Packet], slabs: &[Slab], heads: &[Arc<Head>]) {
        for packet in packets {
            if packet.start_point {
                self.newest_start = Some(self.end());
            }
            self.bytes += packet.len() + PACKET_OVERHEAD;
            self.packets.push_back(*packet);
        }
        slabs.iter().for_each(|slab| self.put_slab(slab));
        self.heads.extend(heads.iter().cloned());
        // Of heads that no packet names, only the newest can still be named.
        let newest = self.heads.back().map_or(0, |head| head.number);
        let in_use = self.packets.back().map_or(0, |packet| packet.head);
        self.heads.retain(|head| head.number <= in_use || head.number == newest);
    }

    /// The newest slab, or what it has grown to.
    fn put_slab(&mut self, slab: &Slab) {
        match self.slabs.back_mut().filter(|last| last.number == slab.number) {
            Some(last) => last.bytes = slab.bytes.clone(),
            None => self.slabs.push_back(slab.clone()),
        }
    }

    /// Lets go of what nobody needs: keeps from the newest start point on, from `oldest_wanted` on unless that is too far
    /// behind, and in any case no more than the bounds.
    pub(super) fn trim(&mut self, keep: &Keep, oldest_wanted: u64, held: Option<u64>) {
        let Some(newest) = self.newest_dts() else { return };
        let needed = self.newest_start.into_iter().chain(held).min().unwrap_or_else(|| self.end());
        while let Some(packet) = self.packets.front() {
            let is_last = self.packets.len() == 1;
            let age = newest.saturating_sub(packet.dts);
            let over = self.bytes > keep.max_bytes || age > keep.max_time;
            let wanted = self.first >= oldest_wanted && age <= keep.max_lag;
            if is_last || !over && (self.first >= needed || wanted) {
                break;
            }
            self.bytes -= packet.len() + PACKET_OVERHEAD;
            self.packets.pop_front();
            self.first += 1;
            self.base = self.first;
        }
        if self.newest_start.is_some_and(|start| start < self.first) {
            self.newest_start = None;
        }
        self.drop_unused();
    }

    fn drop_unused(&mut self) {
        let Some((slab, head)) = self.packets.front().map(|packet| (packet.slab, packet.head))
        else {
            return;
        };
        while self.slabs.front().is_some_and(|oldest| oldest.number < slab) {
            self.slabs.pop_front();
        }
        while self.heads.front().is_some_and(|oldest| oldest.number < head) {
            self.heads.pop_front();
        }
    }

    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.base)?).ok()
    }

    fn slab(&self, packet: &Packet) -> Option<&Slab> {
        // Numbers rise, not without gaps.
        let index = self.slabs.binary_search_by_key(&packet.slab, |slab| slab.number).ok()?;
        self.slabs.get(index)
    }
}
