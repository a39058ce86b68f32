//! A hub whose clock the test turns, and short words for frames, reads and what they gave.

mod join;
mod limits;
mod logs;
mod races;
mod takeover;
mod time;
mod waiting;
mod window;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use plugin_api::frame::{FourCc, Frame, FrameFlags, NS_PER_MS, Ns, Track, TrackKind};
use plugin_api::mem::{Account, Buf};

use super::auth::{Action, Authorizer};
use super::clock::Clock;
use super::info::StreamInfo;
use super::key::{Args, StreamKey};
use super::*;

pub(super) const VIDEO: u32 = 1;
pub(super) const AUDIO: u32 = 2;
pub(super) const DATA: u32 = 3;

/// A clock that stands still.
#[derive(Debug, Default)]
pub(super) struct Manual(AtomicI64);

impl Clock for Manual {
    fn now(&self) -> Ns {
        self.0.load(Ordering::SeqCst)
    }
}

/// Lets in whoever does not bring `key=wrong`.
struct NoWrongKeys;

impl Authorizer for NoWrongKeys {
    fn check(
        &self,
        _: Action,
        _: &StreamKey,
        args: &Args,
        _: Option<IpAddr>,
    ) -> Result<(), String> {
        if args.get("key") == Some("wrong") { Err("the key is wrong".to_owned()) } else { Ok(()) }
    }
}

pub(super) struct Bench {
    pub(super) hub: Arc<Hub>,
    clock: Arc<Manual>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self::with_memory(settings, Account::new(usize::MAX))
    }

    pub(super) fn with_memory(settings: Settings, account: Arc<Account>) -> Self {
        let clock = Arc::new(Manual::default());
        let as_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Self { hub: Hub::with_clock(settings, Arc::new(NoWrongKeys), account, as_clock), clock }
    }

    /// Lets time pass, with the host's ticks.
    pub(super) fn pass(&self, ms: i64) {
        for _ in 0..ms / 100 {
            self.clock.0.fetch_add(100 * NS_PER_MS, Ordering::SeqCst);
            self.hub.tick();
        }
        self.clock.0.fetch_add(ms % 100 * NS_PER_MS, Ordering::SeqCst);
    }

    pub(super) fn try_publish(&self, url: &str, peer: &str) -> Result<Publisher, Refusal> {
        let peer: Option<SocketAddr> = Some(peer.parse().unwrap());
        let request = PublishRequest {
            url: url.to_owned(),
            peer,
            protocol: "test".to_owned(),
            ..Default::default()
        };
        self.hub.publish(request)
    }

    /// A publisher with video and audio that has said that it is ready.
    pub(super) fn publish(&self, url: &str) -> Publisher {
        self.publish_from(url, "10.0.0.1:1000")
    }

    pub(super) fn publish_from(&self, url: &str, peer: &str) -> Publisher {
        let publisher = self.try_publish(url, peer).unwrap();
        publisher.set_tracks(vec![video(1), audio_track()]).unwrap();
        publisher.ready();
        publisher
    }

    pub(super) fn try_subscribe(
        &self,
        url: &str,
        options: ReadOptions,
    ) -> Result<Subscriber, Refusal> {
        let wait = Some(Duration::ZERO);
        let request = SubscribeRequest { url: url.to_owned(), options, wait, ..Default::default() };
        expect_ready(self.hub.subscribe(request))
    }

    pub(super) fn play(&self, url: &str) -> Subscriber {
        self.try_subscribe(url, ReadOptions::default()).unwrap()
    }

    pub(super) fn info(&self, key: &str) -> Option<StreamInfo> {
        self.hub.stream(&StreamKey::new(key).unwrap())
    }

    /// Pushes 25 video frames a second in real time, a keyframe every second, starting at this dts.
    pub(super) fn run(&self, publisher: &Publisher, from_ms: i64, ms: i64) {
        for at in (from_ms..from_ms + ms).step_by(40) {
            let frame = if (at - from_ms) % 1000 == 0 { key(at) } else { delta(at) };
            assert_eq!(publisher.push(&[frame]), Pushed::Ok, "at {at} ms");
            self.pass(40);
        }
        self.hub.tick();
    }
}

pub(super) fn video(config_number: u32) -> Track {
    Track {
        config_number,
        width: 1280,
        height: 720,
        ..Track::new(VIDEO, TrackKind::Video, FourCc::H264)
    }
}

pub(super) fn audio_track() -> Track {
    Track { sample_rate: 48000, channels: 2, ..Track::new(AUDIO, TrackKind::Audio, FourCc::AAC) }
}

pub(super) fn data_track() -> Track {
    Track::new(DATA, TrackKind::Data, FourCc(*b"meta"))
}

pub(super) fn frame(track: u32, dts: Ns, is_key: bool) -> Frame {
    Frame {
        track,
        config: 1,
        flags: FrameFlags { key: is_key, ..Default::default() },
        dts,
        pts: dts,
        duration: 0,
        captured: 0,
        payload: Buf::from_static(&[0; 1000]).into(),
    }
}

pub(super) fn key(ms: i64) -> Frame {
    frame(VIDEO, ms * NS_PER_MS, true)
}

pub(super) fn delta(ms: i64) -> Frame {
    frame(VIDEO, ms * NS_PER_MS, false)
}

pub(super) fn audio(ms: i64) -> Frame {
    frame(AUDIO, ms * NS_PER_MS, true)
}

pub(super) fn sticky(ms: i64) -> Frame {
    let flags = FrameFlags { sticky: true, ..Default::default() };
    Frame { flags, ..frame(DATA, ms * NS_PER_MS, false) }
}

pub(super) fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn expect_ready<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("has to wait"),
    }
}

pub(super) fn read(
    subscriber: &mut Subscriber,
    max: usize,
    batch: &mut Batch,
) -> Option<ReadOutcome> {
    match subscriber.poll_read(&mut Context::from_waker(Waker::noop()), max, batch) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

/// Everything that is there to read, in words.
pub(super) fn drain(subscriber: &mut Subscriber) -> Vec<String> {
    let mut words = Vec::new();
    let mut batch = Batch::default();
    loop {
        match read(subscriber, 100, &mut batch) {
            None => return words,
            Some(ReadOutcome::End(reason)) => {
                words.push(format!("end {reason}"));
                return words;
            }
            Some(ReadOutcome::Batch) => words.extend(in_words(&batch)),
        }
    }
}

/// The frames only.
pub(super) fn frames(subscriber: &mut Subscriber) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut batch = Batch::default();
    while let Some(ReadOutcome::Batch) = read(subscriber, 100, &mut batch) {
        frames.append(&mut batch.frames);
    }
    frames
}

fn in_words(batch: &Batch) -> Vec<String> {
    let mut words = Vec::new();
    if batch.lost > 0 {
        words.push(format!("lost {}", batch.lost));
    }
    if let Some(shape) = &batch.shape {
        let tracks: Vec<String> = shape.tracks.iter().map(|track| track.id.to_string()).collect();
        let settled = if shape.settled { "" } else { " settling" };
        let again = if shape.discontinuity { " again" } else { "" };
        words.push(format!("shape {}{settled}{again}", tracks.join("+")));
    }
    for frame in &batch.frames {
        let kind = match (frame.track, frame.flags.key) {
            (VIDEO, true) => "key",
            (VIDEO, false) => "delta",
            (AUDIO, _) => "audio",
            _ => "data",
        };
        words.push(format!("{kind} {}", frame.dts / NS_PER_MS));
    }
    words
}

/// A waker, and how often it was woken.
pub(super) fn counting_waker() -> (Waker, impl Fn() -> usize) {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Waker::from(Arc::clone(&count)), move || count.0.load(Ordering::SeqCst))
}

pub(super) fn notice(publisher: &Publisher) -> Option<Notice> {
    match publisher.poll_notice(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(notice) => Some(notice),
        Poll::Pending => None,
    }
}
