//! Time stamps as a reader sees them, over jumps and changes of publisher.

use super::*;

const HOUR: i64 = 3_600_000;

/// dts in ms of one track.
fn dts(frames: &[Frame], track: u32) -> Vec<i64> {
    frames.iter().filter(|frame| frame.track == track).map(|frame| frame.dts / NS_PER_MS).collect()
}

fn assert_rises(frames: &[Frame], track: u32, step_max: i64) {
    for pair in dts(frames, track).windows(2) {
        assert!(pair[1] > pair[0] && pair[1] - pair[0] <= step_max, "track {track}: {pair:?}");
    }
}

#[test]
fn stamps_of_a_fresh_stream_are_the_encoders() {
    for start in [0, -40, 5 * HOUR, 24 * HOUR + 54 * 60_000, 49 * 24 * HOUR + 20 * HOUR] {
        let bench = Bench::new();
        let publisher = bench.publish("live/a");
        publisher.push(&[key(start), audio(start - 20), delta(start + 40), audio(start + 1)]);
        let mut reader = bench.play("live/a");

        let frames = frames(&mut reader);

        assert_eq!(dts(&frames, VIDEO), [start, start + 40]);
        assert_eq!(dts(&frames, AUDIO), [start - 20, start + 1]);
        assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 0);
    }
}

#[test]
fn a_jump_of_an_hour_is_one_interval_and_audio_stays_with_video() {
    for jump in [HOUR, -HOUR] {
        let bench = Bench::new();
        let publisher = bench.publish("live/a");
        let mut reader = bench.play("live/a");
        let base = 2 * HOUR;
        let mut seen = Vec::new();
        for at in (0..4000).step_by(20) {
            // Audio jumps three frames before video does.
            let shift = |from: i64| base + at + if at >= from { jump } else { 0 };
            if at % 40 == 0 {
                let at_video = shift(2000);
                publisher.push(&[if at % 1000 == 0 { key(at_video) } else { delta(at_video) }]);
            }
            publisher.push(&[audio(shift(1940))]);
            seen.extend(frames(&mut reader));
        }

        assert_rises(&seen, VIDEO, 60);
        assert_rises(&seen, AUDIO, 40);
        assert_eq!(dts(&seen, VIDEO).len(), 100);
        assert_eq!(dts(&seen, AUDIO).len(), 200);
        let apart = dts(&seen, AUDIO)[199] - dts(&seen, VIDEO)[99];
        assert_eq!(apart, 20, "jump {jump}");
        assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 1);
    }
}

#[test]
fn a_publisher_that_comes_back_is_mapped_once_by_the_wall_time() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");
    bench.run(&publisher, 5 * HOUR, 1000);
    let before = frames(&mut reader);
    drop(publisher);
    bench.pass(12_000);
    let again = bench.publish("live/a");
    again.push(&[audio(0), key(10), audio(21), delta(50)]);

    let frames = frames(&mut reader);

    assert_eq!(before.len(), 25);
    let last = 5 * HOUR + 960;
    // 40 ms of running and 12 s of absence.
    assert_eq!(dts(&frames, AUDIO), [last + 12_040, last + 12_061]);
    assert_eq!(dts(&frames, VIDEO), [last + 12_050, last + 12_090]);
    assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 0);
}

#[test]
fn equal_and_swapped_stamps_rise_all_the_same() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");
    publisher.push(&[key(0), delta(40), delta(40), delta(30), delta(120)]);

    assert_eq!(dts(&frames(&mut reader), VIDEO), [0, 40, 41, 42, 120]);
    assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 2);
}

#[test]
fn figures_are_measured() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 10_000);

    let info = bench.info("live/a").unwrap();

    assert!((info.fps - 25.0).abs() < 1.0, "{}", info.fps);
    assert!((190_000..=210_000).contains(&info.bits_per_second), "{}", info.bits_per_second);
    assert_eq!(info.gop_ms, Some(1000));
    assert_eq!(info.frames, 250);
    assert_eq!(info.tracks.len(), 2);
    assert_eq!(info.tracks[1].silent_ms, None, "one silent track is shown and stalls nobody");
    assert_eq!(info.publisher.unwrap().peer.as_deref(), Some("10.0.0.1:1000"));
    let json = serde_json::to_value(bench.info("live/a").unwrap()).unwrap();
    assert_eq!(json["state"], "publishing");
    assert_eq!(json["key"], "live/a");
    assert!(bench.info("live/a").unwrap().ring_ms <= 30_000);
}
