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

use crate::checker::Window;
use crate::clip::Clip;
use crate::clock::{as_ns, now_ns};
use crate::error::Error;
use crate::figures::{Figures, Percentiles};
use crate::load::{Load, Opening};
use crate::options::Options;
use crate::process::{Sample, to_f64};
use crate::publisher::Publishers;
use crate::session::{Role, Wish};
use crate::target::{Kind, Target};

/// Publishers alone: long enough for the first viewer to find a whole GOP.
const QUIET: Duration = Duration::from_secs(3);
/// From the last viewer's arrival to the window: a GOP and some more.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the last frames of the window may take to arrive.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);
/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// A generator that is busier than this has measured itself.
const GENERATOR_LOAD_MAX: f64 = 0.95;

pub(crate) fn measure(
    kind: Kind,
    viewers: usize,
    options: &Options,
    stop: &Arc<AtomicBool>,
) -> Result<Figures, Error> {
    let target = kind.start(options)?;
    let mut load = Load::new(Arc::clone(stop))?;
    let publishers = match target.opening {
        Opening::Bare => None,
        Opening::Rtmp => {
            let wishes =
                (0..options.media.streams).map(|index| wish(&target, Role::Publish, index));
            Some(Publishers::start(target.address, wishes, Clip::new(options.media.bitrate))?)
        }
    };
    if publishers.is_some() {
        load.run_until(now_ns() + as_ns(QUIET))?;
    }
    let wishes = (0..viewers).map(|index| wish(&target, Role::Play, index % options.media.streams));
    let full_ns = now_ns() + as_ns(options.ramp);
    load.open(target.address, target.opening, wishes, options.ramp)?;
    load.run_until(full_ns.max(now_ns()) + as_ns(SETTLE))?;

    let from_ns = now_ns();
    load.window = Window { from_ns, to_ns: from_ns + as_ns(options.duration) };
    let _before = publishers.as_ref().map(Publishers::take_lateness_ns);
    let bytes_before = load.bytes;
    let (server, ours) = (Sample::take(&target.pids)?, Sample::take(&[std::process::id()])?);
    let anonymous_kib = peak_memory(&mut load, &target, options.duration)?;
    let bytes = load.bytes - bytes_before;
    let seconds = to_f64(now_ns() - from_ns) / 1e9;
    let server_after = Sample::take(&target.pids)?;
    let ours_after = Sample::take(&[std::process::id()])?;
    let late_ns = publishers.as_ref().map(Publishers::take_lateness_ns);

    let deadline = now_ns() + as_ns(DRAIN_LIMIT);
    while !load.is_complete() && now_ns() < deadline {
        load.run_until(now_ns() + as_ns(LOOK_INTERVAL) / 10)?;
    }
    let verdict = load.verdict();
    let published = publishers.map_or(Ok(()), Publishers::stop);

    let is_seen = !target.pids.is_empty();
    let mut figures = Figures {
        viewers,
        seconds,
        bytes,
        server_cpu: is_seen.then(|| server.cpu_until(&server_after)),
        server_threads: is_seen.then(|| server_after.threads()),
        anonymous_kib: is_seen.then_some(anonymous_kib),
        generator_cpu: ours.cpu_until(&ours_after),
        publisher_late_ms: late_ns.map(|ns| to_f64(ns) / 1e6),
        latency_us: Percentiles::of(std::mem::take(&mut load.latencies_us)),
        first_keyframe_us: Percentiles::of(verdict.first_keyframes_us),
        longest_gap_us: Percentiles::of(verdict.longest_gaps_us),
        faults: verdict.faults,
        invalid: Vec::new(),
    };
    figures.invalid = complaints(&figures, options, verdict.reason, published);
    Ok(figures)
}

fn wish(target: &Target, role: Role, stream: usize) -> Wish {
    let name = if stream == 0 { target.name.clone() } else { format!("{}-{stream}", target.name) };
    let tc_url = format!("rtmp://{}/{}", target.address, target.app);
    Wish { role, tc_url, app: target.app.clone(), name }
}

/// Serves the viewers for a while; gives the most anonymous memory that was seen.
fn peak_memory(load: &mut Load, target: &Target, duration: Duration) -> Result<u64, Error> {
    let end = now_ns() + as_ns(duration);
    let mut peak = 0;
    while now_ns() < end {
        load.run_until(end.min(now_ns() + as_ns(LOOK_INTERVAL)))?;
        peak = peak.max(Sample::take(&target.pids)?.anonymous_kib);
    }
    Ok(peak)
}

/// Why the figures must not be used.
fn complaints(
    figures: &Figures,
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
    match options.gap_limit {
        Some(limit) if u128::from(longest_ms) > limit.as_millis() => {
            complaints.push(format!("a viewer waited {longest_ms} ms for a picture"));
        }
        _ => {}
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
        let options = Options::parse_from(["bench", "--gap-limit", "140ms"]);
        let judge = |figures: &Figures| complaints(figures, &options, None, Ok(()));
        let clean = figures(0.2);

        assert_eq!(judge(&clean), [""; 0]);
        let faults = Faults { missing: 1, ..Faults::default() };
        assert_eq!(judge(&Figures { faults, ..clean.clone() }).len(), 1);
        let generator_cpu = Cpu { user: 1.0, system: 0.95, total: 1.95 };
        assert_eq!(judge(&Figures { generator_cpu, ..clean.clone() }).len(), 1);
        let longest_gap_us = Percentiles::of(vec![141_000]);
        assert_eq!(judge(&Figures { longest_gap_us, ..clean.clone() }).len(), 1);
        assert_eq!(complaints(&clean, &options, None, Err(Error::Interrupted)).len(), 1);
    }
}
