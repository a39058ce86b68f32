//! The sections of the config that are about streams: publish, subscribe, ring, fanout.

use plugin_api::units::{ByteSize, HumanDuration, OptionalDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fanout::Mechanism;
use crate::hub::feed::LatencyRule;

/// Publishers: who wins a stream, and when it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// What happens when a second publisher comes: `replace_if_stale` lets it in when the first has been
    /// silent for `stale_after`, or comes from the same address with the same key; `replace` always;
    /// `refuse` never. Default: `replace_if_stale`, so that an encoder that lost its link gets back in.
    pub on_conflict: OnConflict,

    /// Silence after which a publisher may be replaced. `0s` is `replace`; longer than `timeout` keeps
    /// encoders out until then. Default: `2s`.
    pub stale_after: HumanDuration,

    /// A publisher that sends no data for this long is closed. Too short cuts phones that change cells.
    /// Default: `10s`.
    pub timeout: HumanDuration,

    /// A stream that nobody has watched for this long is closed. Default: `off`.
    pub idle_timeout: OptionalDuration,

    /// How long a pull on demand goes on after its last viewer. `off`: it does not end for lack of
    /// viewers. Default: `off`.
    pub delay_close: OptionalDuration,

    /// A stream begins when all its tracks are known, at the latest after this time. `0s` begins with the
    /// first frame, and tracks that come later are changes that some players do not follow. Default: `2s`.
    pub settle_timeout: HumanDuration,

    /// How long viewers stay when the publisher is gone; one that comes back within this time goes on
    /// where it stopped. `0s` closes viewers at once. Default: `15s`.
    pub republish_window: HumanDuration,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            on_conflict: OnConflict::ReplaceIfStale,
            stale_after: HumanDuration::from_secs(2),
            timeout: HumanDuration::from_secs(10),
            idle_timeout: OptionalDuration::OFF,
            delay_close: OptionalDuration::OFF,
            settle_timeout: HumanDuration::from_secs(2),
            republish_window: HumanDuration::from_secs(15),
        }
    }
}

/// What happens when a second publisher comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    Refuse,
    Replace,
    ReplaceIfStale,
}

/// Viewers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subscribe {
    /// How long a viewer waits for a stream that is not there. `0s` answers at once. Default: `10s`.
    pub wait_timeout: HumanDuration,

    /// Viewers of one stream. 0: no limit. Default: 0.
    pub max_viewers: u32,
}

impl Default for Subscribe {
    fn default() -> Self {
        Self { wait_timeout: HumanDuration::from_secs(10), max_viewers: 0 }
    }
}

/// What is kept of each stream for those who join: the newest GOP, within these bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ring {
    /// Memory for one stream. A GOP that does not fit loses its head, and viewers wait for the next
    /// keyframe. Default: `16MiB`, 13 seconds at 10 Mbit/s.
    pub max_bytes: ByteSize,

    /// The longest GOP that is kept whole, and how far a slow reader may be behind. Default: `30s`.
    pub max_time: HumanDuration,

    /// Time kept in front of the newest GOP, for readers that begin in the past. Costs memory for every stream.
    /// Default: `0s`.
    pub history: HumanDuration,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::from_mib(16),
            max_time: HumanDuration::from_secs(30),
            history: HumanDuration::from_secs(0),
        }
    }
}

/// Sending to viewers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fanout {
    /// A viewer that takes no byte for this long is closed. Default: `10s`.
    pub stall_timeout: HumanDuration,

    /// A viewer that is this far behind jumps to the newest keyframe. Short keeps viewers live and makes
    /// bad networks jerk; longer than `ring.max_time` never applies, the ring is gone before. Default: `5s`.
    pub max_lag: HumanDuration,

    /// What the kernel holds for one viewer. Small makes a viewer's lag visible early, large feeds distant
    /// ones faster: a viewer gets at most this much in one round trip. 0: the kernel's choice, up to
    /// several MiB for each viewer. Default: `512KiB`, 20 Mbit/s at 200 ms.
    pub send_buffer: ByteSize,

    /// How long what is new in a stream may wait for more of it, to go out in one send: a few sends fewer for a
    /// little delay. Keyframes and what a new viewer gets go at once. `0s` is real time. Default: `0s`.
    pub latency_budget: HumanDuration,

    /// The same for some streams or formats: `{stream: "live/**", format: flv, budget: 100ms}`. The first
    /// that fits holds. Default: none.
    pub latency_rules: Vec<LatencyRule>,

    /// How bytes get to the kernel: `io_uring` makes one system call for many viewers, `send` one for each;
    /// `auto` takes `io_uring` where the kernel allows it (containers often don't). Default: `auto`.
    pub sender: Mechanism,
}

impl Default for Fanout {
    fn default() -> Self {
        Self {
            stall_timeout: HumanDuration::from_secs(10),
            max_lag: HumanDuration::from_secs(5),
            send_buffer: ByteSize::from_kib(512),
            latency_budget: HumanDuration::from_secs(0),
            latency_rules: Vec::new(),
            sender: Mechanism::Auto,
        }
    }
}
