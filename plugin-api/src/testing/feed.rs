//! pc.feeds/1 of the fake host: one packager for each viewer, its packets written straight to the connection.
#![expect(unsafe_code, reason = "the other side of the C tables")]

use std::ffi::c_void;
use std::io::IoSlice;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::FakeHost;
use super::exec::pending;
use super::net::Conn;
use super::state::{Entry, Object, Shared, Stream};
use super::streams::{allowed, key, with_frames, with_shape};
use super::tables::{enter, owned, put, result};
use crate::abi::core::{Handle, Host, Status as RawStatus, Str, Waker};
use crate::abi::feeds::{
    Detached, FeedOut, FeedsApi, PACKET_DROPPABLE, PACKET_START_POINT, PackagerVtable, Packet,
    Prepare,
};
use crate::abi::mem::Buf;
use crate::auth::Action;
use crate::error::{Error, Status};
use crate::feed::{Packager, PacketFlags};
use crate::ffi::convert::slice;
use crate::ffi::packager::registration_into_abi;
use crate::ffi::{lend, size_u32};
use crate::frame::{Frame, Ns, Shape};
use crate::stream::{Notice, Reason};

pub(super) static FEEDS: FeedsApi = FeedsApi {
    struct_size: size_u32::<FeedsApi>(),
    revision: 1,
    register_packager: Some(register_packager),
    prepare: Some(prepare),
    poll_prepared: Some(poll_prepared),
    attach: Some(attach),
    inject: Some(inject),
    detach: Some(detach),
    poll_detached: Some(poll_detached),
};

static OUT: FeedOut = FeedOut {
    struct_size: size_u32::<FeedOut>(),
    revision: 1,
    set_head: Some(set_head),
    write: Some(write),
};

/// A registration; its context is dropped with it.
pub(super) struct PackagerEntry {
    vtable: &'static PackagerVtable,
    ctx: *mut c_void,
}

// SAFETY: feeds.h: the context is shared by all feeds of the registration, on any worker.
unsafe impl Send for PackagerEntry {}
// SAFETY: as above.
unsafe impl Sync for PackagerEntry {}

impl Drop for PackagerEntry {
    fn drop(&mut self) {
        if let Some(drop) = self.vtable.drop {
            // SAFETY: feeds.h: once, after the last feed, each of which holds a share of this entry.
            unsafe { drop(self.ctx) };
        }
    }
}

/// A packet that a packager wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPacket {
    pub flags: PacketFlags,
    pub dts: Ns,
    pub head: u32,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Written {
    heads: Vec<(Vec<u8>, Vec<u8>)>,
    packets: Vec<FeedPacket>,
}

/// A packager at work, called through its C table, for tests that need no connection.
pub struct Feed {
    entry: Arc<PackagerEntry>,
    packager: *mut c_void,
    written: Box<Written>,
}

// SAFETY: feeds.h: calls for one feed come from any worker, one at a time, as `&mut self` asks.
unsafe impl Send for Feed {}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({} packets)", self.written.packets.len())
    }
}

impl Feed {
    /// Opens a packager.
    ///
    /// # Errors
    /// What the packager refused with.
    pub fn open<P: Packager>(
        host: &FakeHost,
        context: P::Context,
        shape: &Shape,
        variant: &str,
    ) -> Result<Self, Error> {
        let (vtable, ctx) = registration_into_abi::<P>(&host.host().instance, context);
        Self::open_entry(Arc::new(PackagerEntry { vtable, ctx }), shape, variant)
    }

    fn open_entry(entry: Arc<PackagerEntry>, shape: &Shape, variant: &str) -> Result<Self, Error> {
        let open = entry.vtable.open.ok_or_else(|| Error::invalid("no open"))?;
        let mut feed = Self { entry, packager: null_mut(), written: Box::default() };
        let (out, ctx) = (feed.out(), feed.entry.ctx);
        let packager = &raw mut feed.packager;
        let status = with_shape(shape, |shape| {
            // SAFETY: feeds.h: everything is lent for the call.
            unsafe { open(ctx, shape, lend(variant), &raw const OUT, out, packager) }
        });
        result(status)?;
        if feed.written.heads.is_empty() {
            return Err(Error::invalid("open has set no head"));
        }
        Ok(feed)
    }

    /// Gives it another shape.
    ///
    /// # Errors
    /// What the packager failed with.
    pub fn on_shape(&mut self, shape: &Shape) -> Result<(), Error> {
        let (out, on_shape) = (self.out(), self.entry.vtable.on_shape);
        let on_shape = on_shape.ok_or_else(|| Error::invalid("no on_shape"))?;
        // SAFETY: feeds.h: everything is lent for the call.
        let status = with_shape(shape, |shape| unsafe {
            on_shape(self.packager, shape, &raw const OUT, out)
        });
        result(status).map(|_| ())
    }

    /// Gives it frames.
    ///
    /// # Errors
    /// What the packager failed with.
    pub fn on_frames(&mut self, frames: &[Frame]) -> Result<(), Error> {
        let (out, on_frames) = (self.out(), self.entry.vtable.on_frames);
        let on_frames = on_frames.ok_or_else(|| Error::invalid("no on_frames"))?;
        let status = with_frames(frames, |pointers| {
            // SAFETY: feeds.h: everything is lent for the call.
            unsafe { on_frames(self.packager, pointers, frames.len(), &raw const OUT, out) }
        });
        result(status).map(|_| ())
    }

    /// Preamble and config of every head, in order.
    pub fn heads(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.written.heads
    }

    /// Every packet so far.
    pub fn packets(&self) -> &[FeedPacket] {
        &self.written.packets
    }

    fn out(&mut self) -> *mut c_void {
        (&raw mut *self.written).cast()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(close) = self.entry.vtable.close.filter(|_| !self.packager.is_null()) {
            // SAFETY: feeds.h: the last call for this packager.
            unsafe { close(self.packager) };
        }
    }
}

pub(super) fn gather(parts: *const Buf, n: usize) -> Vec<u8> {
    // SAFETY: feeds.h: `n` parts, lent for the call.
    let parts = unsafe { slice(parts, n) };
    // SAFETY: mem.h: readable bytes.
    parts.iter().flat_map(|part| unsafe { slice(part.data, part.len) }).copied().collect()
}

unsafe extern "C" fn set_head(
    out: *mut c_void,
    preamble: *const Buf,
    n_preamble: usize,
    config: *const Buf,
    n_config: usize,
    head: *mut u32,
) -> RawStatus {
    // SAFETY: feeds.h: valid during the packager's call.
    let written = unsafe { &mut *out.cast::<Written>() };
    written.heads.push((gather(preamble, n_preamble), gather(config, n_config)));
    put(head, u32::try_from(written.heads.len()).unwrap_or(0));
    Status::OK.0
}

unsafe extern "C" fn write(out: *mut c_void, packets: *const *const Packet, n: usize) -> RawStatus {
    // SAFETY: feeds.h: valid during the packager's call.
    let written = unsafe { &mut *out.cast::<Written>() };
    // SAFETY: feeds.h: `n` packets, lent for the call.
    for packet in unsafe { slice(packets, n) } {
        // SAFETY: as above.
        let packet = unsafe { &**packet };
        if packet.head == 0 || packet.head as usize > written.heads.len() {
            return Status::INVALID.0;
        }
        let flags = PacketFlags {
            start_point: packet.flags & PACKET_START_POINT != 0,
            droppable: packet.flags & PACKET_DROPPABLE != 0,
        };
        let bytes = gather(packet.parts, packet.n_parts as usize);
        written.packets.push(FeedPacket { flags, dts: packet.dts, head: packet.head, bytes });
    }
    Status::OK.0
}

/// A viewer's pump and what the session says to it.
pub(super) struct ViewerState {
    conn: Arc<Conn>,
    detach: AtomicBool,
    closed: AtomicBool,
    injected: Mutex<Vec<u8>>,
    detached: Mutex<Option<(Reason, u64)>>,
}

impl ViewerState {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    fn detached(&self) -> MutexGuard<'_, Option<(Reason, u64)>> {
        self.detached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn injected(&self) -> MutexGuard<'_, Vec<u8>> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what the packager makes of a stream until something ends it.
async fn pump(
    shared: &'static Shared,
    viewer: &ViewerState,
    mut feed: Feed,
    key: &str,
    mut place: usize,
    first: Vec<u8>,
    bytes: &mut u64,
) -> Reason {
    let (preamble, config) = feed.written.heads.last().cloned().unwrap_or_default();
    let mut out = [first, preamble, config].concat();
    loop {
        out.extend(feed.written.packets.drain(..).flat_map(|packet| packet.bytes));
        out.append(&mut viewer.injected());
        let mut rest = &out[..];
        while !rest.is_empty() {
            let sent =
                std::future::poll_fn(|cx| viewer.conn.poll_write(cx, &[IoSlice::new(rest)])).await;
            let Ok(sent) = sent else { return Reason::PeerClosed };
            rest = &rest[sent..];
            *bytes += sent as u64;
        }
        out.clear();
        let next = std::future::poll_fn(|cx| {
            let mut state = shared.lock();
            let stream = state.streams.get(key);
            let next = stream.and_then(|stream| stream.entries.get(place).cloned());
            let end = match stream.and_then(|stream| stream.ended) {
                _ if viewer.detach.load(Ordering::SeqCst) => Some(Reason::Asked),
                _ if viewer.closed.load(Ordering::SeqCst) || state.stopped => Some(Reason::Stopped),
                ended => ended.filter(|_| next.is_none()),
            };
            match (end, next) {
                (Some(reason), _) => Poll::Ready(Err(reason)),
                (None, Some(entry)) => Poll::Ready(Ok(Some(entry))),
                (None, None) if !viewer.injected().is_empty() => Poll::Ready(Ok(None)),
                (None, None) => {
                    state.wait(cx);
                    Poll::Pending
                }
            }
        });
        let done = match next.await {
            Err(reason) => return reason,
            Ok(None) => continue,
            Ok(Some(Entry::Frame(frame))) => feed.on_frames(&[frame]),
            Ok(Some(Entry::Shape(shape))) => feed.on_shape(&shape),
        };
        if done.is_err() {
            return Reason::Error;
        }
        place += 1;
    }
}

fn viewer(object: Object) -> Result<Arc<ViewerState>, Error> {
    match object {
        Object::Viewer(viewer) => Ok(viewer),
        _ => Err(Error::new(Status::HANDLE, "no viewer")),
    }
}

unsafe extern "C" fn register_packager(
    host: *const Host,
    format: Str,
    vtable: *const PackagerVtable,
    ctx: *mut c_void,
    out: *mut Handle,
) -> RawStatus {
    // SAFETY: feeds.h: tables are valid for the life of the process.
    let entry = Arc::new(PackagerEntry { vtable: unsafe { &*vtable }, ctx });
    let format = owned(format);
    enter(host, "register_packager", |shared| {
        let mut state = shared.lock();
        if state.packagers.contains_key(&format) {
            return Err(Error::conflict(format!("there is a packager for {format}")));
        }
        state.packagers.insert(format.clone(), entry);
        put(out, state.add(Object::Packager(format)));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn prepare(
    host: *const Host,
    options: *const Prepare,
    out: *mut Handle,
) -> RawStatus {
    // SAFETY: feeds.h: lent for the call.
    let options = unsafe { *options };
    enter(host, "prepare", |shared| {
        let (url, format, variant) =
            (owned(options.url), owned(options.format), owned(options.variant));
        allowed(shared, Action::Play, &url)?;
        let mut state = shared.lock();
        if options.wait < 0 && !state.streams.get(&key(&url)).is_some_and(Stream::is_readable) {
            return Err(Error::not_found(format!("{} is not published", key(&url))));
        }
        if !state.packagers.contains_key(&format) {
            return Err(Error::unsupported(format!("no packager for {format}")));
        }
        put(out, state.add(Object::Prepared(key(&url), format, variant)));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_prepared(
    host: *const Host,
    prepared: Handle,
    waker: *mut Waker,
) -> RawStatus {
    enter(host, "poll_prepared", |shared| {
        let Object::Prepared(key, ..) = shared.find(prepared)? else {
            return Err(Error::new(Status::HANDLE, "nothing prepared"));
        };
        let mut state = shared.lock();
        match state.streams.get(&key) {
            Some(stream) if stream.is_readable() => Ok(Status::OK),
            _ => pending(waker, |cx| state.wait(cx)),
        }
    })
}

unsafe extern "C" fn attach(
    host: *const Host,
    conn: Handle,
    prepared: Handle,
    first: *const Buf,
    n_first: usize,
    out: *mut Handle,
) -> RawStatus {
    let first = gather(first, n_first);
    enter(host, "attach", |shared| {
        let Object::Conn(conn) = shared.find(conn)? else {
            return Err(Error::new(Status::HANDLE, "no connection"));
        };
        let Object::Prepared(key, format, variant) = shared.find(prepared)? else {
            return Err(Error::new(Status::HANDLE, "nothing prepared"));
        };
        let mut state = shared.lock();
        let entry = state.packagers.get(&format).cloned();
        let entry = entry.ok_or_else(|| Error::unsupported(format!("no packager for {format}")))?;
        let stream = state.streams.entry(key.clone()).or_default();
        let (mut place, mut shape) = stream.start();
        if let (None, Some(Entry::Shape(next))) = (&shape, stream.entries.get(place)) {
            shape = Some(Arc::clone(next));
            place += 1;
        }
        stream.notices.push_back(Notice::FirstReader);
        let shape = shape.ok_or_else(|| Error::state("the stream has no tracks"))?;
        shared.changed(state);
        let feed = Feed::open_entry(entry, &shape, &variant)?;
        if conn.lent.swap(true, Ordering::SeqCst) {
            return Err(Error::state("the write half is lent already"));
        }
        let viewer = Arc::new(ViewerState {
            conn,
            detach: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            injected: Mutex::default(),
            detached: Mutex::default(),
        });
        let mut state = shared.lock();
        state.objects.remove(&prepared);
        put(out, state.add(Object::Viewer(Arc::clone(&viewer))));
        drop(state);
        // A task of the host's own, so that the stop waits for it and for its packager.
        let pump = shared.start(0, async move {
            let mut bytes = 0;
            let reason = pump(shared, &viewer, feed, &key, place, first, &mut bytes).await;
            viewer.conn.lent.store(false, Ordering::SeqCst);
            *viewer.detached() = Some((reason, bytes));
            shared.changed(shared.lock());
            Ok(())
        });
        shared.lock().objects.remove(&pump);
        Ok(Status::OK)
    })
}

unsafe extern "C" fn inject(
    host: *const Host,
    handle: Handle,
    parts: *const Buf,
    n: usize,
) -> RawStatus {
    let message = gather(parts, n);
    enter(host, "inject", |shared| {
        let viewer = viewer(shared.find(handle)?)?;
        if viewer.detached().is_some() {
            return Ok(Status::END);
        }
        viewer.injected().extend(message);
        shared.changed(shared.lock());
        Ok(Status::OK)
    })
}

unsafe extern "C" fn detach(host: *const Host, handle: Handle) -> RawStatus {
    enter(host, "detach", |shared| {
        viewer(shared.find(handle)?)?.detach.store(true, Ordering::SeqCst);
        shared.changed(shared.lock());
        Ok(Status::OK)
    })
}

unsafe extern "C" fn poll_detached(
    host: *const Host,
    handle: Handle,
    waker: *mut Waker,
    out: *mut Detached,
) -> RawStatus {
    enter(host, "poll_detached", |shared| {
        let viewer = viewer(shared.find(handle)?)?;
        let mut state = shared.lock();
        let Some((reason, bytes)) = *viewer.detached() else {
            return pending(waker, |cx| state.wait(cx));
        };
        let struct_size = size_u32::<Detached>();
        put(out, Detached { struct_size, reason: reason.to_abi(), bytes, skipped: 0 });
        Ok(Status::OK)
    })
}
