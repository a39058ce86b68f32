//! What the kernel says of a process: CPU time, memory, threads.

use std::collections::BTreeMap;
use std::fs;

use crate::error::Error;

/// One look at a process, or at several that make up one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    user_ticks: u64,
    system_ticks: u64,
    /// Nanoseconds on a CPU by thread.
    threads_ns: BTreeMap<u32, u64>,
}

/// What a server holds, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Its own: neither its program nor a file.
    pub anonymous: u64,
    pub resident: u64,
    /// Resident, shared pages divided by those who share them.
    pub proportional: u64,
}

/// CPU time between two samples, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cpu {
    pub user: f64,
    pub system: f64,
    pub total: f64,
}

impl Sample {
    pub(crate) fn take(pids: &[u32]) -> Result<Self, Error> {
        let mut sample = Self::default();
        for pid in pids {
            sample.add(*pid).map_err(Error::io(format!("looking at process {pid}")))?;
        }
        Ok(sample)
    }

    fn add(&mut self, pid: u32) -> std::io::Result<()> {
        let (user, system) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?);
        self.user_ticks += user;
        self.system_ticks += system;
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Ok(thread) = entry.file_name().to_string_lossy().parse() else { continue };
            // A thread may end while we look; a kernel may be built without these figures.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let spent = text.split_whitespace().next().and_then(|field| field.parse().ok());
            self.threads_ns.insert(thread, spent.unwrap_or(0));
        }
        Ok(())
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads_ns.len()
    }

    /// CPU time from `self` to `later`.
    ///
    /// User and system time come in ticks of 10 ms, too coarse for one viewer. The total is the sum
    /// over threads in nanoseconds, unless one has ended in between and taken its time with it.
    pub(crate) fn cpu_until(&self, later: &Self) -> Cpu {
        let seconds = |ticks: u64| to_f64(ticks) / to_f64(rustix::param::clock_ticks_per_second());
        let user = seconds(later.user_ticks.saturating_sub(self.user_ticks));
        let system = seconds(later.system_ticks.saturating_sub(self.system_ticks));
        let threads: Option<u64> = self
            .threads_ns
            .iter()
            .map(|(thread, before)| later.threads_ns.get(thread)?.checked_sub(*before))
            .sum();
        let new =
            later.threads_ns.iter().filter(|(thread, _)| !self.threads_ns.contains_key(thread));
        let new: u64 = new.map(|(_, spent)| spent).sum();
        let total = match threads {
            Some(ns) if ns > 0 => to_f64(ns + new) / 1e9,
            _ => user + system,
        };
        Cpu { user, system, total }
    }
}

impl Memory {
    /// The kernel walks the page tables for this, in our time and not in the server's.
    pub(crate) fn take(pids: &[u32]) -> Result<Self, Error> {
        let mut memory = Self::default();
        for pid in pids {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
                .map_err(Error::io(format!("looking at process {pid}")))?;
            memory.anonymous += parse_kib(&text, "Anonymous:");
            memory.resident += parse_kib(&text, "Rss:");
            memory.proportional += parse_kib(&text, "Pss:");
        }
        Ok(memory)
    }

    /// The larger of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            anonymous: self.anonymous.max(other.anonymous),
            resident: self.resident.max(other.resident),
            proportional: self.proportional.max(other.proportional),
        }
    }
}

/// Open descriptors of some processes.
pub(crate) fn descriptors(pids: &[u32]) -> Result<u64, Error> {
    let mut count = 0;
    for pid in pids {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        count += open.map_err(Error::io(format!("looking at process {pid}")))?.count();
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people, far below 2^53")]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}

/// utime and stime, fields 14 and 15 of proc(5). The name before them may contain spaces.
fn parse_stat(text: &str) -> (u64, u64) {
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
    (fields.next().unwrap_or(0), fields.next().unwrap_or(0))
}

fn parse_kib(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_text() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 100 0 0 0 1234 567 0 0 20 0 3 0 99 1 2";
        let rollup =
            "55d0-7ffc ---p 0000 00:00 0 [rollup]\nRss:        20480 kB\nPss:         8192 kB\n";

        assert_eq!(parse_stat(stat), (1234, 567));
        assert_eq!(parse_kib(rollup, "Rss:"), 20480);
        assert_eq!(parse_kib(rollup, "Pss:"), 8192);
        assert_eq!(parse_kib(rollup, "Anonymous:"), 0);
    }

    #[test]
    fn sums_threads_that_stay_and_falls_back_to_ticks() {
        let sample = |ticks, threads: &[(u32, u64)]| Sample {
            user_ticks: ticks,
            threads_ns: threads.iter().copied().collect(),
            ..Sample::default()
        };
        let before = sample(0, &[(1, 1_000_000_000), (2, 0)]);

        let stayed = sample(200, &[(1, 2_500_000_000), (2, 0), (3, 500_000_000)]);
        let ended = sample(200, &[(1, 2_500_000_000)]);

        assert_eq!(before.cpu_until(&stayed).total, 2.0);
        assert_eq!(before.cpu_until(&ended).total, before.cpu_until(&ended).user);
    }

    #[test]
    fn sees_this_process() {
        let ours = [std::process::id()];
        let sample = Sample::take(&ours).unwrap();
        let memory = Memory::take(&ours).unwrap();

        assert!(sample.threads() > 0, "{sample:?}");
        assert!(memory.resident > 0 && memory.proportional <= memory.resident, "{memory:?}");
        assert!(descriptors(&ours).unwrap() >= 3);
    }
}
