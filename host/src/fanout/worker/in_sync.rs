//! Viewers that have got everything up to the same packet: they are sent the same bytes, and have no state of their own.
//!
//! Nearly all viewers are in sync nearly always. What is new is gathered once for all of them, and who takes it whole
//! costs one call and nothing else: its place, its head and its figures are those of the list. Whoever is different (new,
//! slow, over TLS, leaving, with a message between packets) stands apart, with a [`Cursor`] of its own.
//!
//! [`Cursor`]: crate::fanout::cursor::Cursor

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::Worker;
use crate::fanout::attached::{Attached, Leave};
use crate::fanout::cursor::{PARTS_MAX, Round};
use crate::fanout::sender::{Progress, Sender, Target};
use crate::hub::Reason;
use crate::hub::feed::{Packets, SharedFigures};

/// After so many sends the inbox is looked at: a viewer that comes waits for a few dozen others, not for a thousand.
const SENDS_PER_LOOK: usize = 32;

/// The viewers of a feed that stand at the same packet boundary.
#[derive(Debug, Default)]
pub(in crate::fanout) struct InSync {
    /// Their sockets, and their slots in the thread's list of viewers.
    members: Vec<Target>,
    /// The packet that is next for all of them.
    at: u64,
    figures: Arc<SharedFigures>,
    /// Number and head of the newest start point sent: viewers have read what changed in band up to there.
    start: Option<(u64, u32)>,
}

impl InSync {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The oldest packet that a member has still to get.
    pub(super) fn needs_from(&self) -> u64 {
        if self.is_empty() { u64::MAX } else { self.at }
    }

    /// Whether members have to stand apart: the log has dropped what they have still to get, or another packager begins,
    /// whose head they may need.
    fn is_broken(&self, window: &Packets) -> bool {
        self.at < window.first() || window.iter_from(self.at).any(|packet| packet.restart)
    }

    /// Whether a viewer that has nothing to get may join.
    fn is_level(&mut self, viewer: &Attached, window: &Packets) -> bool {
        if self.is_empty() {
            self.at = window.end();
        }
        self.at == window.end() && viewer.is_at(self.at) && viewer.lent.tls.is_none()
    }

    /// The members have got the packets of `round`.
    fn sent(&mut self, window: &Packets, round: Round) {
        for (number, packet) in (round.from..round.to).zip(window.iter_from(round.from)) {
            if packet.start_point {
                self.start = Some((number, packet.head));
            }
        }
        let newest = window.get(round.to - 1).map_or(0, |packet| packet.dts);
        self.figures.sent(round.bytes, newest);
        self.at = round.to;
    }
}

impl Worker {
    /// Sends what is new to all that are in sync, with others' joining in between.
    pub(super) fn send_in_sync(&mut self, slot: usize) {
        loop {
            let Some(group) = self.groups.get(slot) else { return };
            let is_over = group.ended.is_some() || group.in_sync.is_broken(&group.window);
            if is_over {
                return self.part_all(slot);
            }
            let Some(round) = Round::plan(&group.window, group.in_sync.at) else { return };
            self.send_round(slot, round);
        }
    }

    fn send_round(&mut self, slot: usize, round: Round) {
        let mut next = 0;
        self.groups[slot].is_sending = true;
        loop {
            let Some(group) = self.groups.get(slot) else { return };
            let Some(targets) = group.in_sync.members.get(next..).filter(|left| !left.is_empty())
            else {
                break;
            };
            let is_last = targets.len() <= SENDS_PER_LOOK;
            let targets = &targets[..targets.len().min(SENDS_PER_LOOK)];
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let parts = round.gather(&group.window, &mut parts);
            let cut_short = &mut self.cut_short;
            self.sender.broadcast(targets, parts, &mut |target, progress| {
                cut_short.push((target.slot, progress));
            });
            next += targets.len();
            if !is_last && self.inbox.has_mail() {
                self.admit_newcomers();
            }
        }
        let mut cut_short = std::mem::take(&mut self.cut_short);
        // Their places in the list are needed to take them out: before it moves on.
        for (slot, progress) in cut_short.drain(..) {
            self.part(slot as usize);
            self.after_cut(slot as usize, &progress);
        }
        self.cut_short = cut_short;
        if let Some(group) = self.groups.get_mut(slot) {
            group.in_sync.sent(&group.window, round);
            group.is_sending = false;
        }
    }

    /// One that did not take all of a round goes on by itself.
    fn after_cut(&mut self, slot: usize, progress: &Progress) {
        let Some(viewer) = self.viewers.get_mut(slot) else { return };
        let Some(group) = self.groups.get(viewer.group) else { return };
        let closed = viewer.after_submit(&group.window, progress);
        if closed {
            self.leave(slot, Leave::Dead(Reason::PeerClosed));
        } else {
            self.note_full();
        }
    }

    /// Lists a viewer as in sync if it is.
    pub(super) fn join_if_level(&mut self, slot: usize) {
        let Some(viewer) =
            self.viewers.get_mut(slot).filter(|viewer| viewer.in_sync_from.is_none())
        else {
            return;
        };
        let Some(group) = self.groups.get_mut(viewer.group) else { return };
        if group.ended.is_some() || !group.in_sync.is_level(viewer, &group.window) {
            return;
        }
        let Ok(number) = u32::try_from(slot) else { return };
        group.apart.swap_remove(viewer.member);
        let moved = group.apart.get(viewer.member).copied();
        let in_sync = &mut group.in_sync;
        let before = std::mem::replace(&mut viewer.member, in_sync.members.len());
        viewer.in_sync_from = Some(in_sync.at);
        if let Some(record) = &viewer.record {
            record.join(&in_sync.figures);
        }
        in_sync.members.push(Target { socket: viewer.lent.socket.as_raw_fd(), slot: number });
        if let Some(moved) = moved {
            self.viewers[moved].member = before;
        }
    }

    /// Gives a viewer a place of its own, with all that it has got counted.
    pub(super) fn part(&mut self, slot: usize) {
        let Some(viewer) = self.viewers.get_mut(slot) else { return };
        let Some(from) = viewer.in_sync_from.take() else { return };
        let Some(group) = self.groups.get_mut(viewer.group) else { return };
        let in_sync = &mut group.in_sync;
        if let Some(record) = &viewer.record {
            viewer.conn.count_out(record.part());
        }
        let head = in_sync.start.filter(|(number, _)| *number >= from).map(|(_, head)| head);
        viewer.cursor.stand_at(in_sync.at, head);
        let before = std::mem::replace(&mut viewer.member, group.apart.len());
        group.apart.push(slot);
        in_sync.members.swap_remove(before);
        if let Some(moved) = in_sync.members.get(before) {
            self.viewers[moved.slot as usize].member = before;
        }
    }

    fn part_all(&mut self, group: usize) {
        while let Some(target) =
            self.groups.get(group).and_then(|group| group.in_sync.members.last())
        {
            self.part(target.slot as usize);
        }
    }
}
