//! A plugin's future as a Rust one: polled on the host's workers, dropped by the thread that would poll.
#![expect(unsafe_code, reason = "calls a plugin's table")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use plugin_api::abi::core as abi;

use super::borrow;
use super::call::{self, Fault};
use super::waker::OwnedWaker;
use crate::plugin::instance::{self, Instance};
use crate::task::TaskError;

/// See the module. Owns the plugin's context from the moment it is made.
pub(crate) struct PluginFuture {
    vtable: &'static abi::FutureVtable,
    ctx: Context0,
    instance: &'static Instance,
    waker: Option<OwnedWaker>,
    _alive: instance::Context,
}

/// A plugin's context pointer; what it points to is the plugin's affair.
pub(super) struct Context0(pub(super) *mut std::ffi::c_void);

// SAFETY: core.h, Threads: contexts are used from any host thread, one call at a time.
unsafe impl Send for Context0 {}
// SAFETY: the pointer is only passed back to the plugin.
unsafe impl Sync for Context0 {}

impl PluginFuture {
    /// Takes over a future. When its table is unusable the context can't even be dropped, and is left alone.
    pub(crate) fn new(instance: &'static Instance, future: abi::Future) -> Result<Self, Fault> {
        let vtable: &'static abi::FutureVtable =
            borrow::sized(future.vtable, "the future's table")?;
        if vtable.poll.is_none() || vtable.drop.is_none() {
            return Err(Fault::invalid("the future's table lacks poll or drop"));
        }
        let _alive = instance.census.context();
        Ok(Self { vtable, ctx: Context0(future.ctx), instance, waker: None, _alive })
    }
}

impl Future for PluginFuture {
    type Output = Result<(), TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waker = match this.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => OwnedWaker::new(cx.waker().clone()),
        };
        let waker = this.waker.insert(waker).as_abi();
        let Some(poll) = this.vtable.poll else { return Poll::Ready(Ok(())) };
        let inside = this.instance.census.enter();
        call::clear_last();
        // SAFETY: exec.h: polled on a host worker, one poll at a time, until it gives anything but PC_PENDING.
        let status = unsafe { poll(this.ctx.0, waker) };
        drop(inside);
        match status {
            abi::PENDING => Poll::Pending,
            status if status >= 0 => Poll::Ready(Ok(())),
            status => {
                let text = call::text_of(status);
                if status == abi::E_PANIC {
                    this.instance.fault("task", &text);
                }
                Poll::Ready(Err(TaskError::new(status, text)))
            }
        }
    }
}

impl Drop for PluginFuture {
    fn drop(&mut self) {
        let Some(drop_ctx) = self.vtable.drop else { return };
        let _inside = self.instance.census.enter();
        // SAFETY: exec.h: once, by the thread that would poll, never during a poll: `self` is not borrowed by a poll here.
        unsafe { drop_ctx(self.ctx.0) };
    }
}
