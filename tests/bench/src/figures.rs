//! From what was seen to what is told: percentiles, quotients, medians.

use serde_json::{Value, json};

use crate::checker::Faults;
use crate::process::{Cpu, Memory, to_f64};

/// Growth up to one part in so many counts as flat.
const MEMORY_SHARE: u64 = 20;
const DESCRIPTOR_SHARE: u64 = 10;

/// One run of one case. What cannot be known is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub seconds: f64,
    /// To all viewers.
    pub bytes: u64,
    pub published_bytes: u64,
    pub server_cpu: Option<Cpu>,
    pub server_threads: Option<usize>,
    /// Of the server, the most that was seen.
    pub memory: Option<Memory>,
    /// Kernel memory of each connection, in bytes; looked at if viewers stall.
    pub send_queues: Percentiles,
    /// While viewers came and left.
    pub trend: Option<Trend>,
    /// Viewers that came and left within the window, if any should have.
    pub guests: Option<u64>,
    pub generator_cpu: Cpu,
    /// How late frames were published at most.
    pub publisher_late_ms: Option<f64>,
    /// Of the machine, at the end.
    pub load_average: f64,
    pub latency_us: Percentiles,
    pub first_media_us: Percentiles,
    pub first_keyframe_us: Percentiles,
    pub longest_gap_us: Percentiles,
    pub faults: Faults,
    /// Why the run must not be used; empty if it may be.
    pub invalid: Vec<String>,
}

/// What must not grow: medians of the second quarter of a long window, and of its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trend {
    pub resident_kib: [u64; 2],
    pub descriptors: [u64; 2],
}

/// Nearest rank; zero of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub count: usize,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// Quartiles of one figure over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quartiles {
    pub first: f64,
    pub median: f64,
    pub third: f64,
}

impl Percentiles {
    pub(crate) fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let count = samples.len();
        let rank = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            samples.get(rank - 1).copied().unwrap_or(0)
        };
        Self { count, p50: rank(50), p99: rank(99), max: rank(100) }
    }

    /// `None` of nothing.
    pub(crate) fn known(self) -> Option<Self> {
        (self.count > 0).then_some(self)
    }

    fn to_json(self) -> Value {
        json!({ "count": self.count, "p50": self.p50, "p99": self.p99, "max": self.max })
    }
}

impl Trend {
    /// From looks at memory and descriptors in equal steps; the first quarter is the server's to warm up. `None` of too few.
    pub(crate) fn of(looks: &[(u64, u64)]) -> Option<Self> {
        let quarter = looks.len() / 4;
        let median = |part: &[(u64, u64)], pick: fn(&(u64, u64)) -> u64| {
            Percentiles::of(part.iter().map(pick).collect()).known().map(|found| found.p50)
        };
        let (early, late) = (&looks[quarter..2 * quarter], &looks[looks.len() - quarter..]);
        let both = |pick| Some([median(early, pick)?, median(late, pick)?]);
        Some(Self { resident_kib: both(|look| look.0)?, descriptors: both(|look| look.1)? })
    }

    /// Whether neither has grown by more than the noise of allocators and of who is just there.
    pub(crate) fn is_flat(&self) -> bool {
        let is_flat = |[early, late]: [u64; 2], share| late <= early + early / share;
        is_flat(self.resident_kib, MEMORY_SHARE) && is_flat(self.descriptors, DESCRIPTOR_SHARE)
    }
}

impl Quartiles {
    /// Interpolated; `None` of nothing.
    pub(crate) fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_unstable_by(f64::total_cmp);
        let last = samples.len().checked_sub(1)?;
        let at = |quarter: usize| {
            let (index, rest) = (last * quarter / 4, last * quarter % 4);
            let share = [0.0, 0.25, 0.5, 0.75][rest];
            let next = samples[(index + 1).min(last)];
            samples[index] + (next - samples[index]) * share
        };
        Some(Self { first: at(1), median: at(2), third: at(3) })
    }
}

impl Figures {
    /// Delivered; published, if nobody watches.
    pub(crate) fn gigabits(&self) -> f64 {
        let bytes = if self.bytes > 0 { self.bytes } else { self.published_bytes };
        to_f64(bytes) * 8.0 / 1e9
    }

    pub(crate) fn megabits_per_second(&self) -> f64 {
        self.gigabits() * 1000.0 / self.seconds
    }

    pub(crate) fn cpu_per_gigabit(&self) -> Option<f64> {
        let gigabits = self.gigabits();
        self.server_cpu.filter(|_| gigabits > 0.0).map(|cpu| cpu.total / gigabits)
    }

    /// Share of one core.
    pub(crate) fn server_load(&self) -> Option<f64> {
        self.server_cpu.map(|cpu| cpu.total / self.seconds)
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    pub(crate) fn generator_load(&self) -> f64 {
        self.generator_cpu.total / self.seconds
    }

    /// Against a run with publishers only. May be below zero when memory was not asked for anew.
    pub(crate) fn memory_per_viewer_kib(&self, alone: &Self, viewers: usize) -> Option<f64> {
        let viewers = to_f64(u64::try_from(viewers).ok()?);
        let (full, before) = (to_f64(self.memory?.anonymous), to_f64(alone.memory?.anonymous));
        (viewers > 0.0).then(|| (full - before) / viewers)
    }

    pub(crate) fn to_json(&self) -> Value {
        let cpu =
            |cpu: &Cpu| json!({ "user_s": cpu.user, "system_s": cpu.system, "total_s": cpu.total });
        let faults = &self.faults;
        json!({
            "seconds": self.seconds,
            "bytes": self.bytes,
            "published_bytes": self.published_bytes,
            "cpu_s_per_gbit": self.cpu_per_gigabit(),
            "server_cpu": self.server_cpu.as_ref().map(cpu),
            "server_threads": self.server_threads,
            "server_memory_kib": self.memory.map(|memory| json!({
                "anonymous": memory.anonymous,
                "resident": memory.resident,
                "proportional": memory.proportional,
            })),
            "send_queue_bytes": self.send_queues.known().map(Percentiles::to_json),
            "trend": self.trend.map(|trend| json!({
                "resident_kib": trend.resident_kib,
                "descriptors": trend.descriptors,
            })),
            "guests": self.guests,
            "generator_cpu": cpu(&self.generator_cpu),
            "publisher_late_ms_max": self.publisher_late_ms,
            "load_average": self.load_average,
            "latency_us": self.latency_us.to_json(),
            "first_media_us": self.first_media_us.to_json(),
            "first_keyframe_us": self.first_keyframe_us.to_json(),
            "longest_gap_us": self.longest_gap_us.to_json(),
            "faults": {
                "missing": faults.missing,
                "doubled": faults.doubled,
                "time_jumps": faults.time_jumps,
                "no_keyframe_first": faults.no_keyframe_first,
                "unstamped": faults.unstamped,
                "viewers_lost": faults.viewers_lost,
            },
            "invalid": self.invalid,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run in which a server took `cpu` seconds for one gigabit.
    pub(crate) fn figures(cpu: f64) -> Figures {
        let cpu = Cpu { user: 0.0, system: cpu, total: cpu };
        Figures {
            seconds: 2.0,
            bytes: 125_000_000,
            published_bytes: 12_500_000,
            server_cpu: Some(cpu),
            server_threads: Some(3),
            memory: Some(Memory { anonymous: 1050, ..Memory::default() }),
            send_queues: Percentiles::default(),
            trend: None,
            guests: None,
            generator_cpu: Cpu { user: 0.5, system: 0.5, total: 1.0 },
            publisher_late_ms: Some(0.1),
            load_average: 0.5,
            latency_us: Percentiles::of(vec![100, 200, 300]),
            first_media_us: Percentiles::default(),
            first_keyframe_us: Percentiles::default(),
            longest_gap_us: Percentiles::default(),
            faults: Faults::default(),
            invalid: Vec::new(),
        }
    }

    #[test]
    fn percentiles_are_samples() {
        let cases: [(Vec<u64>, [u64; 3]); 5] = [
            (vec![], [0, 0, 0]),
            (vec![7], [7, 7, 7]),
            (vec![3, 1], [1, 3, 3]),
            ((1..=100).rev().collect(), [50, 99, 100]),
            ((1..=1000).collect(), [500, 990, 1000]),
        ];
        for (samples, [p50, p99, max]) in cases {
            let count = samples.len();
            assert_eq!(Percentiles::of(samples), Percentiles { count, p50, p99, max });
        }
    }

    #[test]
    fn quartiles_are_interpolated() {
        let quartiles = |samples: &[f64]| Quartiles::of(samples.to_vec());

        assert_eq!(quartiles(&[]), None);
        assert_eq!(quartiles(&[5.0]), Some(Quartiles { first: 5.0, median: 5.0, third: 5.0 }));
        assert_eq!(quartiles(&[4.0, 2.0]), Some(Quartiles { first: 2.5, median: 3.0, third: 3.5 }));
        assert_eq!(
            quartiles(&[9.0, 1.0, 3.0, 5.0, 7.0]),
            Some(Quartiles { first: 3.0, median: 5.0, third: 7.0 })
        );
    }

    #[test]
    fn growth_is_seen_and_noise_is_not() {
        let trend = |kib: fn(u64) -> u64, descriptors: fn(u64) -> u64| {
            let looks: Vec<_> = (0..1000).map(|at| (kib(at), descriptors(at))).collect();
            Trend::of(&looks).unwrap()
        };
        let warms_up = |at: u64| 20_000 + at.min(250) * 40;
        let wobbles = |at: u64| 100 + at % 7;

        assert!(trend(warms_up, wobbles).is_flat());
        assert!(!trend(|at| 20_000 + at * 4, wobbles).is_flat());
        assert!(!trend(warms_up, |at| 100 + at / 20).is_flat());
        assert_eq!(Trend::of(&[(1, 1); 3]), None);
    }

    #[test]
    fn quotients() {
        let figures = figures(0.25);

        assert_eq!(figures.cpu_per_gigabit(), Some(0.25));
        assert_eq!(figures.megabits_per_second(), 500.0);
        let memory = Some(Memory { anonymous: 1000, ..Memory::default() });
        let alone = Figures { bytes: 0, memory, ..figures.clone() };
        assert_eq!(figures.memory_per_viewer_kib(&alone, 10), Some(5.0));
        assert_eq!(alone.memory_per_viewer_kib(&alone, 0), None);
        assert_eq!(alone.cpu_per_gigabit(), Some(2.5));
        assert_eq!(figures.generator_load(), 0.5);
        assert_eq!(Figures { server_cpu: None, ..figures }.cpu_per_gigabit(), None);
    }
}
