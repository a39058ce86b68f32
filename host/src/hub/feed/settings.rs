//! Bounds of feeds, in the units that they work with.

use std::time::Duration;

/// How long a feed without viewers stays: a player that reconnects or seeks is back before.
const IDLE_CLOSE: Duration = Duration::from_secs(5);

/// Bounds of every feed. The config module turns what an operator wrote into this.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A GOP that is larger loses its head; joins then wait for the next start point.
    pub max_bytes: usize,
    /// The same in time.
    pub max_time: Duration,
    /// Packets that a viewer has still to get are kept until it is this far behind. As in the fan-out's settings.
    pub max_lag: Duration,
    /// A feed closes when its last viewer has been gone for this long.
    pub idle_close: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_time: Duration::from_secs(30),
            max_lag: Duration::from_secs(5),
            idle_close: IDLE_CLOSE,
        }
    }
}
