//! A stream that a test writes, and a packager whose packets can be read.
//!
//! A frame at 40 ms becomes `d40;`, a keyframe `K40;`; the preamble is `P|`, the config of the n-th shape `Cn|`, and the
//! same in band `cn|`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use plugin_api::frame::{
    FourCc, Frame, FrameFlags, NS_PER_MS, Ns, Payload, Shape, Track, TrackKind,
};
use plugin_api::mem::{Account, Pool};
use tokio::runtime::Handle;

use super::driver::Source;
use super::{
    FeedKey, FeedOut, Feeds, Framing, Packager, PackagerError, PackagerFactory, PacketRef,
    PrepareRequest, Prepared, Settings,
};
use crate::hub::auth::{Action, Authorizer};
use crate::hub::key::{Args, StreamKey};
use crate::hub::{
    Batch, Hub, PublishRequest, Publisher, ReadOutcome, Reason, Refusal, Settings as HubSettings,
    Status,
};

/// The writer's side of a stream; a clone is the same stream.
#[derive(Clone, Default)]
pub(crate) struct TestStream(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    batches: VecDeque<Batch>,
    end: Option<Reason>,
    reader: Option<Waker>,
    shapes: u32,
}

impl TestStream {
    /// A stream with one video track.
    pub(crate) fn new() -> Self {
        let stream = Self::default();
        stream.shape();
        stream
    }

    /// A new shape, in force for the frames that follow.
    pub(crate) fn shape(&self) {
        let mut script = self.0.lock();
        script.shapes += 1;
        let track = Arc::new(Track::new(1, TrackKind::Video, FourCc::H264));
        let shape = Shape {
            number: script.shapes,
            settled: true,
            discontinuity: false,
            tracks: vec![track],
        };
        script.push(Batch { shape: Some(Arc::new(shape)), ..Batch::default() });
    }

    /// Frames of `fill` bytes, as one batch.
    pub(crate) fn push(&self, stamps: &[Stamp], fill: usize) {
        let frames = stamps.iter().map(|stamp| stamp.frame(fill)).collect();
        self.0.lock().push(Batch { frames, ..Batch::default() });
    }

    pub(crate) fn end(&self, reason: Reason) {
        let mut script = self.0.lock();
        script.end = Some(reason);
        script.wake();
    }
}

impl Script {
    fn push(&mut self, batch: Batch) {
        self.batches.push_back(batch);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Source for TestStream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        _max: usize,
        batch: &mut Batch,
    ) -> Poll<ReadOutcome> {
        let mut script = self.0.lock();
        if let Some(next) = script.batches.pop_front() {
            *batch = next;
            return Poll::Ready(ReadOutcome::Batch);
        }
        if let Some(reason) = script.end {
            return Poll::Ready(ReadOutcome::End(reason));
        }
        script.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A frame's time in milliseconds.
#[derive(Clone, Copy)]
pub(crate) enum Stamp {
    Key(Ns),
    Delta(Ns),
}

impl Stamp {
    /// A frame of `fill` bytes.
    pub(crate) fn frame(self, fill: usize) -> Frame {
        let (key, ms) = match self {
            Self::Key(ms) => (true, ms),
            Self::Delta(ms) => (false, ms),
        };
        let pool = Pool::new(Account::new(usize::MAX));
        Frame {
            track: 1,
            config: 0,
            flags: FrameFlags { key, ..FrameFlags::default() },
            dts: ms * NS_PER_MS,
            pts: ms * NS_PER_MS,
            duration: 0,
            captured: 0,
            payload: Payload::One(pool.copy(&[&vec![b'.'; fill]]).unwrap()),
        }
    }
}

/// Makes [`TextPackager`]s, and says what they are to do wrong.
#[derive(Default)]
pub(crate) struct TextFormat {
    /// Refuses every stream with this text.
    pub(crate) unsupported: Option<&'static str>,
    /// The next so many frames at 13 ms make a packager fail.
    pub(crate) failures: Arc<AtomicUsize>,
    pub(crate) opened: AtomicUsize,
}

struct TextPackager {
    head: u32,
    failures: Arc<AtomicUsize>,
}

impl PackagerFactory for TextFormat {
    fn open(
        &self,
        shape: &Shape,
        _variant: &str,
        out: &mut dyn FeedOut,
    ) -> Result<Box<dyn Packager>, PackagerError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if let Some(text) = self.unsupported {
            return Err(PackagerError::unsupported(text));
        }
        let head = set_head(shape, out)?;
        Ok(Box::new(TextPackager { head, failures: Arc::clone(&self.failures) }))
    }
}

fn set_head(shape: &Shape, out: &mut dyn FeedOut) -> Result<u32, PackagerError> {
    out.set_head(&[b"P|"], &[b"C", shape.number.to_string().as_bytes(), b"|"])
}

impl Packager for TextPackager {
    fn on_shape(&mut self, shape: &Shape, out: &mut dyn FeedOut) -> Result<(), PackagerError> {
        self.head = set_head(shape, out)?;
        let number = shape.number.to_string();
        let parts: [&[u8]; 3] = [b"c", number.as_bytes(), b"|"];
        out.write(&[PacketRef {
            start_point: false,
            droppable: false,
            dts: 0,
            head: self.head,
            parts: &parts,
        }])
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut dyn FeedOut) -> Result<(), PackagerError> {
        for frame in frames {
            let ms = frame.dts / NS_PER_MS;
            if ms == 13 && self.failures.load(Ordering::Relaxed) > 0 {
                self.failures.fetch_sub(1, Ordering::Relaxed);
                panic!("asked to");
            }
            let name = format!("{}{ms}", if frame.flags.key { 'K' } else { 'd' });
            let mut parts = vec![name.as_bytes()];
            parts.extend(frame.payload.parts().iter().map(|part| &part[..]));
            parts.push(b";");
            out.write(&[PacketRef {
                start_point: frame.flags.key,
                droppable: false,
                dts: frame.dts,
                head: self.head,
                parts: &parts,
            }])?;
        }
        Ok(())
    }
}

struct Anybody;

impl Authorizer for Anybody {
    fn check(
        &self,
        _action: Action,
        _key: &StreamKey,
        _args: &Args,
        _peer: Option<std::net::IpAddr>,
    ) -> Result<(), String> {
        Ok(())
    }
}

/// Feeds on the runtime of the test.
pub(crate) fn feeds(settings: Settings) -> Feeds {
    let account = Account::new(usize::MAX);
    let hub = Hub::new(HubSettings::default(), Arc::new(Anybody), Arc::clone(&account));
    Feeds::new(hub, Pool::new(account), Handle::current(), settings)
}

/// The hub that the feeds read from.
pub(crate) fn hub(feeds: &Feeds) -> &Arc<Hub> {
    &feeds.inner.hub
}

/// Prepares a connection for the feed of a stream, which is opened on `stream` if there is none.
pub(crate) async fn prepare(
    feeds: &Feeds,
    key: &str,
    conn: u64,
    stream: Option<&TestStream>,
) -> Result<Prepared, Refusal> {
    let key = FeedKey {
        stream: StreamKey::new(key).unwrap(),
        format: "text".into(),
        variant: "".into(),
        framing: Framing::None,
    };
    let interest = feeds.open(key, None, || match stream {
        Some(stream) => Ok(Box::new(stream.clone())),
        None => Err(Refusal::new(Status::NotFound, "the test has no such stream")),
    })?;
    let request = PrepareRequest { conn, protocol: "text".into(), ..PrepareRequest::default() };
    feeds.begin(interest, None, &request).await
}

/// Publishes one video track, without frames.
pub(crate) fn publish(feeds: &Feeds, key: &str) -> Publisher {
    let request = PublishRequest { url: key.to_owned(), ..PublishRequest::default() };
    let publisher = feeds.inner.hub.publish(request).unwrap();
    publisher.set_tracks(vec![Track::new(1, TrackKind::Video, FourCc::H264)]).unwrap();
    publisher
}
