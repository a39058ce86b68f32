//! The tables for people and documents, and the JSON for programs.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bare::{EngineKind, Method};
use crate::case::{Activity, Case, Subject};
use crate::error::Error;
use crate::figures::{Figures, Percentiles, Quartiles, Trend};
use crate::machine;
use crate::options::Options;
use crate::process::to_f64;

/// All runs of each case, in the order in which they are measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    case: Case,
    runs: Vec<Figures>,
}

/// One column: its heading and what stands in it. Left out where no row has anything.
type Column = (&'static str, fn(&Report, &Row) -> Option<String>);

const COLUMNS: [Column; 26] = [
    ("viewers × rate", |_, row| Some(row.case.load_label())),
    ("target", |_, row| Some(row.case.subject.label())),
    ("valid rounds", |_, row| Some(format!("{}/{}", row.valid().count(), row.runs.len()))),
    ("Mbit/s", |_, row| row.median(1, |run| Some(run.megabits_per_second()))),
    ("CPU-s/Gbit", |_, row| row.median(3, Figures::cpu_per_gigabit)),
    ("quartiles", |_, row| row.quartiles()),
    ("to send()", |report, row| report.ratio_cell(row, Baseline::Send)),
    ("to io_uring", |report, row| report.ratio_cell(row, Baseline::Uring)),
    ("to nginx", |report, row| report.ratio_cell(row, Baseline::Nginx)),
    ("core %", |_, row| row.median(1, |run| run.server_load().map(|share| share * 100.0))),
    ("threads", |_, row| row.median(0, |run| run.server_threads.and_then(count))),
    ("MiB", |_, row| row.median(1, |run| Some(to_f64(run.memory?.resident) / 1024.0))),
    ("PSS MiB", |_, row| row.median(1, |run| Some(to_f64(run.memory?.proportional) / 1024.0))),
    ("KiB/viewer", |report, row| {
        report.memory_per_viewer(row).map(|found| format!("{:.1}", found.median))
    }),
    ("MiB early → late", |_, row| {
        row.trend(|trend| trend.resident_kib, |kib| format!("{:.1}", to_f64(kib) / 1024.0))
    }),
    ("descriptors", |_, row| row.trend(|trend| trend.descriptors, |count| count.to_string())),
    ("joins", |_, row| row.median(0, |run| run.guests.map(to_f64))),
    ("send queue KiB p50", |_, row| row.median(0, |run| kib(run.send_queues, |of| of.p50))),
    ("max", |_, row| row.median(0, |run| kib(run.send_queues, |of| of.max))),
    ("latency p50", |_, row| row.median(2, |run| ms(run.latency_us, |of| of.p50))),
    ("p99", |_, row| row.median(2, |run| ms(run.latency_us, |of| of.p99))),
    ("1st media p50", |_, row| row.median(2, |run| ms(run.first_media_us, |of| of.p50))),
    ("1st key p50", |_, row| row.median(2, |run| ms(run.first_keyframe_us, |of| of.p50))),
    ("p99", |_, row| row.median(2, |run| ms(run.first_keyframe_us, |of| of.p99))),
    ("gap max", |_, row| row.median(1, |run| ms(run.longest_gap_us, |of| of.max))),
    ("generator %", |_, row| row.median(0, |run| Some(run.generator_load() * 100.0))),
];

const LEGEND: &str = "Medians over the valid rounds; ratios are the median of the ratios within a round. Latency, first \
media, first keyframe and gaps in ms; core (the server's) and generator in % of one core. Without viewers, Mbit/s and \
CPU-s/Gbit are of what was published.";

/// What the cost of others is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Baseline {
    Nginx,
    Send,
    Uring,
}

impl Report {
    pub(crate) fn add(&mut self, case: Case, figures: Figures) {
        match self.rows.iter_mut().find(|row| row.case == case) {
            Some(row) => row.runs.push(figures),
            None => self.rows.push(Row { case, runs: vec![figures] }),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.runs).all(Figures::is_valid)
    }

    /// The headings, then a line for each case.
    fn table(&self) -> Vec<Vec<String>> {
        let columns = COLUMNS.iter().filter_map(|(heading, cell)| {
            let cells: Vec<_> = self.rows.iter().map(|row| cell(self, row)).collect();
            let is_empty = cells.iter().all(Option::is_none);
            let texts = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
            (!is_empty).then(|| [(*heading).to_owned()].into_iter().chain(texts).collect())
        });
        let columns: Vec<Vec<String>> = columns.collect();
        let line = |row: usize| columns.iter().map(|column| column[row].clone()).collect();
        (0..=self.rows.len()).map(line).collect()
    }

    pub(crate) fn print(&self) {
        let table = self.table();
        let width = |column: usize| {
            table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
        for line in &table {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  "));
        }
        println!("{LEGEND}");
        for complaint in self.complaints() {
            println!("INVALID: {complaint}");
        }
    }

    fn complaints(&self) -> impl Iterator<Item = String> {
        self.rows.iter().flat_map(|Row { case, runs }| {
            let what = format!("{}, {}", case.subject.label(), case.load_label());
            runs.iter().enumerate().flat_map(move |(round, run)| {
                let place = format!("{what}, round {}", round + 1);
                run.invalid.iter().map(move |complaint| format!("{place}: {complaint}"))
            })
        })
    }

    /// A table for a document, under the command that made it.
    pub(crate) fn write_markdown(&self, path: &Path, command: &str) -> Result<(), Error> {
        let table = self.table();
        let mut lines: Vec<String> =
            table.iter().map(|line| format!("| {} |", line.join(" | "))).collect();
        lines.insert(1, format!("|{}", "---|".repeat(table[0].len())));
        let machine = machine::describe();
        let place = format!(
            "`{command}` on {} cores of {}, Linux {}.",
            machine["cores"],
            machine["cpu"].as_str().unwrap_or_default(),
            machine["kernel"].as_str().unwrap_or_default()
        );
        let text = format!("{place}\n\n{}\n\n{LEGEND}\n", lines.join("\n"));
        fs::write(path, text).map_err(Error::io(path.display().to_string()))
    }

    fn row(&self, case: &Case) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == *case)
    }

    /// CPU time per gigabit against that of a baseline, each pair from the same round.
    fn ratio(&self, row: &Row, baseline: Baseline) -> Option<Quartiles> {
        let subject = baseline.subject(&row.case);
        let base = self.row(&row.case.of(subject)).filter(|base| base.case != row.case)?;
        let pairs = row.runs.iter().zip(&base.runs);
        let valid = pairs.filter(|(run, base)| run.is_valid() && base.is_valid());
        let ratio = |(run, base): (&Figures, &Figures)| {
            Some(run.cpu_per_gigabit()? / base.cpu_per_gigabit()?)
        };
        Quartiles::of(valid.filter_map(ratio).collect())
    }

    fn ratio_cell(&self, row: &Row, baseline: Baseline) -> Option<String> {
        let found = self.ratio(row, baseline)?;
        Some(match row.runs.len() {
            ..=2 => format!("{:.2}", found.median),
            _ => format!("{:.2} ({:.2}–{:.2})", found.median, found.first, found.third),
        })
    }

    /// Against the run without viewers, each pair from the same round.
    fn memory_per_viewer(&self, row: &Row) -> Option<Quartiles> {
        let alone = self.row(&Case { viewers: 0, activity: Activity::Watch, ..row.case })?;
        let pairs = row.runs.iter().zip(&alone.runs);
        let viewers = row.case.viewers;
        let each = pairs.filter_map(|(full, alone)| full.memory_per_viewer_kib(alone, viewers));
        Quartiles::of(each.collect())
    }

    pub(crate) fn write_json(&self, path: &Path, options: &Options) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(&self.to_json(options)).unwrap_or_default();
        fs::write(path, text + "\n").map_err(Error::io(path.display().to_string()))
    }

    fn to_json(&self, options: &Options) -> Value {
        let quartiles = |quartiles: Option<Quartiles>| {
            quartiles.map(|q| json!({ "first": q.first, "median": q.median, "third": q.third }))
        };
        let rows = self.rows.iter().map(|row| {
            let Case { subject, viewers, media, activity } = row.case;
            json!({
                "target": subject.label(),
                "viewers": viewers,
                "streams": media.streams,
                "bitrate": media.bitrate,
                "activity": format!("{activity:?}"),
                "cpu_s_per_gbit": quartiles(row.of_valid(Figures::cpu_per_gigabit)),
                "kib_per_viewer": quartiles(self.memory_per_viewer(row)),
                "ratio_to_send": quartiles(self.ratio(row, Baseline::Send)),
                "ratio_to_io_uring": quartiles(self.ratio(row, Baseline::Uring)),
                "ratio_to_nginx": quartiles(self.ratio(row, Baseline::Nginx)),
                "rounds": row.runs.iter().map(Figures::to_json).collect::<Vec<_>>(),
            })
        });
        json!({
            "machine": machine::describe(),
            "options": {
                "duration_s": options.duration().as_secs_f64(),
                "ramp_s": options.ramp.as_secs_f64(),
                "rounds": options.rounds,
                "pin": if options.no_pin { None } else { Some(&options.pin) },
            },
            "cases": rows.collect::<Vec<_>>(),
            "valid": self.is_valid(),
        })
    }
}

impl Row {
    fn valid(&self) -> impl Iterator<Item = &Figures> {
        self.runs.iter().filter(|run| run.is_valid())
    }

    /// Over the valid rounds; over all if there is none, since something has to be looked at then.
    fn of_valid(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Quartiles> {
        let any_valid = self.valid().next().is_some();
        let runs = self.runs.iter().filter(|run| run.is_valid() || !any_valid);
        Quartiles::of(runs.filter_map(figure).collect())
    }

    fn median(&self, digits: usize, figure: impl Fn(&Figures) -> Option<f64>) -> Option<String> {
        self.of_valid(figure).map(|found| format!("{:.digits$}", found.median))
    }

    /// Of the last round.
    fn trend(&self, figure: fn(&Trend) -> [u64; 2], text: fn(u64) -> String) -> Option<String> {
        let [early, late] = figure(self.runs.last()?.trend.as_ref()?).map(text);
        Some(format!("{early} → {late}"))
    }

    fn quartiles(&self) -> Option<String> {
        let found = self.of_valid(Figures::cpu_per_gigabit).filter(|_| self.runs.len() > 2);
        found.map(|found| format!("{:.3}–{:.3}", found.first, found.third))
    }
}

impl Baseline {
    /// The bare loops hold media back for as long as the one that is compared with them.
    fn subject(self, case: &Case) -> Subject {
        let every_ms = case.budget_ms();
        match self {
            Self::Nginx => Subject::NginxRtmp,
            Self::Send => Subject::Bare(Method { engine: EngineKind::Send, every_ms }),
            Self::Uring => Subject::Bare(Method { engine: EngineKind::Uring, every_ms }),
        }
    }
}

fn count(number: usize) -> Option<f64> {
    Some(to_f64(u64::try_from(number).ok()?))
}

fn ms(of: Percentiles, pick: fn(Percentiles) -> u64) -> Option<f64> {
    of.known().map(|of| to_f64(pick(of)) / 1000.0)
}

fn kib(of: Percentiles, pick: fn(Percentiles) -> u64) -> Option<f64> {
    of.known().map(|of| to_f64(pick(of)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::figures::tests::figures;
    use crate::options::{Media, Protocol};
    use crate::process::Memory;

    const OURS: Case = Case {
        subject: Subject::Plugcast { protocol: Protocol::Rtmp, budget_ms: 0 },
        viewers: 10,
        media: Media { streams: 1, bitrate: 2_100_000 },
        activity: Activity::Watch,
    };
    const BARE: Subject = Subject::Bare(Method { engine: EngineKind::Send, every_ms: 0 });

    fn cell(report: &Report, line: usize, heading: &str) -> String {
        let table = report.table();
        let column = table[0].iter().position(|text| text == heading);
        column.map_or_else(String::new, |column| table[line][column].clone())
    }

    #[test]
    fn tells_ratios_by_round_and_medians() {
        let mut report = Report::default();
        for (ours, bare) in [(0.2, 0.1), (0.3, 0.3), (0.9, 0.3)] {
            let memory = Some(Memory { anonymous: 1000, ..Memory::default() });
            report.add(Case { viewers: 0, ..OURS }, Figures { memory, ..figures(0.1) });
            report.add(OURS, figures(ours));
            report.add(OURS.of(BARE), figures(bare));
        }

        let json = report.to_json(&Options::parse_from(["bench"]));

        assert_eq!(cell(&report, 2, "CPU-s/Gbit"), "0.300");
        assert_eq!(cell(&report, 2, "to send()"), "2.00 (1.50–2.50)");
        assert_eq!(cell(&report, 2, "KiB/viewer"), "5.0");
        assert_eq!(cell(&report, 3, "to send()"), "–");
        assert_eq!(cell(&report, 2, "to nginx"), "", "nobody was compared with nginx");
        assert_eq!(json["cases"][1]["ratio_to_send"]["median"], 2.0);
        assert_eq!(json["cases"][1]["kib_per_viewer"]["median"], 5.0);
        assert_eq!(json["cases"][2]["target"], "bare send()");
        assert_eq!(json["valid"], true);
    }

    #[test]
    fn an_invalid_round_does_not_count() {
        let mut report = Report::default();
        for (ours, invalid) in [(0.2, false), (0.1, true), (0.4, false)] {
            let reason = invalid.then(|| "a frame is missing".to_owned());
            report.add(OURS, Figures { invalid: reason.into_iter().collect(), ..figures(ours) });
            report.add(OURS.of(BARE), figures(0.1));
        }

        assert!(!report.is_valid());
        assert_eq!(report.complaints().count(), 1);
        assert_eq!(cell(&report, 1, "valid rounds"), "2/3");
        assert_eq!(cell(&report, 1, "CPU-s/Gbit"), "0.300");
        assert_eq!(cell(&report, 1, "to send()"), "3.00 (2.50–3.50)");
    }
}
