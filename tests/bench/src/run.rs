//! One run: a target, its publishers, its viewers; first quiet, then filling, then measured.
//!
//! All runs take the same time whatever the number of viewers, none included: the history that a
//! server keeps grows with time, so memory can only be compared at the same age.
//!
//! ```text
//! start ─ publishers only ─ viewers arrive ─ settle ─ window ─ drain ─ stop
//!                                               CPU ▲      ▲ CPU, memory
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::case::{Activity, Case};
use crate::checker::Window;
use crate::clip::Clip;
use crate::clock::{as_ns, now_ns};
use crate::error::Error;
use crate::figures::{Figures, Percentiles, Trend};
use crate::load::Load;
use crate::machine;
use crate::options::Options;
use crate::process::{self, Memory, Sample, to_f64};
use crate::publisher::Publishers;
use crate::session::Role;
use crate::sockets;
use crate::target::Target;

/// Publishers alone: long enough for the first viewer to find a whole GOP.
const QUIET: Duration = Duration::from_secs(3);
/// From the last viewer's arrival to the window: a GOP and some more.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the last frames of the window may take to arrive.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);
/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is looked whether all has arrived.
const DRAIN_INTERVAL: Duration = Duration::from_millis(50);
/// A generator that is busier than this has measured itself.
const GENERATOR_LOAD_MAX: f64 = 0.95;
/// In less time, what grows may be what was not there before.
const TREND_MIN: Duration = Duration::from_secs(60);
/// Where nobody watches, so many streams are looked at afterwards.
const PROBES_MAX: usize = 5;
const PROBE: Duration = Duration::from_secs(3);

pub(crate) fn measure(
    case: &Case,
    options: &Options,
    stop: &Arc<AtomicBool>,
) -> Result<Figures, Error> {
    let target = Target::start(case, options)?;
    let streams = case.media.streams;
    let mut load = Load::new(Arc::clone(stop))?;
    load.tls.clone_from(&target.tls);
    let publishers = match &target.publish {
        Some(published) if streams > 0 => {
            let wishes = (0..streams).map(|stream| published.wish(Role::Publish, stream));
            Some(Publishers::start(published.address, wishes, Clip::of(case.media.bitrate)?)?)
        }
        Some(_) | None => None,
    };
    if publishers.is_some() {
        load.run_until(now_ns() + as_ns(QUIET))?;
    }
    let openings = (0..case.viewers).map(|index| target.opening(index % streams));
    let full_ns = now_ns() + as_ns(options.ramp);
    load.open(target.address(), openings, options.ramp)?;
    load.run_until(full_ns.max(now_ns()) + as_ns(SETTLE))?;

    if case.activity == Activity::Stall {
        load.stall()?;
    }
    let from_ns = now_ns();
    load.window = Window { from_ns, to_ns: from_ns + as_ns(options.duration()) };
    let published = || publishers.as_ref().map_or(0, Publishers::bytes);
    let _before = publishers.as_ref().map(Publishers::take_lateness_ns);
    let (bytes_before, published_before) = (load.bytes, published());
    let (server, ours) = (Sample::take(&target.pids)?, Sample::take(&[std::process::id()])?);
    let seen = watch(&mut load, &target, case, options.duration())?;
    let (bytes, published_bytes) = (load.bytes - bytes_before, published() - published_before);
    let seconds = to_f64(now_ns() - from_ns) / 1e9;
    let server_after = Sample::take(&target.pids)?;
    let ours_after = Sample::take(&[std::process::id()])?;
    let late_ns = publishers.as_ref().map(Publishers::take_lateness_ns);
    let load_average = machine::load_average();

    match case.activity {
        Activity::Stall => {}
        Activity::Churn { .. } | Activity::Watch if case.viewers > 0 => drain(&mut load)?,
        Activity::Churn { .. } | Activity::Watch => probe(&mut load, &target, streams)?,
    }
    let mut verdict = load.verdict();
    if case.activity == Activity::Stall {
        // Nobody reads to the end; whoever watched until then is fine.
        verdict.faults.viewers_lost = 0;
    }
    let outcome = publishers.map_or(Ok(()), Publishers::stop);

    let is_seen = !target.pids.is_empty();
    let mut figures = Figures {
        seconds,
        bytes,
        published_bytes,
        // What it takes to send next to nothing is no figure.
        server_cpu: (is_seen && case.activity != Activity::Stall)
            .then(|| server.cpu_until(&server_after)),
        server_threads: is_seen.then(|| server_after.threads()),
        memory: is_seen.then_some(seen.memory),
        send_queues: Percentiles::of(seen.send_queues),
        trend: Trend::of(&seen.looks),
        guests: matches!(case.activity, Activity::Churn { .. }).then_some(verdict.guests),
        generator_cpu: ours.cpu_until(&ours_after),
        publisher_late_ms: late_ns.map(|ns| to_f64(ns) / 1e6),
        load_average,
        latency_us: Percentiles::of(std::mem::take(&mut load.latencies_us)),
        first_media_us: Percentiles::of(verdict.first_media_us),
        first_keyframe_us: Percentiles::of(verdict.first_keyframes_us),
        longest_gap_us: Percentiles::of(verdict.longest_gaps_us),
        faults: verdict.faults,
        invalid: Vec::new(),
    };
    figures.invalid = complaints(&figures, case, options, verdict.reason, outcome);
    Ok(figures)
}

/// The most that was seen of a server in the window.
#[derive(Default)]
struct Seen {
    memory: Memory,
    /// Resident KiB and descriptors, while guests come and leave.
    looks: Vec<(u64, u64)>,
    /// Of each connection, when they were fullest in all.
    send_queues: Vec<u64>,
}

impl Seen {
    fn look(&mut self, target: &Target, case: &Case) -> Result<(), Error> {
        let memory = Memory::take(&target.pids)?;
        self.memory = self.memory.max(memory);
        match case.activity {
            Activity::Churn { .. } => {
                self.looks.push((memory.resident, process::descriptors(&target.pids)?));
            }
            Activity::Stall => {
                let queues = sockets::send_queues(target.address())?;
                if queues.iter().sum::<u64>() > self.send_queues.iter().sum() {
                    self.send_queues = queues;
                }
            }
            Activity::Watch => {}
        }
        Ok(())
    }
}

/// Serves the viewers, and lets guests come, until the window ends.
fn watch(load: &mut Load, target: &Target, case: &Case, duration: Duration) -> Result<Seen, Error> {
    let (start, mut seen, mut guests) = (now_ns(), Seen::default(), 0);
    let end = start + as_ns(duration);
    let mut look_ns = start + as_ns(LOOK_INTERVAL);
    while now_ns() < end {
        let guest_ns = match case.activity {
            Activity::Churn { per_second } => {
                start + guests * 1_000_000_000 / u64::from(per_second)
            }
            Activity::Stall | Activity::Watch => u64::MAX,
        };
        load.run_until(end.min(look_ns).min(guest_ns))?;
        if now_ns() >= guest_ns {
            let stream = usize::try_from(guests).unwrap_or(0) % case.media.streams.max(1);
            load.invite(target.address(), target.opening(stream));
            guests += 1;
        }
        if now_ns() >= look_ns {
            look_ns += as_ns(LOOK_INTERVAL);
            seen.look(target, case)?;
        }
    }
    Ok(seen)
}

/// Waits for what was sent in the window and has not arrived.
fn drain(load: &mut Load) -> Result<(), Error> {
    let deadline = now_ns() + as_ns(DRAIN_LIMIT);
    while !load.is_complete() && now_ns() < deadline {
        load.run_until(now_ns() + as_ns(DRAIN_INTERVAL))?;
    }
    Ok(())
}

/// Lets one viewer each watch a few streams: a server that takes media and forgets it must not look cheap.
fn probe(load: &mut Load, target: &Target, streams: usize) -> Result<(), Error> {
    let openings = (0..streams.min(PROBES_MAX)).map(|stream| target.opening(stream));
    load.window = Window { from_ns: now_ns(), to_ns: now_ns() + as_ns(PROBE) };
    load.open(target.address(), openings, Duration::ZERO)?;
    load.run_until(load.window.to_ns)?;
    drain(load)
}

/// Why the figures must not be used.
fn complaints(
    figures: &Figures,
    case: &Case,
    options: &Options,
    reason: Option<String>,
    published: Result<(), Error>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    if !figures.faults.is_clean() {
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        complaints.push(format!("{:?}{reason}", figures.faults));
    }
    if let Err(error) = published {
        complaints.push(error.to_string());
    }
    let longest_ms = figures.longest_gap_us.max / 1000;
    let limit = options.gap_limit + Duration::from_millis(case.budget_ms().into());
    if u128::from(longest_ms) > limit.as_millis() {
        complaints.push(format!("a viewer waited {longest_ms} ms for a picture"));
    }
    let is_long = options.duration() >= TREND_MIN;
    if let Some(trend) = figures.trend.filter(|trend| is_long && !trend.is_flat()) {
        complaints.push(format!("the server grows: {trend:?}"));
    }
    let load = figures.generator_load();
    if load > GENERATOR_LOAD_MAX {
        complaints.push(format!("the generator was busy for {:.0} % of the time", load * 100.0));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::checker::Faults;
    use crate::figures::tests::figures;
    use crate::process::Cpu;

    #[test]
    fn says_why_a_run_is_invalid() {
        let options = Options::parse_from(["bench", "--gap-limit", "100ms", "--budget", "40ms"]);
        let case = options.cases()[0];
        let judge = |figures: &Figures| complaints(figures, &case, &options, None, Ok(()));
        let clean = figures(0.2);

        assert_eq!(judge(&clean), [""; 0]);
        let faults = Faults { missing: 1, ..Faults::default() };
        assert_eq!(judge(&Figures { faults, ..clean.clone() }).len(), 1);
        let generator_cpu = Cpu { user: 1.0, system: 0.95, total: 1.95 };
        assert_eq!(judge(&Figures { generator_cpu, ..clean.clone() }).len(), 1);
        let longest_gap_us = Percentiles::of(vec![141_000]);
        assert_eq!(judge(&Figures { longest_gap_us, ..clean.clone() }).len(), 1);
        assert_eq!(complaints(&clean, &case, &options, None, Err(Error::Interrupted)).len(), 1);
    }
}
