//! What the host's threads hand over without waiting for each other, in every order in which they can meet.
//!
//! The files of the host that do it are compiled here once more, by their paths; they take locks and atomics from `crate::sync`,
//! which here are loom's. Each model has two threads and three frames, and preempts a thread three times at most. A thread that
//! sleeps for ever, a lost wake-up, is a deadlock, which loom reports with the way that led there.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "whole files of the host, of which the models use a part"
)]
#![expect(clippy::unwrap_used, reason = "a model ends where an expectation does not hold")]

mod fanout;
mod hub;
mod sync;
#[path = "../../host/src/told.rs"]
mod told;

/// Frames, packets, or commands of a model.
const FRAMES: u64 = 3;

/// What two threads can do to each other shows with few preemptions; each more multiplies the orders.
const PREEMPTIONS_MAX: usize = 3;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}
