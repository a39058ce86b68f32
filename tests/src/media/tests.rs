//! The comparison must pass what is right and fail on every kind of doctored list.

use super::*;

/// 25 fps with a key frame every 10, two B-frames' reordering, and audio every 23 ms. One part of it is silence, whose
/// frames are all the same.
fn source() -> Frames {
    let video = (0..40).map(|n| Frame {
        dts_ms: n * 40,
        pts_ms: n * 40 + [80, 160, 40][usize::try_from(n % 3).unwrap()],
        key: n % 10 == 0,
        content: format!("v{n}"),
    });
    let audio = (0..70).map(|n| Frame {
        dts_ms: n * 23 + 5,
        pts_ms: n * 23 + 5,
        key: true,
        content: if (20..40).contains(&n) { "silence".to_owned() } else { format!("a{n}") },
    });
    Frames { video: video.collect(), audio: audio.collect() }
}

/// What a viewer sees that joins at video frame `first`, with its clock `offset_ms` ahead.
fn joined_at(first: usize, offset_ms: i64) -> Frames {
    let mut frames = source();
    let from = frames.video[first].dts_ms;
    frames.video.drain(..first);
    frames.audio.retain(|frame| frame.dts_ms >= from);
    for frame in frames.video.iter_mut().chain(&mut frames.audio) {
        frame.dts_ms += offset_ms;
        frame.pts_ms += offset_ms;
        frame.key = false;
    }
    frames
}

fn differences(seen: &Frames) -> Vec<Difference> {
    compare(&source(), seen, Until::End).expect_err("a doctored list must fail")
}

#[test]
fn passes_viewers_that_join_anywhere() {
    for (first, offset_ms) in [(0, 0), (0, -80), (10, 0), (20, 123_456), (30, -5)] {
        let joined = compare(&source(), &joined_at(first, offset_ms), Until::End).unwrap();

        assert_eq!(joined.offset_ms, offset_ms);
        assert_eq!(joined.first_video, Some(first));
    }
}

#[test]
fn passes_single_tracks() {
    let mut audio_only = source();
    audio_only.video.clear();
    let mut seen = audio_only.clone();
    seen.audio.drain(..25); // begins in the silence, where every frame looks alike
    let mut video_only = source();
    video_only.audio.clear();

    assert_eq!(compare(&audio_only, &seen, Until::End).unwrap().first_audio, Some(25));
    assert!(compare(&video_only, &video_only, Until::End).is_ok());
}

#[test]
fn a_cut_passes_only_where_it_is_expected() {
    let mut seen = joined_at(10, 0);
    seen.video.truncate(5);
    seen.audio.truncate(5);

    assert!(compare(&source(), &seen, Until::Cut).is_ok());
    assert_eq!(
        differences(&seen),
        [
            Difference::CutOff { track: Track::Video, at: 15 },
            Difference::CutOff { track: Track::Audio, at: 23 }
        ]
    );
}

#[test]
fn fails_on_a_missing_frame() {
    let mut seen = joined_at(10, 7);
    seen.video.remove(4);
    seen.audio.remove(8);

    assert_eq!(
        differences(&seen),
        [
            Difference::Missing { track: Track::Video, at: 14 },
            Difference::Missing { track: Track::Audio, at: 26 }
        ]
    );
}

#[test]
fn fails_on_a_missing_last_frame() {
    let mut seen = joined_at(0, 0);
    seen.video.pop();

    assert_eq!(differences(&seen), [Difference::CutOff { track: Track::Video, at: 39 }]);
}

#[test]
fn fails_on_a_doubled_frame() {
    let mut seen = joined_at(10, 0);
    seen.video.insert(5, seen.video[4].clone());
    let mut at_the_end = joined_at(10, 0);
    at_the_end.audio.push(at_the_end.audio.last().unwrap().clone());

    assert_eq!(differences(&seen), [Difference::Doubled { track: Track::Video, at: 14 }]);
    assert_eq!(differences(&at_the_end), [Difference::Doubled { track: Track::Audio, at: 69 }]);
}

#[test]
fn fails_on_reordered_frames() {
    let mut seen = joined_at(10, 0);
    seen.video.swap(6, 7);

    assert_eq!(differences(&seen), [Difference::Reordered { track: Track::Video, at: 16 }]);
}

#[test]
fn fails_on_stamps_off_by_a_millisecond() {
    let mut dts = joined_at(10, 0);
    dts.video[3].dts_ms += 1;
    let mut pts = joined_at(10, 0);
    pts.video[3].pts_ms -= 1;
    let mut drift = joined_at(0, 0);
    for frame in &mut drift.video[20..] {
        frame.dts_ms += 1;
        frame.pts_ms += 1;
    }

    let shifted =
        |at, dts_ms, pts_ms| [Difference::Shifted { track: Track::Video, at, dts_ms, pts_ms }];
    assert_eq!(differences(&dts), shifted(13, 1, 0));
    assert_eq!(differences(&pts), shifted(13, 0, -1));
    assert_eq!(differences(&drift), shifted(20, 1, 1));
}

#[test]
fn fails_when_audio_is_off_by_another_constant() {
    let mut seen = joined_at(0, 50);
    for frame in &mut seen.audio {
        frame.dts_ms += 2;
        frame.pts_ms += 2;
    }

    assert_eq!(
        differences(&seen),
        [Difference::Shifted { track: Track::Audio, at: 0, dts_ms: 2, pts_ms: 2 }]
    );
}

#[test]
fn fails_on_changed_bytes() {
    let mut seen = joined_at(10, 0);
    seen.video[9].content = "other".to_owned();

    assert_eq!(differences(&seen), [Difference::Changed { track: Track::Video, at: 19 }]);
}

#[test]
fn fails_on_a_start_that_is_no_key_frame() {
    let mut seen = joined_at(10, 0);
    seen.video.remove(0);

    assert_eq!(differences(&seen), [Difference::NoStartPoint { track: Track::Video }]);
}

#[test]
fn fails_on_audio_that_starts_late_or_never() {
    let mut late = joined_at(10, 0);
    late.audio.drain(..6);
    let mut never = joined_at(10, 0);
    never.audio.clear();

    assert_eq!(differences(&late), [Difference::Missing { track: Track::Audio, at: 20 }]);
    assert_eq!(differences(&never), [Difference::Nothing { track: Track::Audio }]);
}

#[test]
fn fails_on_frames_after_the_end_and_on_nothing() {
    let mut more = joined_at(10, 0);
    more.video.push(Frame { dts_ms: 1600, pts_ms: 1600, key: false, content: "x".to_owned() });

    assert_eq!(differences(&more), [Difference::Extra { track: Track::Video, count: 1 }]);
    assert_eq!(differences(&Frames::default()), [Difference::Nothing { track: Track::Video }]);
}

#[test]
fn reads_framehash_listings() {
    let text = "\
#format: frame checksums
#hash: MD5
#tb 0: 1/1000
#media_type 0: video
#tb 1: 1/1000
#media_type 1: audio
#stream#, dts, pts, duration, size, hash
0,          0,         80,       40,     3404, b88ac6dc1dbaba16c41d25e17f83db5f
1,          2,          2,       23,      180, 0a0b
0,         40,        200,       40,      275, 1df7, S=1,       10, 0xabc
";
    let frames = Frames::of_framehash(&text.lines().map(str::to_owned).collect::<Vec<_>>());

    assert_eq!(frames.video.len(), 2);
    assert_eq!(
        (frames.video[1].dts_ms, frames.video[1].pts_ms, frames.video[1].content.as_str()),
        (40, 200, "1df7")
    );
    assert_eq!(frames.audio[0].dts_ms, 2);
}

#[test]
fn unwraps_stamps_at_32_bits() {
    let mut clock = Unwrapped::default();
    let stamps: Vec<i64> = [u32::MAX - 20, u32::MAX, 19, 10, 40]
        .into_iter()
        .map(|stamp| clock.unwrap(stamp))
        .collect();

    let wrap = 1i64 << 32;
    assert_eq!(stamps, [wrap - 21, wrap - 1, wrap + 19, wrap + 10, wrap + 40]);
}
