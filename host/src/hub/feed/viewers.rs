//! What the API, the console and metrics show of viewers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::frame::{NS_PER_MS, Ns};
use serde::Serialize;
use utoipa::ToSchema;

use crate::hub::Reason;
use crate::hub::ended::{EndedSession, Role, millis};
use crate::hub::info::as_text;
use crate::hub::key::StreamKey;
use crate::net::{Conn, shown};

/// Who asked for a feed.
#[derive(Clone, Debug)]
pub struct ViewerIdentity {
    /// The connection's id in log, API and metrics.
    pub conn: u64,
    pub peer: Option<SocketAddr>,
    pub protocol: Arc<str>,
    /// What the peer calls itself.
    pub agent: Arc<str>,
}

/// What each of many viewers has been sent that get the same bytes. Their fan-out thread writes it once for all of them.
#[derive(Debug)]
pub struct SharedFigures {
    bytes: AtomicU64,
    /// As of a viewer.
    position: AtomicI64,
}

impl Default for SharedFigures {
    fn default() -> Self {
        Self { bytes: AtomicU64::new(0), position: AtomicI64::new(NOWHERE) }
    }
}

impl SharedFigures {
    /// Each has been sent `bytes`, the newest of them of the packet with this dts.
    pub fn sent(&self, bytes: usize, position: Ns) {
        self.position.store(position, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Release);
    }
}

/// A share in [`SharedFigures`].
#[derive(Debug)]
struct Share {
    of: Arc<SharedFigures>,
    /// What had been sent before the viewer came.
    before: u64,
}

impl Share {
    fn bytes(&self) -> u64 {
        self.of.bytes.load(Ordering::Acquire) - self.before
    }

    /// `None` while there is nothing of it.
    fn position(&self) -> Option<Ns> {
        (self.bytes() > 0).then(|| self.of.position.load(Ordering::Relaxed))
    }
}

/// A viewer's figures. Its fan-out thread writes them, anybody reads them.
#[derive(Debug)]
pub struct ViewerRecord {
    pub identity: ViewerIdentity,
    pub key: StreamKey,
    pub format: Arc<str>,
    pub variant: Arc<str>,
    conn: Weak<Conn>,
    since: Instant,
    bytes: AtomicU64,
    skipped: AtomicU64,
    /// The dts of the newest packet that the kernel has taken a byte of.
    position: AtomicI64,
    /// Set while it is sent the same as others.
    share: Mutex<Option<Share>>,
}

/// No packet sent yet.
const NOWHERE: Ns = Ns::MIN;

impl ViewerRecord {
    pub(super) fn new(
        identity: ViewerIdentity,
        key: StreamKey,
        format: Arc<str>,
        variant: Arc<str>,
        conn: Weak<Conn>,
    ) -> Self {
        Self {
            identity,
            key,
            format,
            variant,
            conn,
            since: Instant::now(),
            bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            position: AtomicI64::new(NOWHERE),
            share: Mutex::new(None),
        }
    }

    /// Bytes sent as a viewer.
    pub fn bytes(&self) -> u64 {
        let share = self.share.lock();
        self.bytes.load(Ordering::Relaxed) + share.as_ref().map_or(0, Share::bytes)
    }

    /// From here on it is sent what all that share these figures are sent.
    pub fn join(&self, figures: &Arc<SharedFigures>) {
        let before = figures.bytes.load(Ordering::Relaxed);
        *self.share.lock() = Some(Share { of: Arc::clone(figures), before });
    }

    /// It is sent what is its own again. Gives what it was sent with the others.
    pub fn part(&self) -> u64 {
        let mut share = self.share.lock();
        let Some(share) = share.take() else { return 0 };
        self.sent(share.bytes(), share.position());
        share.bytes()
    }

    /// Packets skipped because it lagged.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Since it was attached.
    pub fn duration(&self) -> Duration {
        self.since.elapsed()
    }

    /// `bytes` went out; the newest of them belong to the packet with this dts.
    pub fn sent(&self, bytes: u64, position: Option<Ns>) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(dts) = position {
            self.position.store(dts, Ordering::Relaxed);
        }
    }

    /// `packets` were left out.
    pub fn skip(&self, packets: u64) {
        self.skipped.fetch_add(packets, Ordering::Relaxed);
    }

    /// Its connection, as long as somebody holds it.
    pub(super) fn conn(&self) -> Option<Arc<Conn>> {
        self.conn.upgrade()
    }

    /// What is remembered of it.
    pub(super) fn ended(&self, reason: Reason) -> EndedSession {
        EndedSession {
            id: 0,
            role: Role::Viewer,
            key: self.key.clone(),
            conn: self.identity.conn,
            peer: self.identity.peer.map(shown),
            protocol: self.identity.protocol.to_string(),
            agent: self.identity.agent.to_string(),
            started_ms: 0,
            duration_ms: millis(self.duration()),
            bytes: self.bytes(),
            reason,
        }
    }

    pub(super) fn info(&self, newest: Option<Ns>) -> ViewerInfo {
        let shared = self.share.lock().as_ref().and_then(Share::position);
        let position = shared.unwrap_or_else(|| self.position.load(Ordering::Relaxed));
        let lag = newest.filter(|_| position != NOWHERE).map(|dts| dts.saturating_sub(position));
        ViewerInfo {
            conn: self.identity.conn,
            key: self.key.clone(),
            peer: self.identity.peer.map(shown),
            protocol: Arc::clone(&self.identity.protocol),
            agent: Arc::clone(&self.identity.agent),
            format: Arc::clone(&self.format),
            variant: Arc::clone(&self.variant),
            uptime_ms: millis(self.duration()),
            bytes: self.bytes(),
            skipped: self.skipped(),
            lag_ms: u64::try_from(lag.unwrap_or(0) / NS_PER_MS).unwrap_or(0),
        }
    }
}

/// One viewer at one moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ViewerInfo {
    /// The connection's id in log, API and metrics.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub conn: u64,
    #[schema(value_type = String)]
    pub key: StreamKey,
    pub peer: Option<String>,
    #[schema(value_type = String)]
    pub protocol: Arc<str>,
    #[schema(value_type = String)]
    pub agent: Arc<str>,
    #[schema(value_type = String)]
    pub format: Arc<str>,
    #[schema(value_type = String)]
    pub variant: Arc<str>,
    pub uptime_ms: u64,
    pub bytes: u64,
    /// Packets left out because it lagged.
    pub skipped: u64,
    /// How far what the kernel has taken is behind what the feed has.
    pub lag_ms: u64,
}

/// One feed at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct FeedInfo {
    pub key: StreamKey,
    pub format: Arc<str>,
    pub variant: Arc<str>,
    pub viewers: usize,
    /// Calls of the packager with frames, since the feed was opened.
    pub packager_runs: u64,
    pub packets: u64,
    pub bytes: u64,
    /// What is held for viewers now.
    pub held_bytes: usize,
    /// Packagers that failed and were opened anew.
    pub restarts: u64,
}
