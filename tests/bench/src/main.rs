//! Measures what viewers and publishers cost a server: CPU time, memory, latency, time to a picture.
//!
//! ```text
//! clip → publisher ─▶ server (another process, another core) ─▶ load → session, flv → checker
//!                                                                            ↓
//!                     process: CPU time, memory ───────────────▶ figures → report
//! ```
//!
//! Start reading at [`run::measure`]; what is measured is a [`case`], and a [`preset`] is a list of these. Every frame
//! carries a [`stamp`]; a server that loses one makes the run invalid. The same is measured of [`bare`] loops and of other
//! servers, in turn, since only ratios of interleaved runs mean anything on a machine that others use too.

mod amf;
mod bare;
mod case;
mod certificate;
mod checker;
mod chunk;
mod clip;
mod clock;
mod error;
mod figures;
mod flv;
mod load;
mod machine;
mod options;
mod preset;
mod process;
mod publisher;
mod report;
mod run;
mod schedule;
mod session;
mod sockets;
mod stamp;
mod target;
mod wire;

use std::error::Error as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::case::Case;
use crate::error::Error;
use crate::options::{Command, Options};
use crate::report::Report;

/// Media was lost, or the generator was too slow.
const INVALID: u8 = 1;
const NOT_MEASURED: u8 = 2;
/// What shells say of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Command::Bare { method, media }) => bare::run(method, media).map(|()| true),
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
    let plan = options.cases();
    let sockets = |case: &Case| case.viewers + case.media.streams;
    machine::make_room_for(plan.iter().map(sockets).max().unwrap_or(0))?;
    if let Some((_, ours)) = options.cores()? {
        machine::pin(ours)?;
    }
    let stop = machine::watch_signals()?;
    let mut report = Report::default();
    let outcome = repeat(options, &plan, &stop, &mut report);
    // What was measured before something went wrong took long enough.
    report.print();
    let folder = options.out.clone().map_or_else(machine::target_folder, Ok)?;
    report.write_json(&folder.join("bench.json"), options)?;
    let typed: Vec<String> = std::env::args().skip(1).collect();
    report
        .write_markdown(&folder.join("bench.md"), &format!("scripts/bench {}", typed.join(" ")))?;
    outcome?;
    Ok(report.is_valid())
}

fn repeat(
    options: &Options,
    plan: &[Case],
    stop: &Arc<AtomicBool>,
    report: &mut Report,
) -> Result<(), Error> {
    for round in 1..=options.rounds {
        for case in plan {
            let (subject, load) = (case.subject.label(), case.load_label());
            eprintln!("round {round} of {}: {subject}, {load} …", options.rounds);
            report.add(*case, run::measure(case, options, stop)?);
        }
    }
    Ok(())
}
