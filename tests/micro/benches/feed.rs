//! What a frame costs from its publisher to a fan-out thread's window: ring, packager, log of packets, without a socket.
#![expect(clippy::unwrap_used, reason = "a measurement ends where its setup fails")]

mod stream;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use plugcast::hub::feed::{
    FeedOut, FeedWaker, Feeds, Packager, PackagerError, PackagerFactory, PacketRef, Packets,
    PrepareRequest, Settings,
};
use plugin_api::frame::{Frame, Shape};
use plugin_api::mem::{Account, Pool};

use stream::{KEY, Live};

const FORMAT: &str = "plain";
/// As long as a chunk's header.
const HEADER: &[u8] = &[0; 12];

/// A packet is a header and the payload.
struct Plain(u32);

impl PackagerFactory for Plain {
    fn open(
        &self,
        _: &Shape,
        _: &str,
        out: &mut dyn FeedOut,
    ) -> Result<Box<dyn Packager>, PackagerError> {
        Ok(Box::new(Self(out.set_head(&[b"preamble"], &[b"config"])?)))
    }
}

impl Packager for Plain {
    fn on_shape(&mut self, _: &Shape, _: &mut dyn FeedOut) -> Result<(), PackagerError> {
        Ok(())
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut dyn FeedOut) -> Result<(), PackagerError> {
        frames.iter().try_for_each(|frame| {
            let payload = frame.payload.parts().first().map_or(&[][..], |part| &part[..]);
            out.write(&[PacketRef {
                start_point: frame.flags.key,
                droppable: false,
                dts: frame.dts,
                head: self.0,
                parts: &[HEADER, payload],
            }])
        })
    }
}

/// Nobody has to be woken: the measurement looks by itself.
struct Asleep;

impl FeedWaker for Asleep {
    fn wake(&self, _: usize) {}
}

fn append_and_follow(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut live = Live::start();
    let pool = Pool::new(Account::new(usize::MAX));
    let handle = runtime.handle().clone();
    let feeds = Feeds::new(Arc::clone(&live.hub), pool, handle, Settings::default());
    let _registered = feeds.register(FORMAT, Arc::new(Plain(0))).unwrap();
    let request = PrepareRequest {
        url: KEY.to_owned(),
        format: FORMAT.to_owned(),
        ..PrepareRequest::default()
    };
    let prepared = runtime.block_on(feeds.prepare(request)).unwrap();
    let feed = Arc::clone(prepared.feed());
    let watch = feed.watch(Arc::new(Asleep), 0);
    let mut window = Packets::default();
    feed.follow(&mut window);
    c.bench_function("feed: push a frame, package it, follow", |b| {
        b.iter(|| {
            let end = window.end();
            live.push();
            runtime.block_on(async {
                while window.end() == end {
                    tokio::task::yield_now().await;
                    feed.look(&watch, &mut window);
                }
            });
            watch.needs_from(window.end());
            window.let_go();
        });
    });
}

criterion_group!(feed, append_and_follow);
criterion_main!(feed);
