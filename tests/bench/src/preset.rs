//! Named sets of cases: what a user types instead of twenty options.

use clap::ValueEnum;

use crate::bare::{EngineKind, Method};
use crate::case::{Activity, Case, Subject};
use crate::options::{Media, Protocol};

/// The reference: one stream of 2.1 Mbit/s.
const REFERENCE: Media = Media { streams: 1, bitrate: 2_100_000 };
/// For numbers of viewers that no single core could serve at the reference rate.
const LOW: Media = Media { streams: 1, bitrate: 200_000 };
const STALLED_VIEWERS: usize = 200;
const JOINS_PER_SECOND: u32 = 20;
const SOAK_JOINS_PER_SECOND: u32 = 50;
const SOAK_VIEWERS: usize = 100;
const BUDGETS_MS: [u32; 2] = [40, 100];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Four minutes: 1, 200 and 1000 viewers by RTMP and FLV, and the bare loop.
    Short,
    /// 1 to 4000 viewers, each frame at once.
    Realtime,
    /// How soon a viewer has media while 1000 others are served.
    FirstMedia,
    /// 200 streams with 5 viewers each, 500 streams with one.
    Streams,
    /// No viewers: 200 publishers of 200 kbit/s, 50 of 4 Mbit/s.
    Publishers,
    /// Idle, and per viewer at 1000 and 4000.
    Memory,
    /// Media may wait for 40 or 100 ms, to go out in fewer calls.
    Coalesce,
    /// 200 viewers that stop reading: what the kernel holds for them.
    Stalled,
    /// 200 and 1000 viewers with TLS and without.
    Tls,
    /// Ten minutes in which 50 viewers a second come and leave: memory and descriptors must not grow.
    Soak,
    /// All but soak.
    All,
}

impl Preset {
    /// The cases in the order in which a round measures them: what is compared follows on each other.
    pub(crate) fn cases(self, compare_nginx: bool) -> Vec<Case> {
        let plan = Plan { nginx: compare_nginx };
        match self {
            Self::Short => plan.short(),
            Self::Realtime => plan.realtime(),
            Self::FirstMedia => plan.first_media(),
            Self::Streams => plan.streams(),
            Self::Publishers => plan.publishers(),
            Self::Memory => plan.memory(),
            Self::Coalesce => plan.coalesce(),
            Self::Stalled => plan.stalled(),
            Self::Tls => plan.tls(),
            Self::Soak => plan.soak(),
            Self::All => all(compare_nginx),
        }
    }
}

/// Each case once: runs of a round are compared by their place.
fn all(compare_nginx: bool) -> Vec<Case> {
    let presets = [
        Preset::Realtime,
        Preset::FirstMedia,
        Preset::Streams,
        Preset::Publishers,
        Preset::Memory,
        Preset::Coalesce,
        Preset::Stalled,
        Preset::Tls,
    ];
    let mut cases = Vec::new();
    for case in presets.into_iter().flat_map(|preset| preset.cases(compare_nginx)) {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases
}

struct Plan {
    nginx: bool,
}

const RTMP: Subject = Subject::Plugcast { protocol: Protocol::Rtmp, budget_ms: 0 };
const FLV: Subject = Subject::Plugcast { protocol: Protocol::HttpFlv, budget_ms: 0 };
const SEND: Subject = Subject::Bare(Method { engine: EngineKind::Send, every_ms: 0 });
const URING: Subject = Subject::Bare(Method { engine: EngineKind::Uring, every_ms: 0 });

fn watch(subject: Subject, viewers: usize, media: Media) -> Case {
    Case { subject, viewers, media, activity: Activity::Watch }
}

impl Plan {
    fn short(&self) -> Vec<Case> {
        [1, 200, 1000]
            .into_iter()
            .flat_map(|viewers| self.each(viewers, REFERENCE, &[RTMP, SEND, FLV]))
            .collect()
    }

    fn realtime(&self) -> Vec<Case> {
        [(1, REFERENCE), (50, REFERENCE), (200, REFERENCE), (1000, REFERENCE), (4000, LOW)]
            .into_iter()
            .flat_map(|(viewers, media)| self.each(viewers, media, &[RTMP, SEND, FLV, URING]))
            .collect()
    }

    fn first_media(&self) -> Vec<Case> {
        let activity = Activity::Churn { per_second: JOINS_PER_SECOND };
        let cases = self.each(1000, REFERENCE, &[RTMP, FLV]);
        cases.into_iter().map(|case| Case { activity, ..case }).collect()
    }

    fn streams(&self) -> Vec<Case> {
        [(1000, 200), (500, 500)]
            .into_iter()
            .flat_map(|(viewers, streams)| {
                self.each(viewers, Media { streams, bitrate: 1_000_000 }, &[RTMP, SEND, FLV])
            })
            .collect()
    }

    fn publishers(&self) -> Vec<Case> {
        [(200, 200_000), (50, 4_000_000)]
            .into_iter()
            .flat_map(|(streams, bitrate)| self.each(0, Media { streams, bitrate }, &[RTMP]))
            .collect()
    }

    fn memory(&self) -> Vec<Case> {
        let idle = self.each(0, Media { streams: 0, ..LOW }, &[RTMP]);
        let full =
            [0, 1000, 4000].into_iter().flat_map(|viewers| self.each(viewers, LOW, &[RTMP, FLV]));
        idle.into_iter().chain(full).collect()
    }

    fn coalesce(&self) -> Vec<Case> {
        let of_budget = |budget_ms| {
            let ours = |protocol| Subject::Plugcast { protocol, budget_ms };
            let bare = |engine| Subject::Bare(Method { engine, every_ms: budget_ms });
            [
                ours(Protocol::Rtmp),
                bare(EngineKind::Send),
                ours(Protocol::HttpFlv),
                bare(EngineKind::Uring),
            ]
        };
        let cases = |viewers, budget_ms| {
            of_budget(budget_ms).map(|subject| watch(subject, viewers, REFERENCE))
        };
        [200, 1000]
            .into_iter()
            .flat_map(|viewers| BUDGETS_MS.map(|budget_ms| cases(viewers, budget_ms)))
            .flatten()
            .collect()
    }

    fn stalled(&self) -> Vec<Case> {
        let cases = self.each(STALLED_VIEWERS, REFERENCE, &[RTMP, FLV]);
        cases.into_iter().map(|case| Case { activity: Activity::Stall, ..case }).collect()
    }

    fn tls(&self) -> Vec<Case> {
        let rtmps = Subject::Plugcast { protocol: Protocol::Rtmps, budget_ms: 0 };
        let https = Subject::Plugcast { protocol: Protocol::HttpsFlv, budget_ms: 0 };
        let cases =
            |viewers| [RTMP, rtmps, FLV, https].map(|subject| watch(subject, viewers, REFERENCE));
        [200, 1000].into_iter().flat_map(cases).collect()
    }

    fn soak(&self) -> Vec<Case> {
        let activity = Activity::Churn { per_second: SOAK_JOINS_PER_SECOND };
        [RTMP, FLV].map(|subject| Case { activity, ..watch(subject, SOAK_VIEWERS, LOW) }).to_vec()
    }

    fn each(&self, viewers: usize, media: Media, subjects: &[Subject]) -> Vec<Case> {
        let nginx = self.nginx.then_some(Subject::NginxRtmp);
        subjects
            .iter()
            .copied()
            .chain(nginx)
            .map(|subject| watch(subject, viewers, media))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_is_measured_twice_in_a_round() {
        for preset in Preset::value_variants() {
            let cases = preset.cases(true);
            for (at, case) in cases.iter().enumerate() {
                assert!(!cases[..at].contains(case), "{preset:?}: {case:?}");
            }
        }
    }
}
