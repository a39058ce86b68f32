//! A plugin's packager as the host's trait: plain calls, with the feed's output lent for each.
#![expect(unsafe_code, reason = "calls a plugin's table, and is called back through it")]

use std::ffi::c_void;

use plugin_api::abi::core::{self as abi, OK, Status};
use plugin_api::abi::feeds::{self as wire, FeedOut as AbiFeedOut, PackagerVtable};
use plugin_api::abi::mem::Buf;
use plugin_api::frame::{Frame, Shape};

use super::call::{self, Fault};
use super::future::Context0;
use super::{borrow, media};
use crate::hub::feed::{FeedOut, Packager, PackagerError, PackagerFactory, PacketRef};
use crate::plugin::instance::{self, Instance};

/// A registration: the table and context that packagers are opened with.
pub(super) struct Factory {
    table: Table,
    ctx: Context0,
    _alive: instance::Context,
}

#[derive(Clone, Copy)]
struct Table {
    vtable: &'static PackagerVtable,
    instance: &'static Instance,
}

impl Factory {
    pub(super) fn new(
        instance: &'static Instance,
        vtable: *const PackagerVtable,
        ctx: *mut c_void,
    ) -> Result<Self, Fault> {
        let vtable: &'static PackagerVtable = borrow::sized(vtable, "the packager's table")?;
        let calls = [
            vtable.open.is_some(),
            vtable.on_shape.is_some(),
            vtable.on_frames.is_some(),
            vtable.close.is_some(),
            vtable.drop.is_some(),
        ];
        if calls.contains(&false) {
            return Err(Fault::invalid("the packager's table lacks a function"));
        }
        Ok(Self {
            table: Table { vtable, instance },
            ctx: Context0(ctx),
            _alive: instance.census.context(),
        })
    }
}

impl Drop for Factory {
    fn drop(&mut self) {
        let Some(drop_ctx) = self.table.vtable.drop else { return };
        let _inside = self.table.instance.census.enter();
        // SAFETY: core.h: once, after the last callback: open packagers keep the factory alive.
        unsafe { drop_ctx(self.ctx.0) };
    }
}

/// The factory behind a count, so that packagers keep it alive.
pub(super) struct SharedFactory(pub(super) std::sync::Arc<Factory>);

impl PackagerFactory for SharedFactory {
    fn open(
        &self,
        shape: &Shape,
        variant: &str,
        out: &mut dyn FeedOut,
    ) -> Result<Box<dyn Packager>, PackagerError> {
        let factory = &self.0;
        let mut packager = std::ptr::null_mut();
        let open = factory.table.vtable.open;
        factory.table.guard("packager open", out, |out| {
            media::with_shape(shape, |shape| {
                let variant = borrow::lend(variant);
                // SAFETY: feeds.h: [io]; all arguments are lent for the call.
                open.map_or(abi::E_STATE, |open| unsafe {
                    open(factory.ctx.0, shape, variant, &raw const OUT, out, &raw mut packager)
                })
            })
        })?;
        let factory = std::sync::Arc::clone(factory);
        Ok(Box::new(Opened { factory, packager: Context0(packager) }))
    }
}

/// An open packager of a plugin.
struct Opened {
    factory: std::sync::Arc<Factory>,
    packager: Context0,
}

impl Packager for Opened {
    fn on_shape(&mut self, shape: &Shape, out: &mut dyn FeedOut) -> Result<(), PackagerError> {
        let on_shape = self.factory.table.vtable.on_shape;
        self.factory.table.guard("packager on_shape", out, |out| {
            media::with_shape(shape, |shape| {
                // SAFETY: feeds.h: [io], ordered, between open and close; arguments are lent for the call.
                on_shape.map_or(abi::E_STATE, |on_shape| unsafe {
                    on_shape(self.packager.0, shape, &raw const OUT, out)
                })
            })
        })
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut dyn FeedOut) -> Result<(), PackagerError> {
        let on_frames = self.factory.table.vtable.on_frames;
        self.factory.table.guard("packager on_frames", out, |out| {
            media::with_frames(frames, |frames| {
                let (data, n) = (frames.as_ptr(), frames.len());
                // SAFETY: feeds.h: [io], ordered, between open and close; arguments are lent for the call.
                on_frames.map_or(abi::E_STATE, |on_frames| unsafe {
                    on_frames(self.packager.0, data, n, &raw const OUT, out)
                })
            })
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(close) = self.factory.table.vtable.close else { return };
        let _inside = self.factory.table.instance.census.enter();
        // SAFETY: feeds.h: once, the packager's last call.
        unsafe { close(self.packager.0) };
    }
}

impl Table {
    /// Makes one call with the feed's output lent to it, and turns its status into a result.
    fn guard(
        self,
        what: &str,
        out: &mut dyn FeedOut,
        body: impl FnOnce(*mut c_void) -> Status,
    ) -> Result<(), PackagerError> {
        let mut lent: &mut dyn FeedOut = out;
        call::clear_last();
        let inside = self.instance.census.enter();
        let status = body((&raw mut lent).cast());
        drop(inside);
        match status {
            status if status >= 0 => Ok(()),
            abi::E_UNSUPPORTED => Err(PackagerError::unsupported(call::text_of(status))),
            status => {
                let text = call::text_of(status);
                self.instance.fault(what, &text);
                Err(PackagerError::failed(text))
            }
        }
    }
}

static OUT: AbiFeedOut = AbiFeedOut {
    struct_size: super::size_of_table::<AbiFeedOut>(),
    revision: 1,
    set_head: Some(set_head),
    write: Some(write),
};

/// Packets taken from one call to `write` at a time.
const PACKETS_MAX: usize = 4096;

fn answer(body: impl FnOnce() -> Result<(), Fault>) -> Status {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(Ok(())) => OK,
        Ok(Err(fault)) => {
            call::set_last(fault.status, &fault.text);
            fault.status
        }
        Err(_) => abi::E_INTERNAL,
    }
}

fn lent<'call>(out: *mut c_void) -> Result<&'call mut dyn FeedOut, Fault> {
    let out = out.cast::<&'call mut dyn FeedOut>();
    if out.is_null() || !out.is_aligned() {
        return Err(Fault::invalid("out is NULL"));
    }
    // SAFETY: feeds.h: `out` is what `guard` lent, valid during the packager's call, which is on this thread.
    Ok(unsafe { &mut **out })
}

fn failed(error: PackagerError) -> Fault {
    Fault::new(abi::E_LIMIT, error.text)
}

unsafe extern "C" fn set_head(
    out: *mut c_void,
    preamble: *const Buf,
    n_preamble: usize,
    config: *const Buf,
    n_config: usize,
    head: *mut u32,
) -> Status {
    answer(|| {
        let preamble = borrow::parts(preamble, n_preamble)?;
        let config = borrow::parts(config, n_config)?;
        let number = lent(out)?.set_head(&preamble, &config).map_err(failed)?;
        borrow::put(head, number, "head")
    })
}

unsafe extern "C" fn write(
    out: *mut c_void,
    packets: *const *const wire::Packet,
    n: usize,
) -> Status {
    answer(|| {
        if n > PACKETS_MAX {
            return Err(Fault::invalid(format!(
                "{n} packets are more than {PACKETS_MAX} in one write"
            )));
        }
        let packets: Vec<&wire::Packet> =
            borrow::sized_array(packets, n, "packets")?.collect::<Result<_, _>>()?;
        let mut parts: Vec<&[u8]> = Vec::with_capacity(n);
        let mut counts = Vec::with_capacity(n);
        for packet in &packets {
            let own =
                borrow::parts(packet.parts, usize::try_from(packet.n_parts).unwrap_or(usize::MAX))?;
            counts.push(own.len());
            parts.extend(own);
        }
        let mut rest = parts.as_slice();
        let packets: Vec<PacketRef<'_>> = packets
            .iter()
            .zip(counts)
            .map(|(packet, count)| {
                let (own, after) = rest.split_at(count);
                rest = after;
                PacketRef {
                    start_point: packet.flags & wire::PACKET_START_POINT != 0,
                    droppable: packet.flags & wire::PACKET_DROPPABLE != 0,
                    dts: packet.dts,
                    head: packet.head,
                    parts: own,
                }
            })
            .collect();
        lent(out)?.write(&packets).map_err(failed)
    })
}
