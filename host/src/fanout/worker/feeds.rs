//! The feeds of a fan-out thread: one window of packets for all viewers of a feed.

use std::sync::Arc;

use super::Worker;
use crate::hub::Reason;
use crate::hub::feed::{Feed, Packets, Watch};

/// After so many sends the inbox is looked at: a viewer that comes waits for a few dozen others, not for a thousand.
const SENDS_PER_LOOK: usize = 32;

/// A feed and the thread's viewers of it.
pub(super) struct Group {
    pub(super) feed: Arc<Feed>,
    pub(super) watch: Arc<Watch>,
    pub(super) window: Packets,
    pub(super) ended: Option<Reason>,
    /// Slots of viewers.
    pub(super) members: Vec<usize>,
}

impl Worker {
    /// The feed's slot, with a window that is up to date.
    pub(super) fn group_of(&mut self, feed: &Arc<Feed>) -> usize {
        let slot = match self.by_feed.get(&feed.id()) {
            Some(slot) => *slot,
            None => self.new_group(feed),
        };
        let group = &mut self.groups[slot];
        group.ended = feed.follow(&mut group.window);
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
            members: Vec::new(),
        });
        self.by_feed.insert(feed.id(), slot);
        slot
    }

    pub(super) fn drop_group(&mut self, slot: usize) {
        let group = self.groups.remove(slot);
        group.feed.unwatch(&group.watch);
        self.by_feed.remove(&group.feed.id());
    }

    /// Takes what the feed has got and sends it to each of its viewers.
    pub(super) fn on_news(&mut self, slot: usize) {
        // The slot of a feed without viewers may be empty, or another feed's: looking once more does no harm.
        let Some(group) = self.groups.get_mut(slot) else { return };
        group.watch.looked();
        group.ended = group.feed.follow(&mut group.window);
        let mut next = 0;
        while let Some(viewer) = self.member(slot, next) {
            self.send(viewer);
            // One that has left has made room for another.
            if self.member(slot, next) == Some(viewer) {
                next += 1;
            }
            if self.sender.since_look >= SENDS_PER_LOOK {
                self.sender.since_look = 0;
                if self.inbox.has_mail() {
                    self.take_mail();
                }
            }
        }
        self.let_go(slot);
    }

    fn member(&self, group: usize, index: usize) -> Option<usize> {
        self.groups.get(group)?.members.get(index).copied()
    }

    fn let_go(&mut self, slot: usize) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        let members = group.members.iter().filter_map(|slot| self.viewers.get(*slot));
        // One that came in the middle of the pass may need what the others don't.
        let needed = members.map(|viewer| viewer.cursor.needs_from()).min().unwrap_or(u64::MAX);
        group.watch.needs_from(needed);
        group.window.let_go();
    }
}
