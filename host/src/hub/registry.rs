//! Streams by name, and names that the operator has blocked.
//!
//! Its lock is held for a look-up only; that of a stream may be taken inside, never the other way round.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_api::frame::Ns;

use super::key::StreamKey;
use super::shared::Shared;
use super::stream::Stream;

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
        let stream = Stream::new(key.clone(), Arc::clone(&self.shared));
        let old = entries.streams.insert(key.clone(), Arc::clone(&stream));
        drop(entries);
        drop(old);
        stream
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Stream>> {
        self.entries.lock().streams.values().cloned().collect()
    }

    /// Forgets streams that are over and blocks that have passed.
    pub(super) fn clean(&self, now: Ns) {
        let mut over = Vec::new();
        let mut entries = self.entries.lock();
        entries.streams.retain(|_, stream| {
            let is_over = stream.is_over();
            if is_over {
                over.push(Arc::clone(stream));
            }
            !is_over
        });
        entries.blocked.retain(|_, until| now < *until);
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
