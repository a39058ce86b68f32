//! Calls of pc.feeds/1.
#![expect(unsafe_code, reason = "calls through the host's tables")]

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::packager::registration_into_abi;
use super::{Instance, Owned, call, lend, size_u32};
use crate::abi::core::{Handle, Ns};
use crate::abi::feeds as abi;
use crate::abi::mem::Buf;
use crate::error::Error;
use crate::feed::Packager;

impl Instance {
    pub(crate) fn register_packager<P: Packager>(
        self: &Arc<Self>,
        format: &str,
        context: P::Context,
    ) -> Result<Owned, Error> {
        self.must_offer(self.feeds.register_packager.is_some(), "feeds.register_packager")?;
        let mut handle = 0;
        let (vtable, ctx) = registration_into_abi::<P>(self, context);
        call!(self, feeds.register_packager(lend(format), vtable, ctx, &raw mut handle))?;
        Ok(Owned::new(self, handle))
    }

    pub(crate) fn prepare(
        self: &Arc<Self>,
        url: &str,
        (format, variant): (&str, &str),
        conn: Handle,
        agent: &str,
        wait: Ns,
    ) -> Result<Owned, Error> {
        let options = abi::Prepare {
            struct_size: size_u32::<abi::Prepare>(),
            flags: 0,
            url: lend(url),
            format: lend(format),
            variant: lend(variant),
            conn,
            agent: lend(agent),
            wait,
        };
        let mut prepared = 0;
        call!(self, feeds.prepare(&raw const options, &raw mut prepared))?;
        Ok(Owned::new(self, prepared))
    }

    pub(crate) fn poll_prepared(
        &self,
        prepared: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.poll(cx, |waker| call!(self, feeds.poll_prepared(prepared, waker))).map_ok(|_| ())
    }

    pub(crate) fn attach(
        self: &Arc<Self>,
        conn: Handle,
        prepared: Handle,
        first: &[&[u8]],
    ) -> Result<Owned, Error> {
        let first = lend_parts(first);
        let mut viewer = 0;
        call!(self, feeds.attach(conn, prepared, first.as_ptr(), first.len(), &raw mut viewer))?;
        Ok(Owned::new(self, viewer))
    }

    pub(crate) fn inject(&self, viewer: Handle, parts: &[&[u8]]) -> Result<crate::Status, Error> {
        let parts = lend_parts(parts);
        call!(self, feeds.inject(viewer, parts.as_ptr(), parts.len()))
    }

    pub(crate) fn detach(&self, viewer: Handle) -> Result<(), Error> {
        call!(self, feeds.detach(viewer)).map(|_| ())
    }

    pub(crate) fn poll_detached(
        &self,
        viewer: Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<abi::Detached, Error>> {
        let struct_size = size_u32::<abi::Detached>();
        let mut detached = abi::Detached { struct_size, ..abi::Detached::default() };
        ready!(
            self.poll(cx, |waker| call!(
                self,
                feeds.poll_detached(viewer, waker, &raw mut detached)
            ))
        )?;
        Poll::Ready(Ok(detached))
    }
}

/// Bytes without memory of their own, lent for one call.
pub(crate) fn lend_part(part: &[u8]) -> Buf {
    Buf { data: part.as_ptr(), len: part.len(), mem: std::ptr::null_mut() }
}

pub(crate) fn lend_parts(parts: &[&[u8]]) -> Vec<Buf> {
    parts.iter().map(|part| lend_part(part)).collect()
}
