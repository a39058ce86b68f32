//! Many threads at once: nothing is lost, nothing is left over, nothing waits for ever.

use super::*;

/// Sequence of small numbers from a seed, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn ends_can_be_held_by_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Send + Sync>() {}

    is_sync::<Hub>();
    is_sync::<Publisher>();
    is_sync::<ViewerGuard>();
    is_sync::<Subscriber>();
    let bench = Bench::new();
    is_send(&bench.hub.subscribe(SubscribeRequest::default()));
}

#[test]
fn publishers_readers_and_ticks_race_and_leave_nothing() {
    let settings =
        Settings { on_conflict: OnConflict::Replace, max_publishers: 3, ..Default::default() };
    let bench = Bench::with(settings);
    let url = |dice: &mut Dice| format!("live/{}", dice.roll(3));

    std::thread::scope(|scope| {
        for seed in 0..3 {
            let bench = &bench;
            scope.spawn(move || {
                let mut dice = Dice(seed);
                for _ in 0..2000 {
                    let Ok(publisher) = bench.try_publish(&url(&mut dice), "10.0.0.1:1") else {
                        continue;
                    };
                    if publisher.set_tracks(vec![video(1)]).is_err() {
                        continue;
                    }
                    publisher.push(&[key(0), delta(40)]);
                    match dice.roll(3) {
                        0 => publisher.finish(),
                        1 => _ = bench.hub.stop_publisher(publisher.stream().key(), Duration::ZERO),
                        _ => {}
                    }
                }
            });
            scope.spawn(move || {
                let mut dice = Dice(seed + 100);
                let mut batch = Batch::default();
                for _ in 0..2000 {
                    let request = SubscribeRequest { url: url(&mut dice), ..Default::default() };
                    let mut waiting = pin!(bench.hub.subscribe(request));
                    if let Poll::Ready(Ok(mut reader)) = poll_once(waiting.as_mut()) {
                        read(&mut reader, 10, &mut batch);
                        assert!(batch.frames.is_empty() || batch.shape.is_some());
                    }
                }
            });
        }
        for _ in 0..500 {
            bench.pass(100);
            _ = bench.hub.streams();
        }
    });
    bench.pass(30_000);

    assert!(bench.hub.registry.all().is_empty());
    for count in
        [&bench.hub.shared.publishers, &bench.hub.shared.viewers, &bench.hub.shared.waiting]
    {
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }
}
