//! What a frame costs between its publisher and its readers: through stream, timeline and ring, without a socket.
#![expect(clippy::unwrap_used, reason = "a measurement ends where its setup fails")]

mod stream;

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use plugcast::hub::{Batch, ReadOutcome, SubscribeRequest, Subscriber};

use stream::{KEY, Live};

/// Frames that a reader takes at a time.
const READ_MAX: usize = 64;

/// A reader that begins at the newest keyframe.
fn subscribe(live: &Live) -> Subscriber {
    let wait = Some(Duration::ZERO);
    let request = SubscribeRequest { url: KEY.to_owned(), wait, ..SubscribeRequest::default() };
    let mut subscription = pin!(live.hub.subscribe(request));
    match subscription.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(subscriber) => subscriber.unwrap(),
        Poll::Pending => panic!("the stream is there"),
    }
}

/// What there is to read.
fn read(subscriber: &mut Subscriber, batch: &mut Batch) -> usize {
    match subscriber.poll_read(&mut Context::from_waker(Waker::noop()), READ_MAX, batch) {
        Poll::Ready(ReadOutcome::Batch) => batch.frames.len(),
        Poll::Ready(ReadOutcome::End(_)) | Poll::Pending => 0,
    }
}

fn push(c: &mut Criterion) {
    let mut live = Live::start();
    c.bench_function("ring: push a frame, nobody reads", |b| b.iter(|| live.push()));
}

fn push_and_read(c: &mut Criterion) {
    for readers in [1, 16] {
        let mut live = Live::start();
        let mut subscribers: Vec<_> = (0..readers).map(|_| subscribe(&live)).collect();
        let mut batch = Batch::default();
        c.bench_function(&format!("ring: push a frame, {readers} readers take it"), |b| {
            b.iter(|| {
                live.push();
                for subscriber in &mut subscribers {
                    black_box(read(subscriber, &mut batch));
                }
            });
        });
    }
}

fn read_a_gop(c: &mut Criterion) {
    let mut live = Live::start();
    live.push_gop();
    let mut batch = Batch::default();
    c.bench_function("ring: join and read a GOP of 50 frames", |b| {
        b.iter(|| {
            let mut subscriber = subscribe(&live);
            black_box(read(&mut subscriber, &mut batch));
        });
    });
}

criterion_group!(ring, push, push_and_read, read_a_gop);
criterion_main!(ring);
