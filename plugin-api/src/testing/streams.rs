//! pc.streams/1 and pc.auth/1 of the fake host: everything that was published is kept.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use super::exec::pending;
use super::state::{Entry, Object, Shared, Stream};
use super::tables::{enter, owned, put};
use crate::abi::auth::{ACTION_PUBLISH, AuthRequest};
use crate::abi::core::{Handle, Host, Status as RawStatus, Waker};
use crate::abi::streams::{
    Batch, Frame as RawFrame, NOTICE_FIRST_READER, NOTICE_KEYFRAME_WANTED, NOTICE_LAST_READER,
    OnBatch, Publish, Shape as RawShape, StreamsApi, Subscribe, Track as RawTrack,
};
use crate::auth::Action;
use crate::error::{Error, Status};
use crate::ffi::convert::{frame_to_abi, frames_from_abi, slice, track_from_abi, track_to_abi};
use crate::ffi::size_u32;
use crate::frame::{Frame, Shape};
use crate::mem::{Buf, Pool};
use crate::stream::{Notice, Reason};

pub(super) static STREAMS: StreamsApi = StreamsApi {
    struct_size: size_u32::<StreamsApi>(),
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

/// The stream key of a URL: what stands before the arguments.
pub(super) fn key(url: &str) -> String {
    url.split('?').next().unwrap_or_default().trim_matches('/').to_owned()
}

pub(super) fn allowed(shared: &Shared, action: Action, url: &str) -> Result<(), Error> {
    let auth = Arc::clone(&shared.lock().auth);
    auth(action, url)
}

pub(super) fn copy(pool: &Pool) -> impl Fn(&[u8]) -> Result<Buf, Error> {
    |bytes| pool.copy(&[bytes]).ok_or_else(|| Error::no_memory("no memory"))
}

/// Calls `with` with a shape as it crosses.
pub(super) fn with_shape<R>(shape: &Shape, with: impl FnOnce(*const RawShape) -> R) -> R {
    let tracks: Vec<_> = shape.tracks.iter().map(|track| track_to_abi(track)).collect();
    let tracks: Vec<*const RawTrack> = tracks.iter().map(|track| &raw const *track).collect();
    let shape = RawShape {
        struct_size: size_u32::<RawShape>(),
        number: shape.number,
        n_tracks: u32::try_from(tracks.len()).unwrap_or(0),
        flags: u32::from(shape.settled) | u32::from(shape.discontinuity) << 1,
        tracks: tracks.as_ptr(),
    };
    with(&raw const shape)
}

/// Calls `with` with frames as they cross.
pub(super) fn with_frames<R>(
    frames: &[Frame],
    with: impl FnOnce(*const *const RawFrame) -> R,
) -> R {
    let frames: Vec<_> = frames.iter().map(frame_to_abi).collect();
    let frames: Vec<*const RawFrame> = frames.iter().map(|frame| &raw const *frame).collect();
    with(frames.as_ptr())
}

/// Does something with the stream of a publisher that has not ended.
fn publishing(
    shared: &Shared,
    publisher: Handle,
    run: impl FnOnce(&mut Stream) -> Result<Status, Error>,
) -> Result<Status, Error> {
    let Object::Publisher(key) = shared.find(publisher)? else {
        return Err(Error::new(Status::HANDLE, "no publisher"));
    };
    let mut state = shared.lock();
    let stream = state.streams.entry(key).or_default();
    let result = if stream.ended.is_some() { Ok(Status::END) } else { run(stream) };
    shared.changed(state);
    result
}

unsafe extern "C" fn publish(
    host: *const Host,
    options: *const Publish,
    out: *mut Handle,
) -> RawStatus {
    // SAFETY: streams.h: lent for the call.
    let options = unsafe { *options };
    enter(host, "publish", |shared| {
        let url = owned(options.url);
        allowed(shared, Action::Publish, &url)?;
        let mut state = shared.lock();
        let stream = state.streams.entry(key(&url)).or_default();
        if stream.published_by.is_some() {
            return Err(Error::conflict(format!("{} has a publisher", key(&url))));
        }
        stream.published_by = Some((owned(options.protocol), owned(options.agent)));
        (stream.ended, stream.finished) = (None, false);
        put(out, state.add(Object::Publisher(key(&url))));
        shared.changed(state);
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_publish(
    host: *const Host,
    publisher: Handle,
    _: *mut Waker,
) -> RawStatus {
    enter(host, "poll_publish", |shared| shared.find(publisher).map(|_| Status::OK))
}

unsafe extern "C" fn set_tracks(
    host: *const Host,
    publisher: Handle,
    tracks: *const *const RawTrack,
    n: usize,
) -> RawStatus {
    enter(host, "set_tracks", |shared| {
        let copy = copy(&shared.pool);
        // SAFETY: streams.h: `n` tracks, lent for the call.
        let tracks = unsafe { slice(tracks, n) };
        // SAFETY: as above.
        let tracks = tracks.iter().map(|track| unsafe { track_from_abi(*track, &copy) });
        let tracks = tracks.collect::<Result<Vec<_>, _>>()?;
        publishing(shared, publisher, |stream| {
            stream.set_tracks(tracks);
            Ok(Status::OK)
        })
    })
}

unsafe extern "C" fn push(
    host: *const Host,
    publisher: Handle,
    frames: *const *const RawFrame,
    n: usize,
) -> RawStatus {
    enter(host, "push", |shared| {
        let mut new = Vec::new();
        // SAFETY: streams.h: `n` frames, lent for the call.
        unsafe { frames_from_abi(frames, n, &mut new, &copy(&shared.pool)) }?;
        publishing(shared, publisher, |stream| {
            for frame in &new {
                check(stream, frame)?;
                stream.push(std::slice::from_ref(frame));
            }
            Ok(Status::OK)
        })
    })
}

/// What the server refuses too.
fn check(stream: &Stream, frame: &Frame) -> Result<(), Error> {
    let track = stream.shape().and_then(|shape| shape.track(frame.track));
    let track =
        track.ok_or_else(|| Error::invalid(format!("frame of unknown track {}", frame.track)))?;
    if track.config_number != frame.config {
        return Err(Error::invalid(format!(
            "frame of track {} needs config {}",
            track.id, frame.config
        )));
    }
    let before = stream.entries.iter().rev().find_map(|entry| match entry {
        Entry::Frame(before) if before.track == frame.track => Some(before.dts),
        _ => None,
    });
    if before.is_some_and(|before| before >= frame.dts) {
        return Err(Error::invalid(format!(
            "dts of track {} does not increase: {}",
            track.id, frame.dts
        )));
    }
    Ok(())
}

unsafe extern "C" fn ready(host: *const Host, publisher: Handle) -> RawStatus {
    enter(host, "ready", |shared| {
        publishing(shared, publisher, |stream| {
            stream.ready = true;
            Ok(Status::OK)
        })
    })
}

unsafe extern "C" fn finish(host: *const Host, publisher: Handle) -> RawStatus {
    enter(host, "finish", |shared| {
        publishing(shared, publisher, |stream| {
            (stream.finished, stream.ended) = (true, Some(Reason::Ended));
            Ok(Status::OK)
        })
    })
}

unsafe extern "C" fn poll_notice(
    host: *const Host,
    publisher: Handle,
    waker: *mut Waker,
    value: *mut u32,
) -> RawStatus {
    enter(host, "poll_notice", |shared| {
        let Object::Publisher(key) = shared.find(publisher)? else {
            return Err(Error::new(Status::HANDLE, "no publisher"));
        };
        let mut state = shared.lock();
        let stream = state.streams.entry(key).or_default();
        let (status, number) = match (stream.notices.pop_front(), stream.ended) {
            (Some(Notice::FirstReader), _) => (Status::OK, NOTICE_FIRST_READER),
            (Some(Notice::LastReader), _) => (Status::OK, NOTICE_LAST_READER),
            (Some(Notice::KeyframeWanted), _) => (Status::OK, NOTICE_KEYFRAME_WANTED),
            (Some(Notice::Other(other)), _) => (Status::OK, other),
            (Some(Notice::Ended(reason)), _) | (None, Some(reason)) => {
                (Status::END, reason.to_abi())
            }
            (None, None) => return pending(waker, |cx| state.wait(cx)),
        };
        put(value, number);
        Ok(status)
    })
}

unsafe extern "C" fn subscribe(
    host: *const Host,
    options: *const Subscribe,
    out: *mut Handle,
) -> RawStatus {
    // SAFETY: streams.h: lent for the call.
    let options = unsafe { *options };
    enter(host, "subscribe", |shared| {
        let url = owned(options.url);
        allowed(shared, Action::Play, &url)?;
        let mut state = shared.lock();
        if options.wait < 0
            && state.streams.get(&key(&url)).is_none_or(|stream| stream.shape().is_none())
        {
            return Err(Error::not_found(format!("{} is not published", key(&url))));
        }
        let place = Arc::new(Mutex::new((usize::MAX, false)));
        put(out, state.add(Object::Subscription(key(&url), place)));
        shared.changed(state);
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_subscribe(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
) -> RawStatus {
    enter(host, "poll_subscribe", |shared| {
        let Object::Subscription(key, place) = shared.find(handle)? else {
            return Err(Error::new(Status::HANDLE, "no subscription"));
        };
        let mut state = shared.lock();
        match state.streams.get_mut(&key) {
            Some(stream) if stream.shape().is_some() => {
                stream.notices.push_back(Notice::FirstReader);
                *place.lock().unwrap_or_else(PoisonError::into_inner) = (stream.start().0, false);
                shared.changed(state);
                Ok(Status::OK)
            }
            _ => pending(waker, |cx| state.wait(cx)),
        }
    })
}

unsafe extern "C" fn poll_read(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    max: usize,
    on_batch: Option<OnBatch>,
    ctx: *mut c_void,
    reason: *mut u32,
) -> RawStatus {
    enter(host, "poll_read", |shared| {
        let Object::Subscription(key, place) = shared.find(handle)? else {
            return Err(Error::new(Status::HANDLE, "no subscription"));
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = shared.lock();
        let Some(stream) = state.streams.get(&key) else { return Err(Error::state("no stream")) };
        let mut shape = if place.1 { None } else { stream.start().1 };
        let (mut frames, mut at) = (Vec::new(), place.0);
        while let Some(entry) = stream.entries.get(at).filter(|_| frames.len() < max) {
            match entry {
                Entry::Frame(frame) => frames.push(frame.clone()),
                Entry::Shape(_) if !frames.is_empty() => break,
                Entry::Shape(next) => shape = Some(Arc::clone(next)),
            }
            at += 1;
        }
        if shape.is_none() && frames.is_empty() {
            let Some(ended) = stream.ended else { return pending(waker, |cx| state.wait(cx)) };
            put(reason, ended.to_abi());
            return Ok(Status::END);
        }
        drop(state);
        *place = (at, true);
        let give = |shape: *const RawShape| {
            with_frames(&frames, |pointers| {
                let n_frames = u32::try_from(frames.len()).unwrap_or(0);
                let struct_size = size_u32::<Batch>();
                let batch = Batch { struct_size, n_frames, shape, frames: pointers, lost: 0 };
                if let Some(on_batch) = on_batch {
                    // SAFETY: streams.h: at most once, with the caller's context; the batch is lent.
                    unsafe { on_batch(ctx, &raw const batch) };
                }
            });
        };
        match &shape {
            Some(shape) => with_shape(shape, give),
            None => give(std::ptr::null()),
        }
        Ok(Status::OK)
    })
}

pub(super) unsafe extern "C" fn poll_check(
    host: *const Host,
    request: *const AuthRequest,
    _: *mut Waker,
) -> RawStatus {
    // SAFETY: auth.h: lent for the call.
    let request = unsafe { *request };
    enter(host, "poll_check", |shared| {
        let action = if request.action == ACTION_PUBLISH { Action::Publish } else { Action::Play };
        allowed(shared, action, &owned(request.url)).map(|()| Status::OK)
    })
}
