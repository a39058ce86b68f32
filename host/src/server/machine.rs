//! What the machine gives this process: memory and file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
