//! The table for people and the JSON for programs.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::figures::{Figures, Quartiles};
use crate::machine;
use crate::options::Options;
use crate::process::to_f64;
use crate::target::Kind;

/// All runs, by number of viewers and target.
#[derive(Debug, Default)]
pub(crate) struct Report {
    runs: BTreeMap<(usize, Kind), Vec<Figures>>,
}

const HEAD: [&str; 17] = [
    "viewers",
    "target",
    "Mbit/s",
    "CPU-s/Gbit",
    "quartiles",
    "to bare",
    "core",
    "threads",
    "MiB",
    "KiB/viewer",
    "latency p50",
    "p99",
    "max",
    "1st key p50",
    "p99",
    "gap max",
    "generator",
];

impl Report {
    pub(crate) fn add(&mut self, kind: Kind, figures: Figures) {
        self.runs.entry((figures.viewers, kind)).or_default().push(figures);
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.runs.values().flatten().all(|figures| figures.invalid.is_empty())
    }

    /// Medians over rounds; one line for each number of viewers and target.
    pub(crate) fn print(&self) {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(
            self.runs.iter().map(|((viewers, kind), runs)| self.row(*viewers, *kind, runs)),
        );
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  "));
        }
        println!(
            "Latency, time to the first keyframe and gaps in ms; core (server) and generator in % of one core."
        );
        for ((viewers, kind), runs) in &self.runs {
            for (round, figures) in runs.iter().enumerate() {
                for complaint in &figures.invalid {
                    let (kind, round) = (kind.label(), round + 1);
                    println!("INVALID: {kind}, {viewers} viewers, round {round}: {complaint}");
                }
            }
        }
    }

    fn row(&self, viewers: usize, kind: Kind, runs: &[Figures]) -> [String; 17] {
        let column = |figure: &dyn Fn(&Figures) -> Option<f64>| {
            Quartiles::of(runs.iter().filter_map(figure).collect())
        };
        let cell = |digits: usize, figure: &dyn Fn(&Figures) -> Option<f64>| {
            or_dash(column(figure).map(|found| format!("{:.digits$}", found.median)))
        };
        let ms = |figure: &dyn Fn(&Figures) -> Option<u64>| {
            cell(2, &|figures| figure(figures).map(|us| to_f64(us) / 1000.0))
        };
        let quartiles = column(&Figures::cpu_per_gigabit).filter(|_| runs.len() > 2);
        let quartiles = quartiles.map(|q| format!("{:.3}–{:.3}", q.first, q.third));
        let to_bare = self.to_bare(viewers, kind);
        let memory = self.memory_per_viewer(viewers, kind);
        [
            viewers.to_string(),
            kind.label().to_owned(),
            cell(1, &|figures| Some(figures.megabits_per_second())),
            cell(3, &Figures::cpu_per_gigabit),
            or_dash(quartiles),
            or_dash(to_bare.map(|found| format!("{:.2}", found.median))),
            cell(1, &|figures| figures.server_load().map(|share| share * 100.0)),
            cell(0, &|figures| {
                figures.server_threads.map(|n| to_f64(u64::try_from(n).unwrap_or(0)))
            }),
            cell(1, &|figures| figures.anonymous_kib.map(|kib| to_f64(kib) / 1024.0)),
            or_dash(memory.map(|found| format!("{:.1}", found.median))),
            ms(&|figures| figures.latency_us.known().map(|found| found.p50)),
            ms(&|figures| figures.latency_us.known().map(|found| found.p99)),
            ms(&|figures| figures.latency_us.known().map(|found| found.max)),
            ms(&|figures| figures.first_keyframe_us.known().map(|found| found.p50)),
            ms(&|figures| figures.first_keyframe_us.known().map(|found| found.p99)),
            ms(&|figures| figures.longest_gap_us.known().map(|found| found.max)),
            cell(0, &|figures| Some(figures.generator_load() * 100.0)),
        ]
    }

    /// CPU time per gigabit against that of the bare loop, each pair from the same round.
    fn to_bare(&self, viewers: usize, kind: Kind) -> Option<Quartiles> {
        let (ours, bare) =
            (self.runs.get(&(viewers, kind))?, self.runs.get(&(viewers, Kind::Bare))?);
        let ratio = |(ours, bare): (&Figures, &Figures)| {
            Some(ours.cpu_per_gigabit()? / bare.cpu_per_gigabit()?)
        };
        Quartiles::of(ours.iter().zip(bare).filter_map(ratio).collect())
    }

    /// Against the run without viewers, each pair from the same round.
    fn memory_per_viewer(&self, viewers: usize, kind: Kind) -> Option<Quartiles> {
        let (full, alone) = (self.runs.get(&(viewers, kind))?, self.runs.get(&(0, kind))?);
        let pairs = full.iter().zip(alone);
        Quartiles::of(pairs.filter_map(|(full, alone)| full.memory_per_viewer_kib(alone)).collect())
    }

    pub(crate) fn write_json(&self, path: &Path, options: &Options) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(&self.to_json(options)).unwrap_or_default();
        fs::write(path, text + "\n").map_err(Error::io(path.display().to_string()))
    }

    fn to_json(&self, options: &Options) -> Value {
        let quartiles = |quartiles: Option<Quartiles>| {
            quartiles.map(|q| json!({ "first": q.first, "median": q.median, "third": q.third }))
        };
        let targets = self.runs.iter().map(|((viewers, kind), runs)| {
            let cpu = runs.iter().filter_map(Figures::cpu_per_gigabit).collect();
            json!({
                "target": kind.label(),
                "viewers": viewers,
                "cpu_s_per_gbit": quartiles(Quartiles::of(cpu)),
                "kib_per_viewer": quartiles(self.memory_per_viewer(*viewers, *kind)),
                "ratio_to_bare": quartiles(self.to_bare(*viewers, *kind)),
                "rounds": runs.iter().map(Figures::to_json).collect::<Vec<_>>(),
            })
        });
        json!({
            "machine": machine::describe(),
            "options": {
                "duration_s": options.duration.as_secs_f64(),
                "ramp_s": options.ramp.as_secs_f64(),
                "rounds": options.rounds,
                "streams": options.media.streams,
                "bitrate": options.media.bitrate,
                "pin": if options.no_pin { None } else { Some(&options.pin) },
            },
            "targets": targets.collect::<Vec<_>>(),
            "valid": self.is_valid(),
        })
    }
}

/// A cell of what cannot be known.
fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::figures::tests::figures;

    #[test]
    fn tells_ratios_by_round_and_medians() {
        let mut report = Report::default();
        for (ours, bare) in [(0.2, 0.1), (0.3, 0.3), (0.9, 0.3)] {
            let alone = Figures { viewers: 0, anonymous_kib: Some(1000), ..figures(0.1) };
            report.add(Kind::Plugcast, alone);
            report.add(Kind::Plugcast, figures(ours));
            report.add(Kind::Bare, figures(bare));
        }

        let row = report.row(10, Kind::Plugcast, &report.runs[&(10, Kind::Plugcast)]);
        let json = report.to_json(&Options::parse_from(["bench"]));

        assert_eq!(row[3], "0.300");
        assert_eq!(row[5], "2.00");
        assert_eq!(row[9], "5.0");
        assert_eq!(row[13], "–");
        assert_eq!(json["targets"][1]["ratio_to_bare"]["median"], 2.0);
        assert_eq!(json["targets"][1]["kib_per_viewer"]["median"], 5.0);
        assert_eq!(json["targets"][2]["target"], "bare send()");
        assert_eq!(json["valid"], true);
    }

    #[test]
    fn one_invalid_round_spoils_all() {
        let mut report = Report::default();
        report.add(Kind::Plugcast, figures(0.2));
        let invalid = vec!["a frame is missing".to_owned()];
        report.add(Kind::Plugcast, Figures { invalid, ..figures(0.2) });

        assert!(!report.is_valid());
    }
}
