//! What happens to viewers that don't keep up. One that lags jumps to a start point; one that takes nothing is closed.
//! Neither holds up its neighbours: a thread never waits for a socket.

use std::time::Duration;

use plugin_api::frame::Ns;

use super::Settings;

/// How often stalled viewers are looked for, at most.
const TICK_MAX: Duration = Duration::from_secs(1);

/// The policy in the units of a fan-out thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct LagPolicy {
    /// Further behind than this, a viewer that the kernel is full for jumps.
    pub(super) max_lag: Ns,
    /// A viewer that the kernel takes nothing for in this time is closed.
    pub(super) stall_timeout: Duration,
}

impl LagPolicy {
    pub(super) fn new(settings: &Settings) -> Self {
        let max_lag = Ns::try_from(settings.max_lag.as_nanos()).unwrap_or(Ns::MAX);
        Self { max_lag, stall_timeout: settings.stall_timeout }
    }

    /// How long to wait between two looks, while the kernel is full for somebody.
    pub(super) fn tick(&self) -> Duration {
        (self.stall_timeout / 4).clamp(Duration::from_millis(1), TICK_MAX)
    }
}
