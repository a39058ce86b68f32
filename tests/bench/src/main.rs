//! Measures what an RTMP viewer costs a server: CPU time, memory, latency, time to a picture.
//!
//! ```text
//! clip → publisher ─▶ server (another process, another core) ─▶ load → session → checker
//!                                                                            ↓
//!                     process: CPU time, memory ───────────────▶ figures → report
//! ```
//!
//! Start reading at [`run::measure`]. Every frame carries a [`stamp`]; a server that loses one makes
//! the run invalid. With `--bare` the same is measured of a [`bare`] loop, in turn, since only
//! ratios of interleaved runs mean anything on a machine that others use too.

mod amf;
mod bare;
mod checker;
mod chunk;
mod clip;
mod clock;
mod error;
mod figures;
mod load;
mod machine;
mod options;
mod process;
mod publisher;
mod report;
mod run;
mod schedule;
mod session;
mod stamp;
mod target;

use std::error::Error as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::error::Error;
use crate::options::{Command, Options};
use crate::report::Report;
use crate::target::Kind;

/// Media was lost, or the generator was too slow.
const INVALID: u8 = 1;
const NOT_MEASURED: u8 = 2;
/// What shells say of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Command::Bare(media)) => bare::run(media).map(|()| true),
        None => measure_all(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INVALID),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("plugcast-bench: {error}{cause}");
            let code = if matches!(error, Error::Interrupted) { INTERRUPTED } else { NOT_MEASURED };
            ExitCode::from(code)
        }
    }
}

/// `true` if all runs are valid.
fn measure_all(options: &Options) -> Result<bool, Error> {
    options.check()?;
    let most = options.viewers.iter().max().copied().unwrap_or(0);
    machine::make_room_for(most + options.media.streams)?;
    if let Some((_, ours)) = options.cores()? {
        machine::pin(ours)?;
    }
    let stop = machine::watch_signals()?;
    let ours = if options.url.is_some() { Kind::Url } else { Kind::Plugcast };
    let mut plan = vec![(ours, 0)];
    for viewers in &options.viewers {
        plan.push((ours, *viewers));
        plan.extend(options.bare.then_some((Kind::Bare, *viewers)));
    }
    let mut report = Report::default();
    let outcome = repeat(options, &plan, &stop, &mut report);
    // What was measured before something went wrong took long enough.
    report.print();
    if let Some(path) = &options.json {
        report.write_json(path, options)?;
    }
    outcome?;
    Ok(report.is_valid())
}

fn repeat(
    options: &Options,
    plan: &[(Kind, usize)],
    stop: &Arc<AtomicBool>,
    report: &mut Report,
) -> Result<(), Error> {
    for round in 1..=options.rounds {
        for (kind, viewers) in plan {
            let label = kind.label();
            eprintln!("round {round} of {}: {label}, {viewers} viewers …", options.rounds);
            report.add(*kind, run::measure(*kind, *viewers, options, stop)?);
        }
    }
    Ok(())
}
