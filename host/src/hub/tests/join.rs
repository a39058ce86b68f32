//! Where readers begin, what they are given, and what happens to slow ones.

use super::*;
use crate::hub::info::{Joinable, StreamState};

#[test]
fn a_late_reader_starts_at_the_newest_keyframe() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0), delta(40), key(80), audio(90), delta(120)]);

    let mut reader = bench.play("live/a");

    assert_eq!(drain(&mut reader), ["shape 1+2", "key 80", "audio 90", "delta 120"]);
    publisher.push(&[delta(160), key(200)]);
    assert_eq!(drain(&mut reader), ["delta 160", "key 200"]);
}

#[test]
fn a_live_reader_starts_at_the_next_keyframe_and_asks_for_one() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0), delta(40)]);
    let options = ReadOptions { start: StartAt::Live, ..Default::default() };

    let mut reader = bench.try_subscribe("live/a", options).unwrap();

    assert_eq!(drain(&mut reader), [""; 0]);
    assert_eq!(notice(&publisher), Some(Notice::FirstReader));
    assert_eq!(notice(&publisher), Some(Notice::KeyframeWanted));
    publisher.push(&[delta(80), audio(100), key(120), delta(160)]);
    assert_eq!(drain(&mut reader), ["shape 1+2", "key 120", "delta 160"]);
}

#[test]
fn an_oldest_reader_starts_at_the_oldest_keyframe_held() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[audio(0), delta(0), key(40), key(80)]);
    let options = ReadOptions { start: StartAt::Oldest, ..Default::default() };

    let mut reader = bench.try_subscribe("live/a", options).unwrap();

    assert_eq!(drain(&mut reader), ["shape 1+2", "key 40", "key 80"]);
}

#[test]
fn batches_keep_to_the_limit_and_to_one_shape() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0), delta(40), delta(80)]);
    publisher.set_tracks(vec![video(2), audio_track()]).unwrap();
    publisher.push(&[key(120)]);
    let mut reader = bench.play("live/a");
    let options = ReadOptions { start: StartAt::Oldest, ..Default::default() };
    let mut older = bench.try_subscribe("live/a", options).unwrap();
    let mut batch = Batch::default();

    let sizes: Vec<(Option<u32>, usize)> = std::iter::from_fn(|| {
        read(&mut older, 2, &mut batch)?;
        let config = batch.shape.as_ref().map(|shape| shape.tracks[0].config_number);
        Some((config, batch.frames.len()))
    })
    .collect();

    assert_eq!(sizes, [(Some(1), 2), (None, 1), (Some(2), 1)]);
    assert_eq!(drain(&mut reader), ["shape 1+2", "key 120"]);
}

#[test]
fn equal_tracks_are_no_change() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    let mut reader = bench.play("live/a");

    publisher.set_tracks(vec![video(1), audio_track()]).unwrap();
    publisher.push(&[delta(40)]);

    assert_eq!(drain(&mut reader), ["shape 1+2", "key 0", "delta 40"]);
}

#[test]
fn a_first_batch_may_be_held_until_the_stream_has_settled() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    publisher.set_tracks(vec![video(1)]).unwrap();
    publisher.push(&[key(0), delta(40)]);
    let options = ReadOptions { settled_only: true, ..Default::default() };
    let mut held = bench.try_subscribe("live/a", options).unwrap();
    let mut eager = bench.play("live/a");

    assert_eq!(drain(&mut held), [""; 0]);
    assert_eq!(drain(&mut eager), ["shape 1 settling", "key 0", "delta 40"]);
    publisher.set_tracks(vec![video(1), audio_track()]).unwrap();
    publisher.push(&[audio(50)]);
    assert_eq!(drain(&mut held), [""; 0]);
    publisher.ready();

    assert_eq!(drain(&mut held), ["shape 1+2", "key 0", "delta 40", "audio 50"]);
    assert_eq!(drain(&mut eager), ["shape 1+2 settling", "audio 50", "shape 1+2"]);
}

#[test]
fn a_stream_settles_by_itself_after_a_time() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    publisher.set_tracks(vec![video(1)]).unwrap();
    publisher.push(&[key(0)]);
    let options = ReadOptions { settled_only: true, ..Default::default() };
    let mut reader = bench.try_subscribe("live/a", options).unwrap();

    bench.pass(1900);
    assert_eq!(drain(&mut reader), [""; 0]);
    assert_eq!(bench.info("live/a").unwrap().state, StreamState::Settling);
    bench.pass(100);

    assert_eq!(drain(&mut reader), ["shape 1", "key 0"]);
    assert_eq!(bench.info("live/a").unwrap().state, StreamState::Publishing);
}

#[test]
fn an_audio_track_that_comes_late_is_a_change_of_shape() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    publisher.set_tracks(vec![video(1)]).unwrap();
    publisher.ready();
    bench.run(&publisher, 0, 3000);
    let mut reader = bench.play("live/a");
    drain(&mut reader);

    publisher.set_tracks(vec![video(1), audio_track()]).unwrap();
    publisher.push(&[audio(2990), key(3000), audio(3010)]);

    assert_eq!(drain(&mut reader), ["shape 1+2", "audio 2990", "key 3000", "audio 3010"]);
    assert_eq!(bench.info("live/a").unwrap().repaired_stamps, 0);
}

#[test]
fn audio_alone_can_be_joined_anywhere() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    publisher.set_tracks(vec![audio_track()]).unwrap();
    publisher.ready();
    let mut at = 0;
    while at < 3500 {
        publisher.push(&[audio(at)]);
        at += 20;
    }

    let mut newest = bench.play("live/a");
    let options = ReadOptions { start: StartAt::Live, ..Default::default() };
    let mut live = bench.try_subscribe("live/a", options).unwrap();
    publisher.push(&[audio(3500)]);

    assert_eq!(drain(&mut newest)[..2], ["shape 2", "audio 3000"]);
    assert_eq!(drain(&mut live), ["shape 2", "audio 3500"]);
    assert_eq!(bench.info("live/a").unwrap().joinable, Joinable::Anywhere);
}

#[test]
fn video_without_keyframes_can_be_joined_anywhere_after_two_seconds() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut pushed = Vec::new();
    for at in (0..4000).step_by(40) {
        pushed.push(publisher.push(&[delta(at)]));
        bench.pass(40);
    }

    let mut reader = bench.play("live/a");

    assert!(pushed[..50].iter().all(|pushed| *pushed == Pushed::Dropped));
    assert!(pushed[50..].iter().all(|pushed| *pushed == Pushed::Ok));
    assert_eq!(bench.info("live/a").unwrap().joinable, Joinable::Anywhere);
    assert_eq!(drain(&mut reader)[..2], ["shape 1+2", "delta 3000"]);
    publisher.push(&[key(4000)]);
    assert_eq!(bench.info("live/a").unwrap().joinable, Joinable::AtStartPoint);
}

#[test]
fn sticky_data_comes_first_with_the_start_points_time() {
    let bench = Bench::new();
    let publisher = bench.try_publish("live/a", "10.0.0.1:1").unwrap();
    publisher.set_tracks(vec![video(1), data_track()]).unwrap();
    publisher.ready();
    publisher.push(&[sticky(0), sticky(10), key(40), key(1000), sticky(1010), delta(1040)]);

    let mut reader = bench.play("live/a");
    let mut batch = Batch::default();
    read(&mut reader, 1, &mut batch);

    assert_eq!(in_words(&batch), ["shape 1+3", "data 1000"]);
    assert_eq!(drain(&mut reader), ["key 1000", "data 1010", "delta 1040"]);
}

#[test]
fn a_lapped_reader_resumes_at_the_newest_keyframe_and_counts() {
    let settings = Settings {
        ring: RingSettings { max_bytes: 100_000, ..RingSettings::default() },
        ..Default::default()
    };
    let bench = Bench::with(settings);
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 1000);
    let mut slow = bench.play("live/a");
    let read_before = frames(&mut slow).len();

    bench.run(&publisher, 1000, 20_000);

    let words = drain(&mut slow);
    assert_eq!(read_before, 25);
    assert_eq!(words[..2], ["lost 475", "key 20000"]);
    assert_eq!(words.len(), 26);
    assert_eq!(bench.info("live/a").unwrap().lost_frames, 475);
}

#[test]
fn a_lapped_reader_learns_of_a_shape_that_it_missed() {
    let settings = Settings {
        ring: RingSettings { max_bytes: 100_000, ..RingSettings::default() },
        ..Default::default()
    };
    let bench = Bench::with(settings);
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 1000);
    let mut slow = bench.play("live/a");
    drain(&mut slow);

    publisher.set_tracks(vec![video(2)]).unwrap();
    bench.run(&publisher, 1000, 20_000);

    assert_eq!(drain(&mut slow)[..3], ["lost 475", "shape 1", "key 20000"]);
}

#[test]
fn a_gop_longer_than_the_ring_loses_its_head_and_joins_wait() {
    let settings = Settings {
        ring: RingSettings { max_bytes: 100_000, ..RingSettings::default() },
        ..Default::default()
    };
    let bench = Bench::with(settings);
    let publisher = bench.publish("live/a");
    let mut early = bench.play("live/a");
    publisher.push(&[key(0)]);
    for at in 1..500 {
        publisher.push(&[delta(at * 40)]);
        assert!(!drain(&mut early).is_empty());
    }

    let mut late = bench.play("live/a");
    let info = bench.info("live/a").unwrap();

    assert!(info.gop_exceeds_ring);
    assert_eq!(info.joinable, Joinable::NextStartPoint);
    assert!(info.ring_bytes <= 110_000, "{}", info.ring_bytes);
    assert_eq!(drain(&mut late), [""; 0]);
    publisher.push(&[delta(20_000), key(20_040)]);
    assert_eq!(drain(&mut late), ["shape 1+2", "key 20040"]);
    assert_eq!(drain(&mut early), ["delta 20000", "key 20040"]);
    assert!(!bench.info("live/a").unwrap().gop_exceeds_ring);
}

#[test]
fn only_the_newest_gop_is_held_when_nobody_asked_for_more() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");

    bench.run(&publisher, 0, 60_000);

    let held = bench.info("live/a").unwrap().ring_ms;
    assert!(held <= 1100, "{held}");
}

#[test]
fn history_that_a_slow_reader_has_still_to_get_is_held() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0), delta(40)]);
    let mut slow = bench.play("live/a");
    assert_eq!(frames(&mut slow).len(), 2);

    bench.run(&publisher, 80, 10_000);

    let mut batch = Batch::default();
    read(&mut slow, 1000, &mut batch).unwrap();
    assert_eq!(batch.lost, 0);
    assert_eq!(batch.frames[0].dts / NS_PER_MS, 80);
}

#[test]
fn history_older_than_was_asked_for_falls_out() {
    let history = Duration::from_secs(30);
    let settings = Settings {
        ring: RingSettings { history, ..RingSettings::default() },
        ..Settings::default()
    };
    let bench = Bench::with(settings);
    let publisher = bench.publish("live/a");
    bench.run(&publisher, 0, 60_000);
    let options = ReadOptions { start: StartAt::Oldest, ..Default::default() };

    let mut reader = bench.try_subscribe("live/a", options).unwrap();

    let oldest = frames(&mut reader)[0].dts / NS_PER_MS;
    assert!((27_000..=31_000).contains(&oldest), "{oldest}");
    assert!((28_000..=33_000).contains(&bench.info("live/a").unwrap().ring_ms));
}

#[test]
fn a_twenty_second_gop_is_joined_at_its_head() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    publisher.push(&[key(0)]);
    for at in 1..480 {
        publisher.push(&[delta(at * 40)]);
        bench.pass(40);
    }

    let mut reader = bench.play("live/a");

    assert_eq!(frames(&mut reader).len(), 480);
}

#[test]
fn readers_are_woken_by_frames_and_by_the_end() {
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut reader = bench.play("live/a");
    let (waker, wakes) = counting_waker();
    let mut batch = Batch::default();
    let mut poll = || reader.poll_read(&mut Context::from_waker(&waker), 100, &mut batch);

    assert_eq!(poll(), Poll::Pending);
    publisher.push(&[key(0), delta(40)]);
    assert_eq!(wakes(), 1);
    assert_eq!(poll(), Poll::Ready(ReadOutcome::Batch));
    assert_eq!(poll(), Poll::Pending);
    publisher.finish();
    assert_eq!(wakes(), 2);
    assert_eq!(poll(), Poll::Ready(ReadOutcome::End(Reason::Ended)));
}

#[test]
fn readers_keep_up_with_a_writer_on_another_thread() {
    const FRAMES: i64 = 20_000;
    let bench = Bench::new();
    let publisher = bench.publish("live/a");
    let mut readers: Vec<Subscriber> = (0..3).map(|_| bench.play("live/a")).collect();

    std::thread::scope(|scope| {
        for reader in &mut readers {
            scope.spawn(move || {
                let (mut next, mut batch) = (None, Batch::default());
                loop {
                    match read(reader, 17, &mut batch) {
                        None => std::thread::yield_now(),
                        Some(ReadOutcome::End(reason)) => return assert_eq!(reason, Reason::Ended),
                        Some(ReadOutcome::Batch) => {
                            let lost = i64::try_from(batch.lost).unwrap();
                            for (index, frame) in batch.frames.iter().enumerate() {
                                let number = frame.dts / (40 * NS_PER_MS);
                                let lost = if index == 0 { lost } else { 0 };
                                assert!(
                                    next.is_none_or(|next| number == next + lost),
                                    "{number} after {next:?}"
                                );
                                assert!(
                                    (next.is_some() && lost == 0) || frame.flags.key,
                                    "{number}"
                                );
                                next = Some(number + 1);
                            }
                        }
                    }
                }
            });
        }
        let all: Vec<Frame> =
            (0..FRAMES).map(|n| if n % 50 == 0 { key(n * 40) } else { delta(n * 40) }).collect();
        for some in all.chunks(7) {
            assert_eq!(publisher.push(some), Pushed::Ok);
        }
        publisher.finish();
    });

    assert!(bench.info("live/a").is_none());
}
