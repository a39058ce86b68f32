//! The process, under the names that Prometheus clients of all languages use.
//!
//! What the system doesn't tell is left out.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{gauge, single};

#[derive(Debug)]
pub(super) struct Process {
    started_seconds: f64,
}

impl Default for Process {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_seconds: since.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let e = &mut encoder;
        let started = ConstGauge::new(self.started_seconds);
        single(e, "process_start_time_seconds", "Unix time of the start.", &started)?;
        let Some(figures) = ProcessFigures::read() else { return Ok(()) };
        gauge(e, "process_resident_memory_bytes", "Resident memory.", figures.resident_bytes)?;
        gauge(e, "process_threads", "Threads.", figures.threads)?;
        gauge(e, "process_open_fds", "Open file descriptors.", figures.open_fds)?;
        gauge(e, "process_max_fds", "Limit of open file descriptors.", figures.max_fds)?;
        let cpu = ConstCounter::new(figures.cpu_seconds);
        single(e, "process_cpu_seconds", "User and system time.", &cpu)
    }
}

/// From `/proc/self`.
#[derive(Debug, Default, PartialEq)]
pub struct ProcessFigures {
    pub resident_bytes: u64,
    pub threads: u64,
    pub open_fds: u64,
    /// `u64::MAX`: no limit.
    pub max_fds: u64,
    /// User and system time.
    pub cpu_seconds: f64,
}

impl ProcessFigures {
    /// `None` where the system doesn't tell.
    #[cfg(target_os = "linux")]
    pub fn read() -> Option<Self> {
        use std::fs;

        let status = Status::parse(&fs::read_to_string("/proc/self/status").ok()?);
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let ticks = cpu_ticks(&stat)?;
        // One of the entries is the folder that is being read.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        #[expect(clippy::cast_precision_loss, reason = "ticks of ten thousand years fit")]
        let cpu_seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            resident_bytes: status.resident_bytes,
            threads: status.threads,
            open_fds: open as u64,
            max_fds: limit.current.unwrap_or(u64::MAX),
            cpu_seconds,
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn read() -> Option<Self> {
        None
    }
}

/// Lines of `/proc/self/status` (proc_pid_status(5)).
#[cfg(target_os = "linux")]
#[derive(Debug, Default, PartialEq)]
struct Status {
    resident_bytes: u64,
    threads: u64,
}

#[cfg(target_os = "linux")]
impl Status {
    fn parse(text: &str) -> Self {
        let value = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let resident_kib = value("VmRSS:").unwrap_or(0);
        Self { resident_bytes: resident_kib * 1024, threads: value("Threads:").unwrap_or(0) }
    }
}

/// utime and stime of `/proc/self/stat` (proc_pid_stat(5), fields 14 and 15). The name of the process, field 2, may have
/// blanks and brackets in it, so that counting begins behind its last bracket.
#[cfg(target_os = "linux")]
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reads_the_files_of_the_kernel() {
        let status = "Name:\tplugcast\nVmRSS:\t   1024 kB\nThreads:\t7\n";
        assert_eq!(Status::parse(status), Status { resident_bytes: 1 << 20, threads: 7 });
        assert_eq!(Status::parse(""), Status::default());

        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 7 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("42 (a"), None);

        let own = ProcessFigures::read().unwrap();
        assert!(
            own.resident_bytes > 0
                && own.threads > 0
                && own.open_fds > 2
                && own.max_fds > own.open_fds
        );
    }
}
