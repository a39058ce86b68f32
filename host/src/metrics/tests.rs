//! The page as a scraper sees it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::golden;

/// Figures that a test sets.
#[derive(Default)]
struct Fake {
    streams: Mutex<Vec<StreamFigures>>,
}

impl Source for Fake {
    fn host(&self) -> HostFigures {
        HostFigures {
            memory_used: 5,
            memory_limit: 10,
            streams: 2,
            connections_accepted: 7,
            ..HostFigures::default()
        }
    }

    fn streams(&self) -> Vec<StreamFigures> {
        self.streams.lock().clone()
    }

    fn threads(&self) -> Vec<ThreadFigures> {
        vec![ThreadFigures { viewers: 1, wake_ups: 2, sends: 3 }]
    }

    fn formats(&self) -> Vec<FormatFigures> {
        vec![FormatFigures { format: "rtmp".into(), packager_runs: 4, bytes: 5 }]
    }

    fn certificates(&self) -> Vec<(String, SystemTime)> {
        vec![("site".to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(77))]
    }

    fn folders(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("server.data_dir", std::env::temp_dir())]
    }
}

fn metrics() -> Arc<Metrics> {
    Metrics::new(Arc::new(Fake::default()), 10)
}

/// Every sample by its name and labels. Checks the form: families together and described once, samples only of the
/// family above them, values that are numbers, an end.
pub(crate) fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut described, mut typed) = (HashSet::new(), HashSet::new());
    let mut family = String::new();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            family = name.to_owned();
            assert!(described.insert(family.clone()), "{family} is described twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(name, family, "another family is described above");
            assert!(typed.insert(family.clone()), "{family} has two types");
            assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let suffix = name.split('{').next().unwrap().strip_prefix(&family);
            let suffix = suffix.unwrap_or_else(|| panic!("{line} is not of {family}"));
            assert!(
                ["", "_total", "_info", "_sum", "_count", "_bucket"].contains(&suffix),
                "{line}"
            );
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(name.to_owned(), value).is_none(), "{line} is there twice");
        }
    }
    assert_eq!(described, typed);
    samples
}

/// A line of `docs/metrics.md` for each family of a page.
fn document(page: &str) -> String {
    let mut out = "\
# Metrics

`GET /api/metrics` is OpenMetrics text, for whoever is in `metrics.allow` and for others with the token. A test makes this list from
the page and keeps it equal; `UPDATE_GOLDEN=1 cargo test -p plugcast --lib docs` rewrites it.

Labels are bounded: `stream` to `metrics.max_streams` (the others are added up as `stream=\"(others)\"`), `interface` to 64, the others by
what the config and the code name. What a plugin registers is shown as `plugcast_<name>` with the label `instance`, at most 256 for each
instance; this repository's plugins register none.

| name | type | labels | meaning |
|---|---|---|---|
"
    .to_owned();
    let lines: Vec<&str> = page.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let (_, kind) = lines[number + 1].rsplit_once(' ').unwrap();
        // A sample has the name as it is queried.
        let sample = lines[number + 2];
        let queried = sample.split(['{', ' ']).next().unwrap();
        assert!(queried.starts_with(name), "{name} has no sample");
        let labels = sample.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0)))
            .collect();
        let labels = labels.join(", ");
        let _ = writeln!(out, "| `{queried}` | {kind} | {labels} | {help} |");
    }
    out
}

#[test]
fn docs_have_every_metric() {
    let source = Fake::default();
    source.streams.lock().push(StreamFigures { key: "live/a".into(), ..StreamFigures::default() });
    let metrics = Metrics::new(Arc::new(source), 10);
    metrics.http().count("admin", 200);

    golden::check("docs/metrics.md", &document(&metrics.text()));
}

#[test]
fn shows_server_process_and_machine() {
    let metrics = metrics();
    metrics.http().count("admin", 401);
    metrics.http().count("admin", 404);

    let samples = parse(&metrics.text());

    assert_eq!(samples["plugcast_memory_limit_bytes"], 10.0);
    assert_eq!(samples["plugcast_connections_accepted_total"], 7.0);
    assert_eq!(samples["plugcast_http_requests_total{class=\"admin\",status=\"4xx\"}"], 2.0);
    assert!(samples.keys().any(|name| name.starts_with("plugcast_build_info{version=")));
    assert!(samples["plugcast_uptime_seconds"] >= 0.0);
    assert!(samples["process_resident_memory_bytes"] > 0.0);
    assert!(samples["process_cpu_seconds_total"] >= 0.0);
    assert!(samples["process_open_fds"] < samples["process_max_fds"]);
    assert_eq!(
        samples["plugcast_tls_certificate_expiry_timestamp_seconds{profile=\"site\"}"],
        77.0
    );
    assert!(samples["plugcast_host_cpus"] >= 1.0);
    assert!(samples["plugcast_host_cpu_seconds_total{mode=\"busy\"}"] > 0.0);
    let (total, available) = (
        samples["plugcast_host_memory_total_bytes"],
        samples["plugcast_host_memory_available_bytes"],
    );
    assert!(total > available && available > 0.0);
    let disk =
        |what: &str| samples[&format!("plugcast_disk_{what}_bytes{{folder=\"server.data_dir\"}}")];
    assert!(disk("total") >= disk("free") && disk("free") > 0.0);
    assert!(samples["plugcast_host_network_sent_bytes_total{interface=\"lo\"}"] >= 0.0);
}

#[test]
fn one_family_has_a_series_for_each_instance() {
    let metrics = metrics();
    let (a, b) = (metrics.instance("a"), metrics.instance("b\"\n"));
    let counter = a.add(Kind::Counter, "bytes_total", "bytes\n# TYPE evil", &[]).unwrap();
    assert_eq!(a.add(Kind::Counter, "bytes_total", "", &[]).unwrap(), counter);
    assert_eq!(a.add(Kind::Counter, "bytes", "", &[]).unwrap(), counter);
    let other = b.add(Kind::Counter, "bytes_total", "other", &[]).unwrap();
    let gauge = a.add(Kind::Gauge, "level", "", &[]).unwrap();
    a.record(counter, 2.0);
    a.record(counter, 0.5);
    b.record(other, 1.0);
    a.record(gauge, -3.0);
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        a.record(counter, wrong);
    }
    a.record(0, 1.0);
    a.record(77, 1.0);

    let samples = parse(&metrics.text());

    assert_eq!(samples["plugcast_bytes_total{instance=\"a\"}"], 2.5);
    assert_eq!(samples["plugcast_bytes_total{instance=\"b\\\"\\n\"}"], 1.0);
    assert_eq!(samples["plugcast_level{instance=\"a\"}"], -3.0);

    drop(a);
    let samples = parse(&metrics.text());
    assert!(!samples.keys().any(|name| name.contains("instance=\"a\"")), "{samples:?}");
    assert!(samples.keys().any(|name| name.starts_with("plugcast_bytes_total")));
}

#[test]
fn a_histogram_has_cumulative_buckets() {
    let metrics = metrics();
    let a = metrics.instance("a");
    let id = a.add(Kind::Histogram, "delay_seconds", "", &[0.1, 1.0]).unwrap();
    for value in [0.05, 0.1, 0.5, 9.0] {
        a.record(id, value);
    }

    let samples = parse(&metrics.text());

    let bucket = |bound: &str| {
        samples[&format!("plugcast_delay_seconds_bucket{{le=\"{bound}\",instance=\"a\"}}")]
    };
    assert_eq!((bucket("0.1"), bucket("1.0"), bucket("+Inf")), (2.0, 3.0, 4.0));
    assert_eq!(samples["plugcast_delay_seconds_count{instance=\"a\"}"], 4.0);
}

#[test]
fn refuses_names_kinds_and_bounds() {
    let metrics = metrics();
    let (a, b) = (metrics.instance("a"), metrics.instance("b"));
    a.add(Kind::Histogram, "delay", "", &[1.0]).unwrap();
    let conflict = |name: &str| Error::Conflict(name.to_owned());
    let cases: &[(Kind, &str, &[f64], Error)] = &[
        (Kind::Gauge, "", &[], Error::Name(String::new())),
        (Kind::Gauge, "Delay", &[], Error::Name("Delay".to_owned())),
        (Kind::Gauge, "1st", &[], Error::Name("1st".to_owned())),
        (Kind::Gauge, "a-b", &[], Error::Name("a-b".to_owned())),
        (Kind::Gauge, "http_requests", &[], Error::Reserved("http_requests".to_owned())),
        (Kind::Gauge, "delay", &[], conflict("delay")),
        (Kind::Gauge, "delay_count", &[], conflict("delay_count")),
        (Kind::Histogram, "delay", &[2.0], conflict("delay")),
        (Kind::Histogram, "other", &[1.0, 1.0], Error::Bounds),
        (Kind::Histogram, "other", &[f64::NAN], Error::Bounds),
        (Kind::Gauge, "other", &[1.0], Error::Bounds),
    ];

    for (kind, name, bounds, expected) in cases {
        assert_eq!(b.add(*kind, name, "", bounds).unwrap_err(), *expected, "{name}");
    }
    parse(&metrics.text());
}

#[test]
fn an_instance_has_a_bound() {
    let metrics = metrics();
    let a = metrics.instance("a");
    for n in 0..PER_INSTANCE_MAX {
        a.add(Kind::Gauge, &format!("g{n}"), "", &[]).unwrap();
    }

    assert_eq!(
        a.add(Kind::Gauge, "one_more", "", &[]).unwrap_err(),
        Error::Limit(PER_INSTANCE_MAX)
    );
    assert_eq!(a.add(Kind::Gauge, "g7", "", &[]).unwrap(), 8);
}

#[test]
fn streams_above_the_bound_are_added_up_and_shown_ones_stay() {
    let stream = |key: &str, frames| StreamFigures {
        key: key.to_owned(),
        frames,
        ..StreamFigures::default()
    };
    let source = Arc::new(Fake::default());
    *source.streams.lock() = vec![stream("live/c", 3), stream("live/d", 4)];
    let metrics = Metrics::new(Arc::clone(&source) as Arc<dyn Source>, 2);
    let frames = |metrics: &Metrics| -> Vec<(String, f64)> {
        let samples = parse(&metrics.text()).into_iter();
        samples.filter(|(name, _)| name.starts_with("plugcast_stream_frames_total")).collect()
    };
    let line = |key: &str, value: f64| {
        (format!("plugcast_stream_frames_total{{stream=\"{key}\"}}"), value)
    };
    assert_eq!(frames(&metrics), [line("live/c", 3.0), line("live/d", 4.0)]);

    *source.streams.lock() =
        vec![stream("live/a", 1), stream("live/b", 2), stream("live/c", 3), stream("live/d", 4)];
    assert_eq!(frames(&metrics), [line("(others)", 3.0), line("live/c", 3.0), line("live/d", 4.0)]);

    *source.streams.lock() = vec![stream("live/b", 2), stream("live/d", 4)];
    assert_eq!(frames(&metrics), [line("live/b", 2.0), line("live/d", 4.0)]);
}
