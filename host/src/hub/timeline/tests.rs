//! The repair of time, stamp by stamp.

use plugin_api::frame::{Frame, FrameFlags, NS_PER_MS, Payload};
use plugin_api::mem::Buf;

use super::*;

const V: u32 = 1;
const A: u32 = 2;
const D: u32 = 3;

#[derive(Default)]
struct Run {
    timeline: Timeline,
    now: Ns,
}

impl Run {
    fn stamp_ns(&mut self, track: u32, dts: Ns, pts: Ns) -> (Ns, Ns, Stamp) {
        let pace = if track == D { Pace::Follows } else { Pace::Sets };
        let payload = Payload::One(Buf::default());
        let flags = FrameFlags::default();
        let mut frame =
            Frame { track, config: 0, flags, dts, pts, duration: 0, captured: 0, payload };
        let stamp = self.timeline.stamp(&mut frame, pace, self.now);
        (frame.dts, frame.pts, stamp)
    }

    fn at(&mut self, track: u32, dts_ms: i64) -> i64 {
        self.stamp_ns(track, dts_ms * NS_PER_MS, dts_ms * NS_PER_MS).0 / NS_PER_MS
    }

    fn all(&mut self, track: u32, dts_ms: &[i64]) -> Vec<i64> {
        dts_ms.iter().map(|&dts| self.at(track, dts)).collect()
    }
}

#[test]
fn table_of_one_track() {
    let cases: &[(&str, &[i64], &[i64], u64)] = &[
        ("even", &[0, 40, 80], &[0, 40, 80], 0),
        ("negative start", &[-80, -40, 0], &[-80, -40, 0], 0),
        ("late start", &[18_000_000, 18_000_040], &[18_000_000, 18_000_040], 0),
        ("a pause of 3 s", &[0, 40, 3040], &[0, 40, 3040], 0),
        ("a step above 3 s", &[0, 40, 3041, 3081], &[0, 40, 80, 120], 1),
        ("an hour on", &[0, 40, 3_600_080, 3_600_120], &[0, 40, 80, 120], 1),
        (
            "an hour back",
            &[3_600_000, 3_600_040, 80, 120],
            &[3_600_000, 3_600_040, 3_600_080, 3_600_120],
            1,
        ),
        ("back by 201 ms", &[1000, 1040, 839, 879], &[1000, 1040, 1080, 1120], 1),
        ("equal", &[0, 40, 40, 80], &[0, 40, 41, 80], 1),
        ("equal thrice", &[0, 40, 40, 40, 42], &[0, 40, 41, 42, 43], 3),
        ("swapped", &[0, 80, 40, 120], &[0, 80, 81, 120], 1),
        ("back by 200 ms", &[1000, 1200, 1000, 1201], &[1000, 1200, 1201, 1202], 2),
        ("there and back", &[0, 40, 99_000, 99_040, 160, 200], &[0, 40, 80, 120, 160, 200], 2),
        ("zero again and again", &[0, 0, 0], &[0, 1, 2], 2),
    ];
    for (name, stamps, expected, repaired) in cases {
        let mut run = Run::default();
        assert_eq!(run.all(V, stamps), *expected, "{name}");
        assert_eq!(run.timeline.repaired(), *repaired, "{name}");
    }
}

#[test]
fn pts_keeps_its_distance() {
    let mut run = Run::default();
    run.stamp_ns(V, 0, 80);
    run.stamp_ns(V, 40 * NS_PER_MS, 40 * NS_PER_MS);

    let (dts, pts, stamp) = run.stamp_ns(V, -NS_PER_MS * 60_000, -NS_PER_MS * 59_917);

    assert_eq!((dts, pts), (80 * NS_PER_MS, 163 * NS_PER_MS));
    assert!(matches!(stamp, Stamp::Rebased(_)));
}

#[test]
fn the_track_that_jumps_later_uses_the_same_offset() {
    for jump in [3_600_000, -3_600_000] {
        let mut run = Run::default();
        let base = 7_200_000;
        run.all(V, &[base, base + 40, base + 80]);
        run.all(A, &[base, base + 20, base + 40, base + 60, base + 80]);

        let video = run.at(V, base + 120 + jump);
        let old_audio = run.at(A, base + 100);
        let audio = run.all(A, &[base + 120 + jump, base + 140 + jump]);
        let after = run.at(V, base + 160 + jump);

        assert_eq!((video, old_audio), (base + 120, base + 100));
        assert_eq!(audio, [base + 120, base + 140]);
        assert_eq!(after, base + 160);
        assert_eq!(run.timeline.repaired(), 1);
    }
}

#[test]
fn a_track_that_jumps_alone_leaves_the_other_where_it_is() {
    let mut run = Run::default();
    run.all(V, &[0, 40]);
    run.all(A, &[0, 20, 40]);

    assert_eq!(run.all(A, &[900_000, 900_020]), [60, 80]);
    assert_eq!(run.all(V, &[80, 120]), [80, 120]);
    assert_eq!(run.all(A, &[900_040]), [100]);
}

#[test]
fn a_track_that_was_silent_comes_back_in_its_place() {
    let mut run = Run::default();
    run.all(A, &[0, 20]);
    for n in 0..500 {
        run.at(V, n * 40);
    }

    assert_eq!(run.at(A, 19_980), 19_980);
    assert_eq!(run.timeline.repaired(), 0);
}

#[test]
fn a_silent_track_that_missed_a_jump_comes_back_in_its_place() {
    let mut run = Run::default();
    run.all(A, &[0, 20]);
    run.all(V, &[0, 40]);
    run.at(V, 7_200_080);
    for n in 1..250 {
        run.at(V, 7_200_080 + n * 40);
    }

    assert_eq!(run.at(A, 7_210_040), 10_040);
    assert_eq!(run.timeline.repaired(), 1);
}

#[test]
fn a_track_with_a_clock_of_its_own_begins_where_the_others_are() {
    let mut run = Run::default();
    run.all(V, &[0, 40]);

    assert_eq!(run.all(A, &[1_000_000, 1_000_020]), [40, 60]);
    assert_eq!(run.all(V, &[80]), [80]);
}

#[test]
fn data_follows_and_never_sets_the_pace() {
    let mut run = Run::default();
    assert_eq!(run.at(D, 0), 0);
    assert_eq!(run.all(V, &[18_000_000, 18_000_040]), [18_000_000, 18_000_040]);
    assert_eq!(run.all(D, &[0, 0, 18_000_050]), [18_000_040, 18_000_041, 18_000_050]);
    assert_eq!(run.all(V, &[18_000_080]), [18_000_080]);
    assert_eq!(run.timeline.repaired(), 0);
}

#[test]
fn each_publisher_is_mapped_by_the_wall_time() {
    let mut run = Run::default();
    run.all(V, &[0, 40]);
    run.all(A, &[30]);
    for (pause, start) in [(20_000, 500_000), (5, -7_000), (0, 0)] {
        let front = run.timeline.front.unwrap().dts / NS_PER_MS;
        run.now += pause * NS_PER_MS;
        run.timeline.on_publisher();

        let first = run.at(V, start);

        assert_eq!(first - front, pause.max(1));
        assert_eq!(run.at(A, start + 20), first + 20);
        assert_eq!(run.at(V, start + 40), first + 40);
    }
}

#[test]
fn a_publishers_early_audio_still_rises() {
    let mut run = Run::default();
    run.all(A, &[0, 20]);
    run.timeline.on_publisher();

    assert_eq!(run.at(V, 1000), 21);
    assert_eq!(run.all(A, &[970, 990, 1010]), [21, 22, 31]);
}

#[test]
fn no_stamp_overflows() {
    let extremes = [Ns::MIN, Ns::MIN + 1, -STAMP_MAX, -1, 0, 1, STAMP_MAX, Ns::MAX - 1, Ns::MAX];
    let mut seed: usize = 1;
    let mut run = Run::default();
    let mut last: BTreeMap<u32, Ns> = BTreeMap::new();
    for round in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = seed >> 33;
        let track = [V, A, D][pick % 3];
        if pick.is_multiple_of(97) {
            run.timeline.on_publisher();
        }
        run.now += 1_000_000;

        let (dts, _, stamp) = run.stamp_ns(track, extremes[pick / 3 % 9], extremes[pick / 27 % 9]);

        if stamp != Stamp::Unusable {
            assert!(last.insert(track, dts).is_none_or(|last| dts > last), "round {round}");
        }
    }
}
