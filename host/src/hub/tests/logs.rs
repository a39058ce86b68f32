//! The log lines that operators and tools rely on.

use std::io::Write;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that were logged meanwhile, as JSON.
fn logged(run: impl FnOnce()) -> Vec<serde_json::Value> {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = captured.0.lock().clone();
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_stream_starts_when_it_has_settled_and_stops_with_figures() {
    let lines = logged(|| {
        let bench = Bench::new();
        let publisher = bench.try_publish("live/a?key=marker", "[::ffff:10.0.0.1]:7").unwrap();
        let track = Track { frame_rate: (30000, 1001), ..video(1) };
        publisher.set_tracks(vec![track.clone()]).unwrap();
        publisher.set_tracks(vec![track, audio_track()]).unwrap();
        publisher.ready();
        publisher.push(&[key(0)]);
        bench.pass(1500);
        publisher.finish();
    });

    let [start, stop] = &lines[..] else { panic!("two lines: {lines:?}") };
    assert_eq!(start["event"], "stream.start");
    assert_eq!(start["key"], "live/a");
    assert_eq!(start["peer"], "10.0.0.1:7");
    assert_eq!(start["codecs"], "avc1,mp4a");
    assert_eq!(start["size"], "1280x720");
    assert!((start["fps"].as_f64().unwrap() - 29.97).abs() < 0.01);
    assert_eq!(stop["event"], "stream.stop");
    assert_eq!(stop["reason"], "asked");
    assert_eq!(
        (&stop["duration_ms"], &stop["frames"], &stop["bytes"]),
        (&1500.into(), &1.into(), &1000.into())
    );
    assert!(!format!("{lines:?}").contains("marker"));
}

#[test]
fn a_clock_that_jumps_is_logged_once_per_publisher() {
    let lines = logged(|| {
        let bench = Bench::new();
        let publisher = bench.publish("live/a");
        publisher.push(&[key(0), key(10_000), key(20_000), key(30_000)]);
        assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 3);
    });

    let jumps: Vec<_> = lines.iter().filter(|line| line["event"] == "stream.time_jump").collect();
    assert_eq!(jumps.len(), 1);
    assert_eq!(jumps[0]["by_ms"], 9980);
}

#[test]
fn an_address_that_is_refused_over_and_over_has_few_lines() {
    let lines = logged(|| {
        let bench = Bench::new();
        for n in 0..100 {
            bench.try_publish(&format!("live/{n}?key=wrong"), "10.0.0.1:7").unwrap_err();
        }
        bench.try_publish("live/a?key=wrong", "10.0.0.2:7").unwrap_err();
    });

    let of = |peer: &str| lines.iter().filter(|line| line["peer"] == peer).count();
    assert!((1..=5).contains(&of("10.0.0.1")), "{}", lines.len());
    assert_eq!(of("10.0.0.2"), 1);
    let left_out: u64 = lines.iter().filter_map(|line| line["left_out"].as_u64()).sum();
    assert_eq!(usize::try_from(left_out).unwrap() + lines.len(), 101);
}

#[test]
fn a_refusal_is_logged_without_the_key() {
    let lines = logged(|| {
        let bench = Bench::new();
        bench.try_publish("live/a?key=wrong&token=marker", "10.0.0.1:7").unwrap_err();
    });

    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"], "auth.refused");
    assert_eq!(lines[0]["action"], "publish");
    assert_eq!(lines[0]["peer"], "10.0.0.1");
    assert!(!format!("{lines:?}").contains("marker"));
}
