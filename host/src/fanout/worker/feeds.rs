//! The feeds of a fan-out thread: one window of packets for all viewers of a feed.

use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use super::in_sync::InSync;
use crate::hub::Reason;
use crate::hub::feed::{Feed, Packets, Watch};

/// A feed and the thread's viewers of it.
pub(super) struct Group {
    pub(super) feed: Arc<Feed>,
    pub(super) watch: Arc<Watch>,
    pub(super) window: Packets,
    pub(super) ended: Option<Reason>,
    pub(super) in_sync: InSync,
    /// Slots of the other viewers.
    pub(super) apart: Vec<usize>,
    /// In the middle of a round: the window must not move.
    pub(super) is_sending: bool,
    /// Packets from here on are new.
    served: u64,
    /// What is new waits for more until then.
    due: Option<Instant>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.in_sync.is_empty() && self.apart.is_empty()
    }

    /// Whether what is new may wait for more: nothing of it is a start point, and nothing is at its end.
    fn may_wait(&self) -> bool {
        let has_start = self.window.newest_start().is_some_and(|start| start >= self.served);
        self.ended.is_none() && !has_start && !self.feed.latency_budget().is_zero()
    }
}

impl Worker {
    /// The feed's slot, with a window that is up to date unless a round of it is on its way.
    pub(super) fn group_of(&mut self, feed: &Arc<Feed>) -> usize {
        let slot = match self.by_feed.get(&feed.id()) {
            Some(slot) => *slot,
            None => self.new_group(feed),
        };
        let group = &mut self.groups[slot];
        if !group.is_sending {
            group.ended = feed.follow(&mut group.window);
        }
        slot
    }

    fn new_group(&mut self, feed: &Arc<Feed>) -> usize {
        let entry = self.groups.vacant_entry();
        let slot = entry.key();
        let watch = feed.watch(Arc::clone(&self.inbox) as _, slot);
        entry.insert(Group {
            feed: Arc::clone(feed),
            watch,
            window: Packets::default(),
            ended: None,
            in_sync: InSync::default(),
            apart: Vec::new(),
            is_sending: false,
            served: 0,
            due: None,
        });
        self.by_feed.insert(feed.id(), slot);
        slot
    }

    pub(super) fn drop_group(&mut self, slot: usize) {
        let group = self.groups.remove(slot);
        if let Some(due) = group.due {
            self.due.remove(&(due, slot));
        }
        group.feed.unwatch(&group.watch);
        self.by_feed.remove(&group.feed.id());
    }

    /// Takes what the feed has got and sends it to each of its viewers, now or when it is due.
    pub(super) fn on_news(&mut self, slot: usize) {
        // The slot of a feed without viewers may be empty, or another feed's: looking once more does no harm.
        let Some(group) = self.groups.get_mut(slot) else { return };
        group.ended = group.feed.look(&group.watch, &mut group.window);
        if group.may_wait() {
            let due = || Instant::now() + group.feed.latency_budget();
            self.due.insert((*group.due.get_or_insert_with(due), slot));
        } else {
            self.send_news(slot);
        }
    }

    /// Sends what has waited for long enough.
    pub(super) fn send_due(&mut self) {
        while let Some((due, slot)) = self.due.first().copied() {
            if due > Instant::now() {
                return;
            }
            self.due.pop_first();
            self.send_news(slot);
        }
    }

    fn send_news(&mut self, slot: usize) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        if let Some(due) = group.due.take() {
            self.due.remove(&(due, slot));
        }
        group.served = group.window.end();
        self.send_in_sync(slot);
        let mut next = 0;
        while let Some(viewer) = self.apart(slot, next) {
            self.send(viewer);
            // One that has left has made room for another.
            if self.apart(slot, next) == Some(viewer) {
                next += 1;
            }
        }
        self.let_go(slot);
    }

    fn apart(&self, group: usize, index: usize) -> Option<usize> {
        self.groups.get(group)?.apart.get(index).copied()
    }

    fn let_go(&mut self, slot: usize) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        let apart = group.apart.iter().filter_map(|slot| self.viewers.get(*slot));
        // One that came in the middle of the pass may need what the others don't.
        let needed = apart.map(|viewer| viewer.cursor.needs_from()).min().unwrap_or(u64::MAX);
        group.watch.needs_from(needed.min(group.in_sync.needs_from()));
        group.window.let_go();
    }
}
