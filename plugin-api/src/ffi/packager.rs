//! A [`Packager`] as `pc_packager_vtable`, and what it writes to.
#![expect(unsafe_code, reason = "callbacks of the host with a context pointer")]

use std::ffi::c_void;
use std::sync::Arc;

use super::feeds::lend_part;
use super::{Instance, convert, copy_table, guard, size_u32, text};
use crate::abi::core as core_abi;
use crate::abi::feeds as abi;
use crate::abi::mem::Buf;
use crate::error::{Error, Status};
use crate::feed::{Packager, Packet};
use crate::frame::Frame;

struct Registered<P: Packager> {
    instance: Arc<Instance>,
    context: P::Context,
}

struct Opened<P> {
    instance: Arc<Instance>,
    packager: P,
    scratch: Scratch,
    frames: Vec<Frame>,
}

/// Memory for the structs that cross, kept from call to call.
#[derive(Default)]
struct Scratch {
    parts: Vec<Buf>,
    packets: Vec<abi::Packet>,
    pointers: Vec<*const abi::Packet>,
}

// SAFETY: the pointers are only valid, and only used, inside one call.
unsafe impl Send for Scratch {}

/// What a packager writes to: the feed of one stream, format and variant. It exists during a call only.
pub struct FeedOut<'a> {
    table: abi::FeedOut,
    out: *mut c_void,
    instance: &'a Instance,
    scratch: &'a mut Scratch,
}

impl std::fmt::Debug for FeedOut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FeedOut")
    }
}

impl FeedOut<'_> {
    /// Sets the head for viewers that begin from here on and gives its number, for [`Packet::head`].
    ///
    /// `preamble` is sent once per connection, `config` whenever a viewer begins or resumes under a head that it has not had.
    /// Viewers that read straight through get nothing of it: write the change as packets too.
    ///
    /// # Errors
    /// [`Status::LIMIT`] above 1 MiB.
    pub fn set_head(&mut self, preamble: &[&[u8]], config: &[&[u8]]) -> Result<u32, Error> {
        let Some(set_head) = self.table.set_head else {
            return Err(Error::unsupported("feed without set_head"));
        };
        let parts = &mut self.scratch.parts;
        parts.clear();
        parts.extend(preamble.iter().chain(config).map(|part| lend_part(part)));
        let (first, second) = parts.split_at(preamble.len());
        let mut head = 0;
        // SAFETY: feeds.h: `out` belongs to the table and is valid during the packager's call; parts are lent.
        let status = unsafe {
            set_head(
                self.out,
                first.as_ptr(),
                first.len(),
                second.as_ptr(),
                second.len(),
                &raw mut head,
            )
        };
        self.instance.check(status)?;
        Ok(head)
    }

    /// Appends packets to the feed; the host copies their bytes.
    ///
    /// # Errors
    /// [`Status::INVALID`] when a packet names no known head; [`Status::LIMIT`] above 32 MiB.
    pub fn write(&mut self, packets: &[Packet<'_>]) -> Result<(), Error> {
        let Some(write) = self.table.write else {
            return Err(Error::unsupported("feed without write"));
        };
        let Scratch { parts, packets: structs, pointers } = &mut *self.scratch;
        parts.clear();
        structs.clear();
        pointers.clear();
        parts.extend(packets.iter().flat_map(|packet| packet.parts).map(|part| lend_part(part)));
        let mut rest = &parts[..];
        for packet in packets {
            let (own, others) = rest.split_at(packet.parts.len());
            rest = others;
            structs.push(abi::Packet {
                struct_size: size_u32::<abi::Packet>(),
                flags: packet.flags.to_abi(),
                dts: packet.dts,
                head: packet.head,
                n_parts: u32::try_from(own.len()).unwrap_or(u32::MAX),
                parts: own.as_ptr(),
            });
        }
        pointers.extend(structs.iter().map(|packet| &raw const *packet));
        // SAFETY: feeds.h: `out` belongs to the table and is valid during the packager's call; packets are lent.
        let status = unsafe { write(self.out, pointers.as_ptr(), pointers.len()) };
        self.instance.check(status)?;
        Ok(())
    }
}

/// The table and the context of a registration, whose `drop` frees it.
pub(crate) fn registration_into_abi<P: Packager>(
    instance: &Arc<Instance>,
    context: P::Context,
) -> (&'static abi::PackagerVtable, *mut c_void) {
    let vtable: &'static abi::PackagerVtable = &const {
        abi::PackagerVtable {
            struct_size: size_u32::<abi::PackagerVtable>(),
            revision: 1,
            open: Some(open::<P>),
            on_shape: Some(on_shape::<P>),
            on_frames: Some(on_frames::<P>),
            close: Some(close::<P>),
            drop: Some(drop_registered::<P>),
        }
    };
    let registered = Registered::<P> { instance: Arc::clone(instance), context };
    (vtable, Box::into_raw(Box::new(registered)).cast())
}

unsafe extern "C" fn open<P: Packager>(
    ctx: *mut c_void,
    shape: *const crate::abi::streams::Shape,
    variant: core_abi::Str,
    table: *const abi::FeedOut,
    out: *mut c_void,
    packager: *mut *mut c_void,
) -> core_abi::Status {
    // SAFETY: feeds.h: `ctx` is that of the registration, not dropped yet; feeds open concurrently, so it is shared.
    let Registered { instance, context } = unsafe { &*ctx.cast::<Registered<P>>() };
    guard::status(instance, || {
        let copy = |bytes: &[u8]| instance.copy(bytes);
        // SAFETY: feeds.h: lent for the call.
        let shape = unsafe { convert::shape_from_abi(shape, &copy) }?;
        // SAFETY: feeds.h: lent for the call.
        let variant = unsafe { text(variant) };
        // SAFETY: feeds.h: a table that begins with its size.
        let table = unsafe { copy_table(table) };
        let mut scratch = Scratch::default();
        let mut feed = FeedOut { table, out, instance, scratch: &mut scratch };
        let new = P::open(context, &shape, &variant, &mut feed)?;
        let opened =
            Opened { instance: Arc::clone(instance), packager: new, scratch, frames: Vec::new() };
        // SAFETY: feeds.h: `packager` is the host's, writable for the call.
        unsafe { packager.write(Box::into_raw(Box::new(opened)).cast()) };
        Ok(Status::OK)
    })
}

unsafe extern "C" fn on_shape<P: Packager>(
    packager: *mut c_void,
    shape: *const crate::abi::streams::Shape,
    table: *const abi::FeedOut,
    out: *mut c_void,
) -> core_abi::Status {
    // SAFETY: feeds.h: calls are ordered per feed, and `packager` is what `open` gave.
    let Opened { instance, packager, scratch, .. } = unsafe { &mut *packager.cast::<Opened<P>>() };
    guard::status(instance, || {
        let copy = |bytes: &[u8]| instance.copy(bytes);
        // SAFETY: feeds.h: lent for the call.
        let shape = unsafe { convert::shape_from_abi(shape, &copy) }?;
        // SAFETY: feeds.h: a table that begins with its size.
        let table = unsafe { copy_table(table) };
        packager.on_shape(&shape, &mut FeedOut { table, out, instance, scratch })?;
        Ok(Status::OK)
    })
}

unsafe extern "C" fn on_frames<P: Packager>(
    packager: *mut c_void,
    frames: *const *const crate::abi::streams::Frame,
    n: usize,
    table: *const abi::FeedOut,
    out: *mut c_void,
) -> core_abi::Status {
    // SAFETY: feeds.h: calls are ordered per feed, and `packager` is what `open` gave.
    let opened = unsafe { &mut *packager.cast::<Opened<P>>() };
    let Opened { instance, packager, scratch, frames: converted } = opened;
    guard::status(instance, || {
        let copy = |bytes: &[u8]| instance.copy(bytes);
        converted.clear();
        // SAFETY: feeds.h: `n` frames, lent for the call.
        unsafe { convert::frames_from_abi(frames, n, converted, &copy) }?;
        // SAFETY: feeds.h: a table that begins with its size.
        let table = unsafe { copy_table(table) };
        let result = packager.on_frames(converted, &mut FeedOut { table, out, instance, scratch });
        // The payload is the host's again when the call is over, not at the next one.
        converted.clear();
        result.map(|()| Status::OK)
    })
}

unsafe extern "C" fn close<P: Packager>(packager: *mut c_void) {
    // SAFETY: feeds.h: the last call for what `open` gave.
    let opened = unsafe { Box::from_raw(packager.cast::<Opened<P>>()) };
    let instance = Arc::clone(&opened.instance);
    guard::enter(&instance, || drop(opened)).ok();
}

unsafe extern "C" fn drop_registered<P: Packager>(ctx: *mut c_void) {
    // SAFETY: feeds.h: called once, after the last callback of the registration.
    let registered = unsafe { Box::from_raw(ctx.cast::<Registered<P>>()) };
    let instance = Arc::clone(&registered.instance);
    guard::enter(&instance, || drop(registered)).ok();
}
