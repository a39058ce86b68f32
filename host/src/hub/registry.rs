//! Streams by name, where their time was left, and names that the operator has blocked.
//!
//! Its lock is held for a look-up only; that of a stream may be taken inside, never the other way round.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_api::frame::Ns;

use super::key::StreamKey;
use super::shared::Shared;
use super::stream::Stream;
use super::timeline::Timeline;

/// How long the time of a stream that is over goes on under its name: longer than a slow viewer takes to see its end and
/// to wait for the next one.
const TIMELINE_KEPT: Ns = 60_000_000_000;

/// Names whose time goes on, at most; a stream of any other begins where its encoder's clock stands.
const TIMELINES_KEPT: usize = 1024;

/// All streams that have not ended.
pub(super) struct Registry {
    shared: Arc<Shared>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    streams: HashMap<StreamKey, Arc<Stream>>,
    /// Until when.
    blocked: HashMap<StreamKey, Ns>,
    /// Of streams that are over, and until when.
    timelines: HashMap<StreamKey, (Timeline, Ns)>,
}

impl Entries {
    /// What the next stream of this name goes on with.
    fn take_timeline(&mut self, key: &StreamKey) -> Timeline {
        let last = self.streams.get(key).and_then(|stream| stream.hand_on_timeline());
        let kept = self.timelines.remove(key).map(|(timeline, _)| timeline);
        last.or(kept).unwrap_or_default()
    }
}

impl Registry {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, entries: Mutex::default() }
    }

    /// The stream of this name, if there is one that has not ended.
    pub(super) fn find(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        let stream = self.entries.lock().streams.get(key).cloned()?;
        stream.ended().is_none().then_some(stream)
    }

    /// The stream of this name, made if need be.
    pub(super) fn find_or_add(&self, key: &StreamKey) -> Arc<Stream> {
        let mut entries = self.entries.lock();
        if let Some(stream) = entries.streams.get(key)
            && stream.ended().is_none()
        {
            return Arc::clone(stream);
        }
        let timeline = entries.take_timeline(key);
        let stream = Stream::new(key.clone(), Arc::clone(&self.shared), timeline);
        let old = entries.streams.insert(key.clone(), Arc::clone(&stream));
        drop(entries);
        drop(old);
        stream
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Stream>> {
        self.entries.lock().streams.values().cloned().collect()
    }

    /// Forgets streams that are over, but for their time, and what was kept for long enough.
    pub(super) fn clean(&self, now: Ns) {
        let mut over = Vec::new();
        let mut entries = self.entries.lock();
        let Entries { streams, blocked, timelines } = &mut *entries;
        blocked.retain(|_, until| now < *until);
        timelines.retain(|_, (_, until)| now < *until);
        streams.retain(|key, stream| {
            let is_over = stream.is_over();
            if is_over {
                if timelines.len() < TIMELINES_KEPT
                    && let Some(timeline) = stream.hand_on_timeline()
                {
                    timelines.insert(key.clone(), (timeline, now.saturating_add(TIMELINE_KEPT)));
                }
                over.push(Arc::clone(stream));
            }
            !is_over
        });
        drop(entries);
        drop(over);
    }

    pub(super) fn block(&self, key: &StreamKey, until: Ns) {
        self.entries.lock().blocked.insert(key.clone(), until);
    }

    /// How long a name is blocked yet.
    pub(super) fn blocked_for(&self, key: &StreamKey, now: Ns) -> Option<Ns> {
        let until = *self.entries.lock().blocked.get(key)?;
        (until > now).then(|| until - now)
    }
}
