//! `pc.streams/1`.
#![expect(unsafe_code, reason = "calls a plugin's function with a batch")]

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use plugin_api::abi::core::{
    self as abi, DROPPED, END, Handle, Host, Ns, OK, PENDING, Status, Waker,
};
use plugin_api::abi::streams::{self as wire, OnBatch, Publish, StreamsApi, Subscribe};

use super::call::{Fault, Outcome, call};
use super::waker::with_context;
use super::{Object, borrow, media, net, no_waker};
use crate::hub::{
    Batch, Notice, PublishRequest, Publisher, Pushed, ReadOptions, ReadOutcome, ReaderKind, Reason,
    Refusal, StartAt, Status as RefusalStatus, SubscribeRequest, Subscriber,
};
use crate::plugin::instance::Instance;

pub(super) static API: StreamsApi = StreamsApi {
    struct_size: super::size_of_table::<StreamsApi>(),
    revision: 1,
    publish: Some(publish),
    poll_publish: Some(poll_publish),
    set_tracks: Some(set_tracks),
    push: Some(push),
    ready: Some(ready),
    finish: Some(finish),
    poll_notice: Some(poll_notice),
    subscribe: Some(subscribe),
    poll_subscribe: Some(poll_subscribe),
    poll_read: Some(poll_read),
};

/// Frames of one read, at most.
const READ_MAX: usize = 1024;
/// Frames of one push; a plugin that has more calls again.
const PUSH_MAX: usize = 4096;

type Subscribing = Pin<Box<dyn Future<Output = Result<Subscriber, Refusal>> + Send>>;

/// A subscription behind a handle.
pub(crate) struct Subscription(Mutex<Reading>);

enum Reading {
    Asking(Subscribing),
    Closed,
    Open(Box<Subscriber>, Box<Batch>),
}

impl Subscription {
    pub(super) fn close(&self) {
        drop(std::mem::replace(&mut *self.0.lock(), Reading::Closed));
    }
}

/// A refusal as the plugin sees it.
pub(super) fn fault(refusal: Refusal) -> Fault {
    let status = match refusal.status {
        RefusalStatus::Cancelled => abi::E_CANCELLED,
        RefusalStatus::Conflict => abi::E_CONFLICT,
        RefusalStatus::Denied => abi::E_DENIED,
        RefusalStatus::Invalid => abi::E_INVALID,
        RefusalStatus::Limit => abi::E_LIMIT,
        RefusalStatus::NotFound => abi::E_NOT_FOUND,
        RefusalStatus::Timeout => abi::E_TIMEOUT,
        RefusalStatus::Unsupported => abi::E_UNSUPPORTED,
    };
    Fault::new(status, refusal.reason)
}

/// `PC_REASON_*`.
pub(super) fn reason(reason: Reason) -> u32 {
    match reason {
        Reason::Asked => wire::REASON_ASKED,
        Reason::Ended => wire::REASON_ENDED,
        Reason::Error => wire::REASON_ERROR,
        Reason::Idle => wire::REASON_IDLE,
        Reason::Lagged => wire::REASON_LAGGED,
        Reason::Lost => wire::REASON_LOST,
        Reason::PeerClosed => wire::REASON_PEER_CLOSED,
        Reason::Replaced => wire::REASON_REPLACED,
        Reason::Stalled => wire::REASON_STALLED,
        Reason::Stopped => wire::REASON_STOPPED,
        Reason::Timeout => wire::REASON_TIMEOUT,
    }
}

/// How long to wait for a publisher: 0 as configured, below 0 not at all.
pub(super) fn wait(wait: Ns) -> Option<Duration> {
    match u64::try_from(wait) {
        Ok(0) => None,
        Ok(ns) => Some(Duration::from_nanos(ns)),
        Err(_) => Some(Duration::ZERO),
    }
}

fn publisher(instance: &'static Instance, handle: Handle) -> Result<Arc<Publisher>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Publisher(publisher)) => Ok(publisher),
        _ => Err(Fault::handle()),
    }
}

unsafe extern "C" fn publish(
    host: *const Host,
    options: *const Publish,
    handle: *mut Handle,
) -> Status {
    call(host, |instance| {
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let options = borrow::sized(options, "options")?;
        let (peer, conn) = net::peer(instance, options.conn)?;
        let request = PublishRequest {
            url: borrow::text(options.url, "url")?.to_owned(),
            peer,
            conn,
            protocol: borrow::text(options.protocol, "protocol")?.to_owned(),
            agent: borrow::text(options.agent, "agent")?.to_owned(),
            instance: instance.name.clone(),
            delay_close: None,
        };
        // The hub answers at once; the contract leaves room for auth engines that have to wait.
        let publisher = instance.services.hub.publish(request).map_err(fault)?;
        net::established(instance, options.conn);
        super::give(instance, Object::Publisher(Arc::new(publisher)), handle)
    })
}

unsafe extern "C" fn poll_publish(host: *const Host, handle: Handle, _waker: *mut Waker) -> Status {
    call(host, |instance| publisher(instance, handle).map(|_| OK))
}

unsafe extern "C" fn set_tracks(
    host: *const Host,
    handle: Handle,
    tracks: *const *const wire::Track,
    n: usize,
) -> Status {
    call(host, |instance| {
        let publisher = publisher(instance, handle)?;
        if n > wire::TRACKS_MAX {
            return Err(Fault::invalid(format!("{n} tracks are more than {}", wire::TRACKS_MAX)));
        }
        let tracks = borrow::sized_array(tracks, n, "tracks")?;
        let tracks: Result<Vec<_>, Fault> =
            tracks.map(|track| media::track(track?, &instance.pool)).collect();
        publisher.set_tracks(tracks?).map_err(fault)?;
        Ok(OK)
    })
}

unsafe extern "C" fn push(
    host: *const Host,
    handle: Handle,
    frames: *const *const wire::Frame,
    n: usize,
) -> Status {
    call(host, |instance| {
        let publisher = publisher(instance, handle)?;
        if n > PUSH_MAX {
            return Err(Fault::invalid(format!("{n} frames are more than {PUSH_MAX} in one push")));
        }
        let frames = borrow::sized_array(frames, n, "frames")?;
        let frames: Result<Vec<_>, Fault> =
            frames.map(|frame| media::frame(frame?, &instance.pool)).collect();
        let frames = match frames {
            // What can't be kept is a gap that readers hear of, not a reason to end the session.
            Err(fault) if fault.status == abi::E_NO_MEMORY => {
                publisher.on_loss();
                return Ok(DROPPED);
            }
            frames => frames?,
        };
        match publisher.push(&frames) {
            Pushed::Dropped => Ok(DROPPED),
            Pushed::Ended => Ok(END),
            Pushed::Ok => Ok(OK),
        }
    })
}

unsafe extern "C" fn ready(host: *const Host, handle: Handle) -> Status {
    call(host, |instance| {
        publisher(instance, handle)?.ready();
        Ok(OK)
    })
}

unsafe extern "C" fn finish(host: *const Host, handle: Handle) -> Status {
    call(host, |instance| {
        publisher(instance, handle)?.finish();
        Ok(OK)
    })
}

unsafe extern "C" fn poll_notice(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    value: *mut u32,
) -> Status {
    call(host, |instance| {
        let publisher = publisher(instance, handle)?;
        let (status, notice) =
            match with_context(waker, |cx| publisher.poll_notice(cx)).ok_or_else(no_waker)? {
                Poll::Pending => return Ok(PENDING),
                Poll::Ready(Notice::Ended(why)) => (END, reason(why)),
                Poll::Ready(Notice::FirstReader) => (OK, wire::NOTICE_FIRST_READER),
                Poll::Ready(Notice::KeyframeWanted) => (OK, wire::NOTICE_KEYFRAME_WANTED),
                Poll::Ready(Notice::LastReader) => (OK, wire::NOTICE_LAST_READER),
            };
        borrow::put(value, notice, "value")?;
        Ok(status)
    })
}

unsafe extern "C" fn subscribe(
    host: *const Host,
    options: *const Subscribe,
    handle: *mut Handle,
) -> Status {
    call(host, |instance| {
        if instance.is_draining() {
            return Err(Fault::cancelled());
        }
        let options = borrow::sized(options, "options")?;
        let (peer, conn) = net::peer(instance, options.conn)?;
        // Waiting for a stream has a limit of its own.
        net::established(instance, options.conn);
        let kind = match options.kind {
            wire::READER_PLAYER => ReaderKind::Player,
            wire::READER_PUSHER => ReaderKind::Pusher,
            wire::READER_RECORDER => ReaderKind::Recorder,
            wire::READER_SNAPSHOT => ReaderKind::Snapshot,
            other => return Err(Fault::invalid(format!("kind {other} is unknown"))),
        };
        let start = match options.start {
            wire::START_LIVE => StartAt::Live,
            wire::START_NEWEST => StartAt::Newest,
            wire::START_OLDEST => StartAt::Oldest,
            other => return Err(Fault::invalid(format!("start {other} is unknown"))),
        };
        let request = SubscribeRequest {
            url: borrow::text(options.url, "url")?.to_owned(),
            peer,
            conn,
            protocol: borrow::text(options.protocol, "protocol")?.to_owned(),
            options: ReadOptions { kind, start, settled_only: false },
            wait: wait(options.wait),
            skip_auth: false,
        };
        let hub = Arc::clone(&instance.services.hub);
        let asking: Subscribing = Box::pin(async move { hub.subscribe(request).await });
        let subscription = Subscription(Mutex::new(Reading::Asking(asking)));
        super::give(instance, Object::Subscription(Arc::new(subscription)), handle)
    })
}

unsafe extern "C" fn poll_subscribe(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
) -> Status {
    call(host, |instance| {
        let subscription = subscription(instance, handle)?;
        let mut reading = subscription.0.lock();
        let asking = match &mut *reading {
            Reading::Asking(asking) => asking,
            Reading::Closed => return Err(Fault::handle()),
            Reading::Open(..) => return Ok(OK),
        };
        let _runtime = instance.services.runtime.enter();
        match with_context(waker, |cx| asking.as_mut().poll(cx)).ok_or_else(no_waker)? {
            Poll::Pending => Ok(PENDING),
            Poll::Ready(Ok(subscriber)) => {
                *reading = Reading::Open(Box::new(subscriber), Box::default());
                Ok(OK)
            }
            Poll::Ready(Err(refusal)) => {
                *reading = Reading::Closed;
                Err(fault(refusal))
            }
        }
    })
}

fn subscription(instance: &'static Instance, handle: Handle) -> Result<Arc<Subscription>, Fault> {
    match instance.handles.get(handle) {
        Some(Object::Subscription(subscription)) => Ok(subscription),
        _ => Err(Fault::handle()),
    }
}

unsafe extern "C" fn poll_read(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    max: usize,
    on_batch: Option<OnBatch>,
    ctx: *mut c_void,
    ended: *mut u32,
) -> Status {
    call(host, |instance| {
        let on_batch = on_batch.ok_or_else(|| Fault::invalid("on_batch is NULL"))?;
        let subscription = subscription(instance, handle)?;
        // Taken out, so that no lock is held while the plugin runs.
        let taken = std::mem::replace(&mut *subscription.0.lock(), Reading::Closed);
        let Reading::Open(mut subscriber, mut batch) = taken else {
            *subscription.0.lock() = taken;
            return Err(Fault::state("not subscribed, or another read is in progress"));
        };
        let max = max.clamp(1, READ_MAX);
        let polled =
            with_context(waker, |cx: &mut Context<'_>| subscriber.poll_read(cx, max, &mut batch));
        let outcome: Outcome = match polled {
            None => Err(no_waker()),
            Some(Poll::Pending) => Ok(PENDING),
            Some(Poll::Ready(ReadOutcome::End(why))) => {
                borrow::put(ended, reason(why), "reason").map(|()| END)
            }
            Some(Poll::Ready(ReadOutcome::Batch)) => {
                let shape = batch.shape.take();
                media::with_batch(shape.as_deref(), &batch.frames, batch.lost, |lent| {
                    let _inside = instance.census.enter();
                    // SAFETY: streams.h: called at most once per poll, by the polling thread; the batch is lent for the call.
                    unsafe { on_batch(ctx, lent) };
                });
                batch.frames.clear();
                Ok(OK)
            }
        };
        if instance.handles.get(handle).is_some() {
            *subscription.0.lock() = Reading::Open(subscriber, batch);
        }
        outcome
    })
}
