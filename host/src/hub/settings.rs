//! What the hub needs to know from the configuration, in the units that it works with.

use std::time::Duration;

/// Policies and bounds of all streams. The config module turns what an operator wrote into this.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What happens when somebody publishes under a key that has a publisher.
    pub on_conflict: OnConflict,
    /// How long a publisher has to be silent until another may take over.
    pub stale_after: Duration,
    /// A publisher without data for this long is ended.
    pub timeout: Duration,
    /// A publisher that nobody watched for this long is ended. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// A publisher whose last viewer has been gone for this long is ended. `None`: never.
    pub delay_close: Option<Duration>,
    /// Tracks may be added for this long before readers that want all of them begin.
    pub settle_timeout: Duration,
    /// Readers of a stream that lost its publisher stay for this long.
    pub republish_window: Duration,
    /// How long a subscriber waits for a publisher unless it says otherwise. Zero: not at all.
    pub wait_timeout: Duration,
    /// Bounds of each ring.
    pub ring: RingSettings,
    /// Publishers in the server.
    pub max_publishers: usize,
    /// Players of one stream.
    pub max_viewers_per_stream: usize,
    /// Players in the server.
    pub max_viewers: usize,
    /// Subscribers in the server that wait for a publisher. It bounds what asking for names that don't exist can cost.
    pub max_waiting: usize,
}

/// Bounds of a ring. The newest GOP is kept as long as it fits; a longer one loses its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSettings {
    pub max_bytes: usize,
    pub max_time: Duration,
    /// Kept in front of the newest GOP for readers that begin in the past; the other bounds hold.
    pub history: Duration,
}

/// Who wins when two publish under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The one that is there.
    Refuse,
    /// The new one.
    Replace,
    /// The new one if the old one has been silent, or if it comes from the same address with the same key: an encoder
    /// that lost its link must get back in at once.
    ReplaceIfStale,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_conflict: OnConflict::ReplaceIfStale,
            stale_after: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            idle_timeout: None,
            delay_close: None,
            settle_timeout: Duration::from_secs(2),
            republish_window: Duration::from_secs(15),
            wait_timeout: Duration::from_secs(10),
            ring: RingSettings::default(),
            max_publishers: 10_000,
            max_viewers_per_stream: 100_000,
            max_viewers: 100_000,
            max_waiting: 10_000,
        }
    }
}

impl Default for RingSettings {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_time: Duration::from_secs(30), history: Duration::ZERO }
    }
}
