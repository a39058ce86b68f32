//! The machine: processors, memory, network interfaces, and the disks that the server writes to.
//!
//! What the system doesn't tell is left out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Source, gauge};

/// Interfaces that are shown; a machine with containers has one for each.
const INTERFACES_MAX: usize = 64;

pub(super) struct Machine(pub(super) Arc<dyn Source>);

impl Collector for Machine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let e = &mut encoder;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        if let Some(cpu) = Cpu::parse(&read("/proc/stat")) {
            gauge(e, "host_cpus", "Processors of the machine.", cpu.count)?;
            let times = [("busy", cpu.busy), ("idle", cpu.idle)];
            let times = times.map(|(mode, ticks)| ([("mode", mode)], seconds(ticks)));
            let help = "Time of all processors, since the machine started.";
            family(e, "host_cpu_seconds", help, &times, |time| ConstCounter::new(*time))?;
        }
        if let Some(memory) = Memory::parse(&read("/proc/meminfo")) {
            gauge(e, "host_memory_total_bytes", "Memory of the machine.", memory.total)?;
            let help = "Memory that programs could still get without swapping.";
            gauge(e, "host_memory_available_bytes", help, memory.available)?;
        }
        let interfaces = interfaces(&read("/proc/net/dev"));
        let labelled = |figure: fn(&Interface) -> u64| -> Vec<_> {
            let series = interfaces.iter();
            series.map(|it| ([("interface", it.name.as_str())], figure(it))).collect()
        };
        let received = labelled(|interface| interface.received);
        let help = "Bytes that a network interface received.";
        family(e, "host_network_received_bytes", help, &received, |n| ConstCounter::new(*n))?;
        let sent = labelled(|interface| interface.sent);
        let help = "Bytes that a network interface sent.";
        family(e, "host_network_sent_bytes", help, &sent, |n| ConstCounter::new(*n))?;
        let disks: Vec<_> = self.0.folders().into_iter().filter_map(Disk::of).collect();
        let labelled = |figure: fn(&Disk) -> u64| -> Vec<_> {
            disks.iter().map(|disk| ([("folder", disk.folder)], figure(disk))).collect()
        };
        let help = "Size of the file system that a folder of the server is on.";
        family(e, "disk_total_bytes", help, &labelled(|disk| disk.total), |n| ConstGauge::new(*n))?;
        let help = "What the server may still write there.";
        family(e, "disk_free_bytes", help, &labelled(|disk| disk.free), |n| ConstGauge::new(*n))
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

/// One label, with its value.
type Label<'a> = [(&'static str, &'a str); 1];

fn family<T, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: &[(Label<'_>, T)],
    metric: impl Fn(&T) -> M,
) -> fmt::Result {
    let Some((_, first)) = series.first() else { return Ok(()) };
    let metric_type = metric(first).metric_type();
    let mut encoder = encoder.encode_descriptor(name, help, None, metric_type)?;
    for (label, value) in series {
        metric(value).encode(encoder.encode_family(label)?)?;
    }
    Ok(())
}

fn seconds(ticks: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "ticks of ten thousand years fit")]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    seconds
}

/// `/proc/stat` (proc_stat(5)), in ticks.
#[derive(Debug, PartialEq)]
struct Cpu {
    count: u64,
    busy: u64,
    /// Waiting for disks is idle, too.
    idle: u64,
}

impl Cpu {
    fn parse(text: &str) -> Option<Self> {
        let all = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // user nice system idle iowait irq softirq steal; guests are part of user and nice.
        let ticks: Vec<u64> =
            all.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
        let idle = ticks.get(3)? + ticks.get(4)?;
        let busy = ticks.iter().sum::<u64>() - idle;
        let one = |line: &&str| {
            let number = line.strip_prefix("cpu").unwrap_or_default();
            number.starts_with(|first: char| first.is_ascii_digit())
        };
        Some(Self { count: u64::try_from(text.lines().filter(one).count()).ok()?, busy, idle })
    }
}

/// `/proc/meminfo` (proc_meminfo(5)).
#[derive(Debug, PartialEq)]
struct Memory {
    total: u64,
    available: u64,
}

impl Memory {
    fn parse(text: &str) -> Option<Self> {
        let bytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self { total: bytes("MemTotal:")?, available: bytes("MemAvailable:")? })
    }
}

#[derive(Debug, PartialEq)]
struct Interface {
    name: String,
    received: u64,
    sent: u64,
}

/// `/proc/net/dev` (proc_pid_net(5)): two lines of heading, then name, eight figures of receiving, eight of sending.
fn interfaces(text: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, figures) = line.split_once(':')?;
        let mut figures = figures.split_whitespace();
        let received = figures.next()?.parse().ok()?;
        let sent = figures.nth(7)?.parse().ok()?;
        Some(Interface { name: name.trim().to_owned(), received, sent })
    };
    text.lines().skip(2).filter_map(interface).take(INTERFACES_MAX).collect()
}

/// The file system of a folder.
#[derive(Debug)]
struct Disk {
    folder: &'static str,
    total: u64,
    free: u64,
}

impl Disk {
    fn of((folder, path): (&'static str, PathBuf)) -> Option<Self> {
        let (total, free) = space(&path)?;
        Some(Self { folder, total, free })
    }
}

fn space(path: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(path).ok()?;
    // `f_bavail`: what is kept back for root is not ours.
    Some((disk.f_blocks.checked_mul(disk.f_frsize)?, disk.f_bavail.checked_mul(disk.f_frsize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_files_of_the_kernel() {
        let stat = "cpu  10 1 4 100 20 1 2 3 9 9\ncpu0 5 0 2 50 10 0 1 1 0 0\ncpu1 5 1 2 50 10 1 1 2 0 0\nintr 5\n";
        assert_eq!(Cpu::parse(stat), Some(Cpu { count: 2, busy: 21, idle: 120 }));
        assert_eq!(Cpu::parse("cpu 1 2 3"), None);

        let meminfo = "MemTotal:     2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(Memory::parse(meminfo), Some(Memory { total: 2 << 20, available: 1 << 20 }));
        assert_eq!(Memory::parse("MemTotal: 1 kB\n"), None);

        let dev = "Inter-|   Receive   |  Transmit\n face |bytes    packets|bytes\n\
                   \x20   lo: 11 1 0 0 0 0 0 0 12 1 0 0 0 0 0 0\n  eth0:21 1 0 0 0 0 0 0 22 1 0 0 0 0 0 0\n bad: 1\n";
        let interface =
            |name: &str, received, sent| Interface { name: name.into(), received, sent };
        assert_eq!(interfaces(dev), [interface("lo", 11, 12), interface("eth0", 21, 22)]);
    }

    #[test]
    fn interfaces_have_a_bound() {
        let line = |n| format!("veth{n}: 1 0 0 0 0 0 0 0 1 0\n");
        let text: String =
            ["a\n".into(), "b\n".into()].into_iter().chain((0..100).map(line)).collect();

        assert_eq!(interfaces(&text).len(), INTERFACES_MAX);
    }

    #[test]
    fn a_folder_that_is_gone_has_no_space() {
        let (total, free) = space(Path::new("/")).unwrap();

        assert!(total >= free && total > 0);
        assert_eq!(space(Path::new("/there/is/no/such/folder")), None);
    }
}
