//! From what was seen to what is told: percentiles, quotients, medians.

use serde_json::{Value, json};

use crate::checker::Faults;
use crate::process::{Cpu, to_f64};

/// One run: one target, one number of viewers. What cannot be known is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub viewers: usize,
    pub seconds: f64,
    pub bytes: u64,
    pub server_cpu: Option<Cpu>,
    pub server_threads: Option<usize>,
    /// Anonymous memory of the server, the most that was seen.
    pub anonymous_kib: Option<u64>,
    pub generator_cpu: Cpu,
    /// How late frames were published at most.
    pub publisher_late_ms: Option<f64>,
    pub latency_us: Percentiles,
    pub first_keyframe_us: Percentiles,
    pub longest_gap_us: Percentiles,
    pub faults: Faults,
    /// Why the run must not be used; empty if it may be.
    pub invalid: Vec<String>,
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
    pub(crate) fn gigabits(&self) -> f64 {
        to_f64(self.bytes) * 8.0 / 1e9
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

    pub(crate) fn generator_load(&self) -> f64 {
        self.generator_cpu.total / self.seconds
    }

    /// Against a run with publishers only. May be below zero when memory was not asked for anew.
    pub(crate) fn memory_per_viewer_kib(&self, alone: &Self) -> Option<f64> {
        let viewers = to_f64(u64::try_from(self.viewers).ok()?);
        let (with_viewers, before) = (to_f64(self.anonymous_kib?), to_f64(alone.anonymous_kib?));
        (viewers > 0.0).then(|| (with_viewers - before) / viewers)
    }

    pub(crate) fn to_json(&self) -> Value {
        let cpu =
            |cpu: &Cpu| json!({ "user_s": cpu.user, "system_s": cpu.system, "total_s": cpu.total });
        let faults = &self.faults;
        json!({
            "viewers": self.viewers,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "cpu_s_per_gbit": self.cpu_per_gigabit(),
            "server_cpu": self.server_cpu.as_ref().map(cpu),
            "server_threads": self.server_threads,
            "server_anonymous_kib": self.anonymous_kib,
            "generator_cpu": cpu(&self.generator_cpu),
            "publisher_late_ms_max": self.publisher_late_ms,
            "latency_us": self.latency_us.to_json(),
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

    /// A run in which a server took `cpu` seconds for one gigabit and each of ten viewers.
    pub(crate) fn figures(cpu: f64) -> Figures {
        let cpu = Cpu { user: 0.0, system: cpu, total: cpu };
        Figures {
            viewers: 10,
            seconds: 2.0,
            bytes: 125_000_000,
            server_cpu: Some(cpu),
            server_threads: Some(3),
            anonymous_kib: Some(1050),
            generator_cpu: Cpu { user: 0.5, system: 0.5, total: 1.0 },
            publisher_late_ms: Some(0.1),
            latency_us: Percentiles::of(vec![100, 200, 300]),
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
    fn quotients() {
        let figures = figures(0.25);

        assert_eq!(figures.cpu_per_gigabit(), Some(0.25));
        assert_eq!(figures.megabits_per_second(), 500.0);
        let alone = Figures { viewers: 0, anonymous_kib: Some(1000), ..figures.clone() };
        assert_eq!(figures.memory_per_viewer_kib(&alone), Some(5.0));
        assert_eq!(alone.memory_per_viewer_kib(&alone), None);
        assert_eq!(figures.generator_load(), 0.5);
        assert_eq!(Figures { server_cpu: None, ..figures }.cpu_per_gigabit(), None);
    }
}
