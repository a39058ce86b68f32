//! The viewers of a fan-out thread: how they come, what is done for one, how they leave.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::mem::Buf;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::sockopt;

use super::Worker;
use crate::fanout::attached::{Attached, Leave, Visit};
use crate::fanout::cursor::Piece;
use crate::fanout::viewer::Detached;
use crate::hub::Reason;
use crate::hub::feed::ViewerIdentity;
use crate::net::{CloseReason, Conn, bucket, shown};

/// Half of an epoll mark is the slot, half is from the viewer's number: an event for one who has left must not reach the next
/// one in its slot.
const SLOT_BITS: u32 = 32;

impl Worker {
    pub(super) fn admit(&mut self, mut viewer: Box<Attached>) {
        let number = viewer.control.number();
        if viewer.conn.is_closed() {
            // Closed on its way here, and the command overtook it.
            self.finish(*viewer, Leave::Dead(Reason::Asked));
            return;
        }
        let feed = viewer.prepared.feed().clone();
        let group = self.group_of(&feed);
        let slot = self.viewers.vacant_key();
        if let Err(error) = self.watch_socket(&viewer, mark(slot, number)) {
            tracing::error!(event = "viewer.refused", conn = viewer.conn.id(), %error, "epoll_ctl");
            if self.groups[group].is_empty() {
                self.drop_group(group);
            }
            self.finish(*viewer, Leave::Back(Reason::Error));
            return;
        }
        self.groups[group].watch.also_needs_from(viewer.cursor.needs_from());
        viewer.prepared.hold = None;
        viewer.group = group;
        viewer.member = self.groups[group].apart.len();
        viewer.record =
            Some(feed.add_viewer(viewer.prepared.identity.clone(), Arc::downgrade(&viewer.conn)));
        viewer.is_logged = self.log_start(&viewer);
        self.groups[group].apart.push(slot);
        self.by_number.insert(number, slot);
        self.viewers.insert(viewer);
        self.send(slot);
    }

    fn watch_socket(&self, viewer: &Attached, mark: u64) -> io::Result<()> {
        let socket = &viewer.lent.socket;
        if let Some(bytes) = self.send_buffer {
            // The kernel doubles it, for its own bookkeeping.
            sockopt::set_socket_send_buffer_size(socket, bytes / 2)?;
        }
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(mark), both)?)
    }

    pub(super) fn slot_of(&self, number: u64) -> Option<usize> {
        self.by_number.get(&number).copied()
    }

    pub(super) fn slot_of_mark(&self, mark: u64) -> Option<usize> {
        let slot = usize::try_from(mark & (u64::MAX >> SLOT_BITS)).ok()?;
        let number = self.viewers.get(slot)?.control.number();
        (number << SLOT_BITS == mark >> SLOT_BITS << SLOT_BITS).then_some(slot)
    }

    /// Sends to a viewer that stands apart what is due to it; others have it, or will get it with all.
    pub(super) fn send(&mut self, slot: usize) {
        let Some(viewer) =
            self.viewers.get_mut(slot).filter(|viewer| viewer.in_sync_from.is_none())
        else {
            return;
        };
        let Some(group) = self.groups.get(viewer.group) else { return };
        let (window, ended) = (&group.window, group.ended);
        let visit = viewer.send(window, ended, &mut self.sender, &self.policy, &self.pool);
        self.visited(slot, visit);
    }

    pub(super) fn read(&mut self, slot: usize) {
        let Some(viewer) = self.viewers.get_mut(slot) else { return };
        match viewer.read(&mut self.scratch) {
            Visit::Done => {}
            visit => self.visited(slot, visit),
        }
    }

    pub(super) fn detach(&mut self, number: u64, reason: Reason) {
        let Some(slot) = self.slot_of(number) else { return };
        self.part(slot);
        self.viewers[slot].leaving.get_or_insert(reason);
        self.send(slot);
    }

    pub(super) fn inject(&mut self, number: u64, bytes: Buf) {
        let Some(slot) = self.slot_of(number) else { return };
        self.part(slot);
        self.viewers[slot].cursor.push(Piece { bytes, injected: true });
        self.send(slot);
    }

    pub(super) fn leave_all(&mut self, leave: Leave) {
        let slots: Vec<usize> = self.viewers.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.leave(slot, leave));
    }

    pub(super) fn leave(&mut self, slot: usize, leave: Leave) {
        self.part(slot);
        let Some(viewer) = self.viewers.try_remove(slot) else { return };
        self.by_number.remove(&viewer.control.number());
        if let Some(group) = self.groups.get_mut(viewer.group) {
            group.apart.swap_remove(viewer.member);
            if let Some(moved) = group.apart.get(viewer.member) {
                self.viewers[*moved].member = viewer.member;
            }
            if group.is_empty() {
                self.drop_group(viewer.group);
            }
        }
        // One that is closed below leaves epoll with its last descriptor.
        let _gone = epoll::delete(&self.epoll, &viewer.lent.socket);
        self.finish(*viewer, leave);
    }

    /// Gives the socket back or closes it, and tells the session.
    pub(super) fn finish(&mut self, viewer: Attached, leave: Leave) {
        let Attached { control, conn, lent, prepared, record, is_logged, .. } = viewer;
        let reason = match leave {
            Leave::Back(reason) | Leave::Dead(reason) => reason,
        };
        let feed = prepared.feed().clone();
        let detached = match &record {
            Some(record) => {
                feed.remove_viewer(record, reason);
                Detached { reason, bytes: record.bytes(), skipped: record.skipped() }
            }
            None => Detached { reason, bytes: 0, skipped: 0 },
        };
        if let Some(record) = record.filter(|_| is_logged) {
            tracing::info!(
                event = "viewer.stop", key = %record.key, conn = conn.id(),
                peer = shown(peer_of(&record.identity, &conn)), format = %record.format, %reason, bytes = detached.bytes,
                skipped = detached.skipped, duration = ?record.duration(), "viewer stopped"
            );
        }
        match leave {
            Leave::Back(_) => conn.give_back(lent),
            Leave::Dead(_) => {
                if reason == Reason::Stalled {
                    // What the peer does not take must not stay in the kernel.
                    let _best_effort =
                        sockopt::set_socket_linger(&lent.socket, Some(Duration::ZERO));
                }
                conn.close(CloseReason::Asked);
                drop(lent);
            }
        }
        self.loads.release(feed.id(), self.index);
        // The stream's and the feed's counts go before the session hears of it.
        drop(prepared);
        control.finish(detached);
    }

    /// Whether it has a line; then it has one when it stops, too.
    fn log_start(&self, viewer: &Attached) -> bool {
        let key = viewer.prepared.feed().key();
        let identity = &viewer.prepared.identity;
        let peer = peer_of(identity, &viewer.conn);
        let Some(left_out) = self.starts.may_log(bucket(peer.ip()), Instant::now()) else {
            return false;
        };
        tracing::info!(
            event = "viewer.start", key = %key.stream, conn = viewer.conn.id(),
            peer = shown(peer), protocol = %identity.protocol, format = %key.format,
            variant = %key.variant, agent = %identity.agent, left_out, "viewer started"
        );
        true
    }
}

fn mark(slot: usize, number: u64) -> u64 {
    number << SLOT_BITS | slot as u64
}

/// Who watches: behind an HTTP proxy that is not who connected.
fn peer_of(identity: &ViewerIdentity, conn: &Conn) -> SocketAddr {
    identity.peer.unwrap_or_else(|| conn.peer())
}
