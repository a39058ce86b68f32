//! Feeds: a stream in one output format, packaged once for all its viewers.
//!
//! ```text
//! subscriber ▸ driver ▸ packager (plugin) ▸ staging ▸ log of packets ▸ fan-out threads ▸ viewers
//! ```
//!
//! A feed is opened for its first viewer, at the newest start point of the stream, and closed when the last one has been
//! gone for a while. It lasts as long as its stream does, over changes of publisher, which its packager sees as a change
//! of shape.

mod driver;
mod framing;
mod live;
mod packager;
mod packets;
mod playable;
mod prepare;
mod settings;
mod staging;
mod viewers;
mod watch;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use plugin_api::mem::Pool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::driver::{Driver, Source};
pub use self::framing::Framing;
use self::live::{End, Made};
pub use self::live::{Feed, FeedKey};
pub use self::packager::{
    FeedOut, HEAD_BYTES_MAX, PACKET_BYTES_MAX, Packager, PackagerError, PackagerFactory, PacketRef,
};
pub use self::packets::{Head, Packet, Packets};
pub use self::playable::FormatInfo;
pub use self::prepare::{PREPARED_LIMIT, PrepareRequest, Prepared, VARIANT_BYTES_MAX};
pub use self::settings::{LatencyRule, Settings};
pub use self::viewers::{FeedInfo, SharedFigures, ViewerIdentity, ViewerInfo, ViewerRecord};
pub use self::watch::{FeedWaker, Watch};
use crate::hub::key::StreamKey;
use crate::hub::{Hub, Reason, Refusal, Status, Stream};
use crate::metrics::FormatFigures;
use crate::net::CloseReason;

/// All feeds of the server, and the packagers that make them. A clone is the same one.
#[derive(Clone)]
pub struct Feeds {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<Hub>,
    pool: Pool,
    runtime: Handle,
    settings: Mutex<Settings>,
    formats: Mutex<HashMap<Arc<str>, Arc<dyn PackagerFactory>>>,
    feeds: Mutex<HashMap<FeedKey, Arc<Feed>>>,
    /// By format, over all feeds that there were.
    made: Mutex<BTreeMap<Arc<str>, Arc<Made>>>,
    next_id: AtomicU64,
    questions: Arc<Semaphore>,
}

impl Feeds {
    /// Packets are copied into blocks of `pool`; packagers run on `runtime`.
    pub fn new(hub: Arc<Hub>, pool: Pool, runtime: Handle, settings: Settings) -> Self {
        let inner = Inner {
            hub,
            pool,
            runtime,
            settings: Mutex::new(settings),
            formats: Mutex::default(),
            feeds: Mutex::default(),
            made: Mutex::default(),
            next_id: AtomicU64::new(1),
            questions: Arc::new(Semaphore::new(playable::QUESTIONS_MAX)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// New settings, for feeds that are opened from here on.
    pub fn set_settings(&self, settings: Settings) {
        *self.inner.settings.lock() = settings;
    }

    /// Makes `factory` the packager of a format.
    ///
    /// # Errors
    /// `Conflict` when the format has one.
    pub fn register(
        &self,
        format: &str,
        factory: Arc<dyn PackagerFactory>,
    ) -> Result<Registration, Refusal> {
        let format: Arc<str> = format.into();
        let mut formats = self.inner.formats.lock();
        if formats.contains_key(&format) {
            let text = format!("the format {format} has a packager already");
            return Err(Refusal::new(Status::Conflict, text));
        }
        formats.insert(Arc::clone(&format), factory);
        Ok(Registration { feeds: self.clone(), format })
    }

    /// The formats that have a packager, sorted.
    pub fn formats(&self) -> Vec<Arc<str>> {
        let mut formats: Vec<_> = self.inner.formats.lock().keys().cloned().collect();
        formats.sort();
        formats
    }

    /// The viewers of a stream, over all its feeds.
    pub fn viewers(&self, key: &StreamKey) -> Vec<ViewerInfo> {
        self.all()
            .iter()
            .filter(|feed| feed.key().stream == *key)
            .flat_map(|f| f.viewers())
            .collect()
    }

    /// The viewers of all streams.
    pub fn all_viewers(&self) -> Vec<ViewerInfo> {
        self.all().iter().flat_map(|feed| feed.viewers()).collect()
    }

    /// Closes a viewer's connection by the operator's will. False: no viewer has this one.
    pub fn kick(&self, conn: u64) -> bool {
        let found = self.all().iter().find_map(|feed| feed.conn_of(conn));
        if let Some(conn) = &found {
            conn.close(CloseReason::Stopped);
        }
        found.is_some()
    }

    /// All feeds, by key.
    pub fn list(&self) -> Vec<FeedInfo> {
        let mut feeds = self.all();
        feeds.sort_by(|a, b| a.key().cmp(b.key()));
        feeds.iter().map(|feed| feed.info()).collect()
    }

    /// What packagers have made since the start, by format.
    pub fn made(&self) -> Vec<FormatFigures> {
        self.inner.made.lock().iter().map(|(format, made)| made.figures(format)).collect()
    }

    fn all(&self) -> Vec<Arc<Feed>> {
        self.inner.feeds.lock().values().cloned().collect()
    }

    fn factory(&self, format: &str) -> Result<Arc<dyn PackagerFactory>, Refusal> {
        self.inner.formats.lock().get(format).cloned().ok_or_else(|| {
            Refusal::new(Status::Unsupported, format!("nothing packages the format {format}"))
        })
    }

    fn new_feed(&self, key: FeedKey, stream: Option<Arc<Stream>>) -> Feed {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let made = Arc::clone(self.inner.made.lock().entry(Arc::clone(&key.format)).or_default());
        Feed::new(id, key, stream, &self.inner.settings.lock(), made)
    }

    fn spawn_driver(
        &self,
        feed: Arc<Feed>,
        factory: Arc<dyn PackagerFactory>,
        source: Box<dyn Source>,
    ) {
        let idle_close = self.inner.settings.lock().idle_close;
        let driver = Driver::new(Arc::clone(&feed), factory, self.inner.pool.clone());
        let feeds = self.clone();
        self.inner.runtime.spawn(async move {
            driver.run(source, idle_close, || feeds.forget_if_idle(&feed)).await;
            feeds.forget(&feed);
        });
    }

    /// Nobody may find the feed while it closes, so both happen under one lock.
    fn forget_if_idle(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.inner.feeds.lock();
        let idle = *feed.interest().borrow() == 0;
        if idle {
            remove(&mut feeds, feed);
        }
        idle
    }

    fn forget(&self, feed: &Arc<Feed>) {
        remove(&mut self.inner.feeds.lock(), feed);
    }
}

fn remove(feeds: &mut HashMap<FeedKey, Arc<Feed>>, feed: &Arc<Feed>) {
    if feeds.get(feed.key()).is_some_and(|listed| Arc::ptr_eq(listed, feed)) {
        feeds.remove(feed.key());
    }
}

/// A format's packager. Dropping it ends the feeds of the format and detaches their viewers.
pub struct Registration {
    feeds: Feeds,
    format: Arc<str>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.feeds.inner.formats.lock().remove(&self.format);
        let refusal = Refusal::new(Status::Cancelled, "the packager has gone");
        for feed in self.feeds.all() {
            if feed.key().format == self.format {
                feed.end(End { reason: Reason::Stopped, refusal: refusal.clone() });
            }
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registration({})", self.format)
    }
}
