//! `pc.tasks/1`.
#![expect(unsafe_code, reason = "calls a plugin's table")]

use std::ffi::c_void;
use std::time::Duration;

use plugin_api::abi::core::{Field, Future, Handle, Host, Ns, OK, Status, Str};
use plugin_api::abi::tasks::{Retry, TaskVtable, TasksApi};

use super::borrow;
use super::call::{self, Fault, always, call};
use super::future::{Context0, PluginFuture};
use crate::plugin::instance::{self, Instance};
use crate::task::{self, TaskError};

pub(super) static API: TasksApi = TasksApi {
    struct_size: super::size_of_table::<TasksApi>(),
    revision: 1,
    job: Some(job),
    run: Some(run),
    describe: Some(describe),
    progress: Some(progress),
};

unsafe extern "C" fn job(
    host: *const Host,
    parent: Handle,
    kind: Str,
    name: Str,
    job: *mut Handle,
) -> Status {
    call(host, |instance| {
        let parent = super::parent(instance, parent)?;
        let node = parent
            .job(borrow::text(kind, "kind")?, borrow::text(name, "name")?)
            .map_err(super::refused)?;
        super::give_task(instance, node, job)
    })
}

/// What makes the attempts of a task: a plugin's table.
struct Attempts {
    vtable: &'static TaskVtable,
    ctx: Context0,
    instance: &'static Instance,
    _alive: instance::Context,
}

impl Attempts {
    fn next(&self) -> Result<PluginFuture, TaskError> {
        let mut future = Future { vtable: std::ptr::null(), ctx: std::ptr::null_mut() };
        let Some(attempt) = self.vtable.attempt else {
            return Err(TaskError::new(-1, "no attempt"));
        };
        let inside = self.instance.census.enter();
        call::clear_last();
        // SAFETY: tasks.h: [io], one call at a time.
        let status = unsafe { attempt(self.ctx.0, &raw mut future) };
        drop(inside);
        if status < 0 {
            return Err(TaskError::new(status, call::text_of(status)));
        }
        PluginFuture::new(self.instance, future)
            .map_err(|fault| TaskError::new(fault.status, fault.text))
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        let Some(drop_ctx) = self.vtable.drop else { return };
        let _inside = self.instance.census.enter();
        // SAFETY: core.h: once, after the last callback.
        unsafe { drop_ctx(self.ctx.0) };
    }
}

unsafe extern "C" fn run(
    host: *const Host,
    parent: Handle,
    kind: Str,
    name: Str,
    retry: *const Retry,
    vtable: *const TaskVtable,
    ctx: *mut c_void,
    task: *mut Handle,
) -> Status {
    always(host, |instance| {
        let vtable: &'static TaskVtable = borrow::sized(vtable, "the task's table")?;
        if vtable.attempt.is_none() || vtable.drop.is_none() {
            return Err(Fault::invalid("the task's table lacks attempt or drop"));
        }
        let attempts =
            Attempts { vtable, ctx: Context0(ctx), instance, _alive: instance.census.context() };
        if instance.is_cancelled() {
            return Err(Fault::cancelled());
        }
        let parent = super::parent(instance, parent)?;
        let retry = policy(borrow::sized(retry, "retry")?);
        let (kind, name) = (borrow::text(kind, "kind")?, borrow::text(name, "name")?);
        let node = parent.run(kind, name, retry, move || {
            let attempt = attempts.next();
            async move { attempt?.await }
        });
        super::give_task(instance, node.map_err(super::refused)?, task)
    })
}

fn policy(retry: &Retry) -> task::Retry {
    let duration = |ns: Ns| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    task::Retry {
        count: retry.count,
        interval: duration(retry.interval),
        interval_max: duration(retry.interval_max),
        steady: duration(retry.steady),
    }
}

unsafe extern "C" fn describe(
    host: *const Host,
    task: Handle,
    fields: *const Field,
    n: usize,
) -> Status {
    call(host, |instance| {
        let node = super::task_or_current(instance, task)?;
        let fields = borrow::slice(fields, n, "fields")?;
        let fields: Result<Vec<_>, Fault> = fields
            .iter()
            .map(|field| {
                Ok((
                    borrow::text(field.key, "a field's key")?,
                    borrow::text(field.value, "a field's value")?,
                ))
            })
            .collect();
        node.describe(&fields?).map_err(super::refused)?;
        Ok(OK)
    })
}

unsafe extern "C" fn progress(host: *const Host, task: Handle, done: u64, total: u64) -> Status {
    call(host, |instance| {
        super::task_or_current(instance, task)?.progress(done, total);
        Ok(OK)
    })
}
