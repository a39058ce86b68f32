//! One feed: the log of its packets, who is to be woken when it grows, and who watches it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::frame::Ns;
use tokio::sync::watch;

use super::framing::Framing;
use super::packets::{Keep, Packets};
use super::settings::Settings;
use super::staging::Staging;
use super::viewers::{FeedInfo, ViewerIdentity, ViewerInfo, ViewerRecord};
use super::watch::{FeedWaker, Watch, Watched};
use crate::hub::key::StreamKey;
use crate::hub::{Reason, Refusal, Stream};
use crate::metrics::FormatFigures;
use crate::net::Conn;

/// What a feed is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedKey {
    pub stream: StreamKey,
    pub format: Arc<str>,
    pub variant: Arc<str>,
    pub framing: Framing,
}

/// How a feed ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: Reason,
    /// For those who wait for the feed's first packet.
    pub(super) refusal: Refusal,
}

/// Where a feed is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No packet to begin at yet.
    Opening,
    Live,
    Ended(End),
}

/// A stream in one output format, made once.
#[derive(Debug)]
pub struct Feed {
    id: u64,
    key: FeedKey,
    stream: Option<Arc<Stream>>,
    keep: Keep,
    latency_budget: Duration,
    log: Watched<Log>,
    phase: watch::Sender<Phase>,
    /// Viewers, and connections that are about to be.
    interest: watch::Sender<usize>,
    viewers: Mutex<BTreeMap<u64, Arc<ViewerRecord>>>,
    packager_runs: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    restarts: AtomicU64,
    made: Arc<Made>,
}

/// What the packagers of a format have made, over all its feeds.
#[derive(Debug, Default)]
pub(super) struct Made {
    runs: AtomicU64,
    bytes: AtomicU64,
}

impl Made {
    pub(super) fn figures(&self, format: &Arc<str>) -> FormatFigures {
        FormatFigures {
            format: Arc::clone(format),
            packager_runs: self.runs.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    packets: Packets,
    holds: Vec<(u64, u64, Instant)>,
    next_hold: u64,
    end: Option<Reason>,
}

impl Feed {
    pub(super) fn new(
        id: u64,
        key: FeedKey,
        stream: Option<Arc<Stream>>,
        settings: &Settings,
        made: Arc<Made>,
    ) -> Self {
        let keep = Keep {
            max_bytes: settings.max_bytes,
            max_time: ns(settings.max_time),
            max_lag: ns(settings.max_lag),
        };
        let latency_budget = settings.latency_budget(&key);
        Self {
            id,
            key,
            stream,
            keep,
            latency_budget,
            log: Watched::default(),
            phase: watch::Sender::new(Phase::Opening),
            interest: watch::Sender::new(0),
            viewers: Mutex::default(),
            packager_runs: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            made,
        }
    }

    /// Unique in the server's life.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn key(&self) -> &FeedKey {
        &self.key
    }

    /// How long what is new may wait for more of it before it is sent.
    pub fn latency_budget(&self) -> Duration {
        self.latency_budget
    }

    /// Brings a thread's window up to date; says how the feed ended if it has: nothing follows then.
    pub fn follow(&self, window: &mut Packets) -> Option<Reason> {
        self.log.lock().show(window)
    }

    /// [`Feed::follow`] for a thread that was woken: later news wakes it again.
    pub fn look(&self, watch: &Watch, window: &mut Packets) -> Option<Reason> {
        self.log.look(watch, |log| log.show(window))
    }

    /// Wakes `waker` with `slot` when there is news, until [`Feed::unwatch`].
    pub fn watch(&self, waker: Arc<dyn FeedWaker>, slot: usize) -> Arc<Watch> {
        self.log.watch(waker, slot)
    }

    pub fn unwatch(&self, watch: &Arc<Watch>) {
        self.log.unwatch(watch);
    }

    /// Lists a viewer, until [`Feed::remove_viewer`].
    pub fn add_viewer(&self, identity: ViewerIdentity, conn: Weak<Conn>) -> Arc<ViewerRecord> {
        let FeedKey { stream, format, variant, .. } = self.key.clone();
        let record = Arc::new(ViewerRecord::new(identity, stream, format, variant, conn));
        self.viewers.lock().insert(record.identity.conn, Arc::clone(&record));
        record
    }

    /// Takes a viewer off the list and remembers how it ended.
    pub fn remove_viewer(&self, record: &Arc<ViewerRecord>, reason: Reason) {
        let mut viewers = self.viewers.lock();
        let conn = record.identity.conn;
        if viewers.get(&conn).is_some_and(|listed| Arc::ptr_eq(listed, record)) {
            viewers.remove(&conn);
        }
        drop(viewers);
        if let Some(stream) = &self.stream {
            stream.note_ended(record.ended(reason));
        }
    }

    /// The connection of a viewer.
    pub(super) fn conn_of(&self, conn: u64) -> Option<Arc<Conn>> {
        self.viewers.lock().get(&conn)?.conn()
    }

    /// The viewers at this moment.
    pub fn viewers(&self) -> Vec<ViewerInfo> {
        let newest = self.log.lock().packets.newest_dts();
        self.viewers.lock().values().map(|record| record.info(newest)).collect()
    }

    pub fn info(&self) -> FeedInfo {
        FeedInfo {
            key: self.key.stream.clone(),
            format: Arc::clone(&self.key.format),
            variant: Arc::clone(&self.key.variant),
            viewers: self.viewers.lock().len(),
            packager_runs: self.packager_runs.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            held_bytes: self.log.lock().packets.held_bytes(),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }

    pub(super) fn stream(&self) -> Option<&Arc<Stream>> {
        self.stream.as_ref()
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Ended(_))
    }

    pub(super) fn interest(&self) -> watch::Receiver<usize> {
        self.interest.subscribe()
    }

    pub(super) fn count_run(&self) {
        self.packager_runs.fetch_add(1, Ordering::Relaxed);
        self.made.runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows what was staged to the readers, and wakes them, once.
    pub(super) fn commit(&self, staged: &mut Staging) {
        staged.seal();
        let bytes: usize = staged.packets.iter().map(super::packets::Packet::len).sum();
        self.packets.fetch_add(staged.packets.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.made.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let oldest_wanted = self.log.oldest_wanted();
        let can_begin = {
            let mut log = self.log.lock();
            log.packets.append(&staged.packets, &staged.slabs, &staged.heads);
            let held = log.held();
            log.packets.trim(&self.keep, oldest_wanted, held);
            log.packets.newest_start().is_some()
        };
        let has_news = !staged.packets.is_empty();
        staged.clear();
        if can_begin {
            self.phase.send_if_modified(|phase| {
                let opened = *phase == Phase::Opening;
                if opened {
                    *phase = Phase::Live;
                }
                opened
            });
        }
        if has_news {
            self.log.tell();
        }
    }

    /// Nothing follows. The first end counts.
    pub(super) fn end(&self, end: End) {
        let reason = end.reason;
        let ended = self.phase.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Ended(_));
            if first {
                *phase = Phase::Ended(end);
            }
            first
        });
        if ended {
            self.log.lock().end = Some(reason);
            self.log.tell();
        }
    }

    /// The newest start point, kept until the hold is dropped or `limit` has passed. `None`: there is none at the moment,
    /// the next one will do.
    pub(super) fn hold_newest(self: &Arc<Self>, limit: Duration) -> (Option<u64>, Hold) {
        let mut log = self.log.lock();
        let begin = log.packets.newest_start();
        log.next_hold += 1;
        let id = log.next_hold;
        if let Some(seq) = begin {
            log.holds.push((id, seq, Instant::now() + limit));
        }
        (begin, Hold { feed: Arc::clone(self), id })
    }
}

impl Log {
    fn show(&self, window: &mut Packets) -> Option<Reason> {
        window.follow(&self.packets);
        self.end
    }

    fn held(&mut self) -> Option<u64> {
        if self.holds.is_empty() {
            return None;
        }
        let now = Instant::now();
        self.holds.retain(|(_, _, until)| *until > now);
        self.holds.iter().map(|(_, seq, _)| *seq).min()
    }
}

/// Keeps a place to begin.
#[derive(Debug)]
pub(crate) struct Hold {
    feed: Arc<Feed>,
    id: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.feed.log.lock().holds.retain(|(id, _, _)| *id != self.id);
    }
}

/// Keeps a feed open.
#[derive(Debug)]
pub(crate) struct Interest(Arc<Feed>);

impl Interest {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        feed.interest.send_modify(|count| *count += 1);
        Self(feed)
    }

    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.interest.send_modify(|count| *count -= 1);
    }
}

fn ns(duration: Duration) -> Ns {
    Ns::try_from(duration.as_nanos()).unwrap_or(Ns::MAX)
}
