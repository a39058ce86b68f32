//! The ring of a stream: one writer, and a reader that sleeps when it has read everything.

#[path = "../../../host/src/hub/batch.rs"]
mod batch;
#[path = "../../../host/src/hub/clock.rs"]
mod clock;
pub(crate) mod feed;
#[path = "../../../host/src/hub/readers.rs"]
mod readers;
#[path = "../../../host/src/hub/ring/mod.rs"]
mod ring;
#[path = "../../../host/src/hub/settings.rs"]
mod settings;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;
use plugin_api::frame::{FourCc, Frame, FrameFlags, Payload, Shape, Track, TrackKind};
use plugin_api::mem::Buf;

use self::batch::{Batch, StartAt};
use self::readers::Readers;
use self::ring::{Cursor, Opening, Ring};
use self::settings::RingSettings;
use crate::sync::Mutex;
use crate::{FRAMES, check};

/// A stream without timeline and publisher: what `hub::stream` has under its one lock for readers.
struct Stream(Mutex<State>);

struct State {
    ring: Ring,
    readers: Readers,
    ended: bool,
}

impl Stream {
    fn new() -> Arc<Self> {
        let ring = Ring::new(RingSettings::default());
        Arc::new(Self(Mutex::new(State { ring, readers: Readers::default(), ended: false })))
    }

    /// Changes under the lock, wakes without it.
    fn with(&self, change: impl FnOnce(&mut State)) {
        let wakers: Vec<Waker> = {
            let mut state = self.0.lock();
            change(&mut state);
            state.readers.take_wakers().collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A GOP, frame by frame, and the end.
    fn publish(&self) {
        let track = Track::new(1, TrackKind::Video, FourCc::H264);
        let tracks = vec![Arc::new(track)];
        let shape = Shape { number: 1, settled: true, discontinuity: false, tracks };
        self.with(|state| state.ring.append_shape(Arc::new(shape), 0, &mut Vec::new()));
        for number in 0..FRAMES {
            let opening = if number == 0 { Opening::StartPoint } else { Opening::Continued };
            self.with(|state| state.ring.append(frame(number), opening, 0, &mut Vec::new()));
        }
        self.with(|state| state.ended = true);
    }

    fn subscribe(self: &Arc<Self>, start: StartAt) -> Reader {
        let mut state = self.0.lock();
        let number = state.readers.add();
        let cursor = Cursor::new(start, state.ring.end());
        Reader { stream: Arc::clone(self), number, cursor, batch: Batch::default() }
    }
}

/// As `hub::subscriber`.
struct Reader {
    stream: Arc<Stream>,
    number: usize,
    cursor: Cursor,
    batch: Batch,
}

impl Reader {
    /// False: nothing follows.
    fn poll_read(&mut self, cx: &Context<'_>) -> Poll<bool> {
        let Self { stream, number, cursor, batch } = self;
        readers::poll_read(cx, |waker| {
            let mut state = stream.0.lock();
            let read = match state.ring.read(cursor, usize::MAX, batch) {
                true => Some(true),
                false => state.ended.then_some(false),
            };
            if let (None, Some(waker)) = (read, waker) {
                state.readers.wait(*number, waker);
            }
            read
        })
    }

    /// The stamps of all frames until the end.
    fn read_all(&mut self) -> Vec<i64> {
        let mut stamps = Vec::new();
        while block_on(std::future::poll_fn(|cx| self.poll_read(cx))) {
            assert_eq!(self.batch.lost, 0);
            stamps.extend(self.batch.frames.drain(..).map(|frame| frame.dts));
        }
        stamps
    }
}

fn stamps() -> Vec<i64> {
    (0..FRAMES).map(|number| i64::try_from(number).unwrap()).collect()
}

fn frame(number: u64) -> Frame {
    let stamp = i64::try_from(number).unwrap();
    Frame {
        track: 1,
        config: 0,
        flags: FrameFlags { key: number == 0, ..FrameFlags::default() },
        dts: stamp,
        pts: stamp,
        duration: 0,
        captured: 0,
        payload: Payload::One(Buf::from_static(b"frame")),
    }
}

#[test]
fn a_reader_gets_every_frame_once_in_order_and_the_end() {
    check(|| {
        let stream = Stream::new();
        let mut reader = stream.subscribe(StartAt::Newest);

        let writer = thread::spawn(move || stream.publish());

        assert_eq!(reader.read_all(), stamps());
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_that_joins_meanwhile_begins_at_the_start_point() {
    check(|| {
        let stream = Stream::new();
        let writer = thread::spawn({
            let stream = Arc::clone(&stream);
            move || stream.publish()
        });

        let mut reader = stream.subscribe(StartAt::Newest);

        assert_eq!(reader.read_all(), stamps());
        writer.join().unwrap();
    });
}
