//! Bounds of feeds, in the units that they work with.

use std::time::Duration;

use plugin_api::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FeedKey;
use crate::auth::pattern::StreamPattern;

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
    /// How long what is new may wait for more of it, unless a rule says otherwise.
    pub latency_budget: Duration,
    /// The first that fits holds.
    pub latency_rules: Vec<LatencyRule>,
}

/// A latency budget for some streams or formats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyRule {
    /// The streams it holds for; `*` stands for one part of the key, `**` for the rest. Default: all.
    pub stream: StreamPattern,

    /// The format it holds for, as the API names it: `rtmp`, `flv`. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,

    /// As `fanout.latency_budget`. Default: `0s`.
    pub budget: HumanDuration,
}

impl LatencyRule {
    fn fits(&self, key: &FeedKey) -> bool {
        self.stream.matches(key.stream.as_str())
            && self.format.as_ref().is_none_or(|format| **format == *key.format)
    }
}

impl Settings {
    /// How long what is new in a feed may wait for more of it.
    pub(super) fn latency_budget(&self, key: &FeedKey) -> Duration {
        let rule = self.latency_rules.iter().find(|rule| rule.fits(key));
        rule.map_or(self.latency_budget, |rule| rule.budget.get())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_time: Duration::from_secs(30),
            max_lag: Duration::from_secs(5),
            idle_close: IDLE_CLOSE,
            latency_budget: Duration::ZERO,
            latency_rules: Vec::new(),
        }
    }
}
