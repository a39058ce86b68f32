//! Polls the future of one task on the executor, makes its attempts, and drops what it was given.
//!
//! All user code of a task runs here and nowhere else, inside `catch_unwind`, with the task as [`super::current`].

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep};

use super::error::TaskError;
use super::info::State;
use super::node::Node;
use super::retry::Retry;
use super::{STOP_DEADLINE, with_current};

/// The future of one attempt. Boxed, so that one driver serves all and a task's size is that of its future.
pub(super) type Attempt = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;
type Make = Box<dyn FnMut() -> Attempt + Send>;

/// What runs on the executor for one node.
pub(super) struct Driver {
    node: Node,
    future: Option<Attempt>,
    attempts: Option<Box<Attempts>>,
    phase: Phase,
    /// As registered with the node; compared, so that most polls take no lock.
    waker: Option<Waker>,
}

struct Attempts {
    make: Make,
    retry: Retry,
    failures: u32,
    began: Instant,
    /// The next attempt was asked for, and is no retry.
    restarting: bool,
}

enum Phase {
    Start,
    FirstPoll,
    Running,
    /// The attempt has ended like this; its children get until then.
    Draining(Result<(), TaskError>, Option<Pin<Box<Sleep>>>),
    Waiting(Pin<Box<Sleep>>),
    Ended,
}

impl Driver {
    pub(super) fn once(node: Node, future: Attempt) -> Self {
        Self { node, future: Some(future), attempts: None, phase: Phase::FirstPoll, waker: None }
    }

    pub(super) fn attempts(node: Node, retry: Retry, make: Make) -> Self {
        let attempts =
            Attempts { make, retry, failures: 0, began: Instant::now(), restarting: false };
        Self {
            node,
            future: None,
            attempts: Some(Box::new(attempts)),
            phase: Phase::Start,
            waker: None,
        }
    }

    fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            self.node.set_waker(waker.clone());
        }
    }

    /// Makes the next attempt.
    fn start(&mut self) {
        self.node.reopen();
        let Some(attempts) = self.attempts.as_mut() else { return };
        attempts.began = Instant::now();
        match guard(&self.node, || (attempts.make)()) {
            Ok(future) => {
                self.future = Some(future);
                self.phase = Phase::FirstPoll;
            }
            Err(error) => self.phase = self.drain(Err(error)),
        }
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
        let Some(future) = self.future.as_mut() else { return Poll::Ready(Ok(())) };
        match guard(&self.node, || future.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The attempt has ended; its children are told to.
    fn drain(&self, result: Result<(), TaskError>) -> Phase {
        let deadline = self.node.close_children().then(|| Box::pin(sleep(STOP_DEADLINE)));
        Phase::Draining(result, deadline)
    }

    /// After the children: another attempt, or the end.
    fn conclude(&mut self, result: Result<(), TaskError>) {
        let dropped = self.drop_future();
        let result = result.and(dropped);
        if let Some(attempts) = self.attempts.as_mut()
            && std::mem::replace(&mut attempts.restarting, false)
        {
            attempts.failures = 0;
            self.node.note_restart();
            self.phase = Phase::Start;
            return;
        }
        let (Err(error), Some(attempts)) = (&result, self.attempts.as_mut()) else {
            return self.finish(result);
        };
        if attempts.retry.is_steady(attempts.began.elapsed()) {
            attempts.failures = 0;
        }
        attempts.failures = attempts.failures.saturating_add(1);
        self.node.note_failure(error, attempts.failures);
        if !attempts.retry.allows(attempts.failures) {
            return self.finish(result);
        }
        let random = (self.node.shared().hooks.random)();
        let wait = attempts.retry.wait(attempts.failures, random);
        self.node.set_state(State::Retrying);
        self.phase = Phase::Waiting(Box::pin(sleep(wait)));
    }

    /// Asked for by an operator: the present attempt ends, and the next one follows.
    fn restart(&mut self) {
        let Some(attempts) = self.attempts.as_mut() else { return };
        match &self.phase {
            Phase::Running => {
                attempts.restarting = true;
                self.phase = self.drain(Ok(()));
            }
            Phase::Draining(..) => attempts.restarting = true,
            Phase::Waiting(_) => self.phase = Phase::Start,
            Phase::Start | Phase::FirstPoll | Phase::Ended => {}
        }
    }

    /// Stopped: an attempt that had ended before keeps its result.
    fn cancel(&mut self) {
        let result = match &mut self.phase {
            Phase::Draining(result, _) => std::mem::replace(result, Ok(())),
            _ => Err(TaskError::cancelled()),
        };
        self.finish(result);
    }

    /// Drops what the task was given, then reports its end. Once.
    fn finish(&mut self, result: Result<(), TaskError>) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.phase = Phase::Ended;
        let dropped = self.drop_future();
        let attempts = self.attempts.take();
        let dropped_attempts = guard(&self.node, || drop(attempts));
        self.node.ended(result.and(dropped).and(dropped_attempts));
    }

    fn drop_future(&mut self) -> Result<(), TaskError> {
        let Some(future) = self.future.take() else { return Ok(()) };
        guard(&self.node, || drop(future))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.register(cx.waker());
        loop {
            // After the registration: a stop from here on finds the waker.
            if this.node.is_cancelled() {
                this.cancel();
            } else if this.node.take_restart() {
                this.restart();
            }
            match &mut this.phase {
                Phase::Start => this.start(),
                Phase::FirstPoll => {
                    this.node.set_state(State::Running);
                    this.phase = Phase::Running;
                }
                Phase::Running => match this.poll_future(cx) {
                    Poll::Ready(result) => this.phase = this.drain(result),
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Draining(result, deadline) => {
                    if let Some(deadline) = deadline
                        && this.node.has_children()
                        && deadline.as_mut().poll(cx).is_pending()
                    {
                        return Poll::Pending;
                    }
                    let result = std::mem::replace(result, Ok(()));
                    this.conclude(result);
                }
                Phase::Waiting(wait) => match wait.as_mut().poll(cx) {
                    Poll::Ready(()) => this.phase = Phase::Start,
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Ended => return Poll::Ready(()),
            }
        }
    }
}

/// The executor was shut down, and drops its tasks.
impl Drop for Driver {
    fn drop(&mut self) {
        self.finish(Err(TaskError::cancelled()));
    }
}

/// Calls code of the task. A panic is counted and becomes an error.
fn guard<T>(node: &Node, f: impl FnOnce() -> T) -> Result<T, TaskError> {
    let caught = catch_unwind(AssertUnwindSafe(|| with_current(node, f)));
    caught.map_err(|payload| {
        let message = panic_text(&*payload);
        node.shared().count_panic(node, message);
        TaskError::panicked(message)
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else {
        payload.downcast_ref::<String>().map_or("no text", String::as_str)
    }
}
