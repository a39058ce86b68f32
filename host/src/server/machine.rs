//! What the machine gives this process: memory and file descriptors.

use std::io;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for which the kernel gets its table ready at the start, at 8 bytes each. When a table has to grow, the kernel
/// lets the thread wait that opens or accepts, for tens of milliseconds if there are others: with it would wait whatever the
/// thread was about to do for viewers.
const READY_DESCRIPTORS: u64 = 65_536;

/// Memory that the process may use: the machine's, or its control group's if that is less.
pub(super) fn usable_memory() -> u64 {
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group =
        group.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok());
    group.chain(total_memory()).min().unwrap_or(u64::MAX)
}

fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Raises the soft limit of open files to the hard one; gives the limit in force, `None` for no limit.
pub(super) fn raise_nofile() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    prepare_descriptors(in_force.unwrap_or(READY_DESCRIPTORS).min(READY_DESCRIPTORS));
    in_force
}

/// A descriptor with the highest number makes the table as long as that. It is closed again; the table stays.
fn prepare_descriptors(count: u64) {
    let highest = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
    // Best effort: without it the table grows later.
    let _ = fcntl_dupfd_cloexec(io::stderr(), highest);
}
