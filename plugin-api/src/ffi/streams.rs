//! Calls of pc.streams/1.
#![expect(unsafe_code, reason = "calls through the host's tables and a callback")]

use std::ffi::c_void;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Instance, Owned, budget, call, convert, guard, lend, size_u32};
use crate::abi::core::Handle;
use crate::abi::streams as abi;
use crate::error::{Error, Status};
use crate::frame::{Frame, Track};
use crate::mem::Buf;
use crate::stream::Batch;

/// Frames that cross in one call without a buffer on the heap.
const FRAMES: usize = 16;

const NO_FRAME: abi::Frame = abi::Frame {
    struct_size: 0,
    track: 0,
    config: 0,
    flags: 0,
    dts: 0,
    pts: 0,
    duration: 0,
    captured: 0,
    n_parts: 0,
    reserved: 0,
    parts: std::ptr::null(),
};

/// What `poll_read` is asked for, and what its callback leaves here.
struct Read<'a> {
    instance: &'a Instance,
    batch: Option<Result<Batch, Error>>,
}

impl Instance {
    /// Counted memory with a copy of `bytes`.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Result<Buf, Error> {
        let mut buf = self.alloc(bytes.len())?;
        buf.extend_from_slice(bytes);
        Ok(buf.freeze())
    }

    pub(crate) fn publish(
        self: &Arc<Self>,
        url: &str,
        conn: Handle,
        protocol: &str,
        agent: &str,
    ) -> Result<Owned, Error> {
        let options = abi::Publish {
            struct_size: size_u32::<abi::Publish>(),
            flags: 0,
            url: lend(url),
            conn,
            protocol: lend(protocol),
            agent: lend(agent),
        };
        let mut publisher = 0;
        call!(self, streams.publish(&raw const options, &raw mut publisher))?;
        Ok(Owned::new(self, publisher))
    }

    pub(crate) fn poll_publish(
        &self,
        publisher: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, streams.poll_publish(publisher, waker))).map_ok(|_| ())
    }

    pub(crate) fn set_tracks(&self, publisher: Handle, tracks: &[Track]) -> Result<(), Error> {
        let tracks: Vec<_> = tracks.iter().map(convert::track_to_abi).collect();
        let tracks: Vec<*const abi::Track> = tracks.iter().map(|track| &raw const *track).collect();
        call!(self, streams.set_tracks(publisher, tracks.as_ptr(), tracks.len())).map(|_| ())
    }

    /// The last status that is not plain "ok": dropped, end.
    pub(crate) fn push(&self, publisher: Handle, frames: &[Frame]) -> Result<Status, Error> {
        let mut result = Status::OK;
        for frames in frames.chunks(FRAMES) {
            let mut storage = [NO_FRAME; FRAMES];
            let mut pointers = [std::ptr::null::<abi::Frame>(); FRAMES];
            for ((slot, pointer), frame) in storage.iter_mut().zip(&mut pointers).zip(frames) {
                *slot = convert::frame_to_abi(frame);
                *pointer = &raw const *slot;
            }
            match call!(self, streams.push(publisher, pointers.as_ptr(), frames.len()))? {
                Status::OK => {}
                Status::END => return Ok(Status::END),
                other => result = other,
            }
        }
        Ok(result)
    }

    pub(crate) fn ready(&self, publisher: Handle) -> Result<(), Error> {
        call!(self, streams.ready(publisher)).map(|_| ())
    }

    pub(crate) fn finish(&self, publisher: Handle) -> Result<(), Error> {
        call!(self, streams.finish(publisher)).map(|_| ())
    }

    /// The status and the notice or reason.
    pub(crate) fn poll_notice(
        &self,
        publisher: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(Status, u32), Error>> {
        let mut value = 0;
        let status =
            ready!(self.poll(cx, |waker| call!(
                self,
                streams.poll_notice(publisher, waker, &raw mut value)
            )))?;
        Poll::Ready(Ok((status, value)))
    }

    /// `options` as it goes to the host, but for the texts.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        url: &str,
        protocol: &str,
        options: abi::Subscribe,
    ) -> Result<Owned, Error> {
        let options = abi::Subscribe { url: lend(url), protocol: lend(protocol), ..options };
        let mut subscription = 0;
        call!(self, streams.subscribe(&raw const options, &raw mut subscription))?;
        Ok(Owned::new(self, subscription))
    }

    pub(crate) fn poll_subscribe(
        &self,
        subscription: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, streams.poll_subscribe(subscription, waker)))
            .map_ok(|_| ())
    }

    /// A batch, or the reason why there are no more.
    pub(crate) fn poll_batch(
        &self,
        subscription: Handle,
        max: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Result<Batch, u32>, Error>> {
        ready!(budget::spend(cx));
        let mut read = Read { instance: self, batch: None };
        let ctx = (&raw mut read).cast::<c_void>();
        let mut reason = 0;
        let status = ready!(self.poll(cx, |waker| {
            call!(
                self,
                streams.poll_read(subscription, waker, max, Some(on_batch), ctx, &raw mut reason)
            )
        }))?;
        if status == Status::END {
            return Poll::Ready(Ok(Err(reason)));
        }
        Poll::Ready(read.batch.unwrap_or_else(|| Ok(Batch::default())).map(Ok))
    }
}

unsafe extern "C" fn on_batch(ctx: *mut c_void, batch: *const abi::Batch) {
    // SAFETY: streams.h: called at most once, during `poll_batch`, with its context.
    let read = unsafe { &mut *ctx.cast::<Read<'_>>() };
    // SAFETY: streams.h: lent for the callback.
    let batch = unsafe { &*batch };
    let convert = || {
        let copy = |bytes: &[u8]| read.instance.copy(bytes);
        let mut result = Batch { lost: batch.lost, ..Batch::default() };
        if !batch.shape.is_null() {
            // SAFETY: streams.h: lent for the callback.
            result.shape = Some(Arc::new(unsafe { convert::shape_from_abi(batch.shape, &copy) }?));
        }
        let n = batch.n_frames as usize;
        // SAFETY: streams.h: `n_frames` pointers, lent for the callback.
        unsafe { convert::frames_from_abi(batch.frames, n, &mut result.frames, &copy) }?;
        Ok(result)
    };
    read.batch = Some(guard::catch(convert).and_then(std::convert::identity));
}
