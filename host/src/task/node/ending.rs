//! How a node ends.
//!
//! Ending is a chain of events, not a task: `stop` marks a node and its descendants; the last child that leaves cancels its
//! parent; whoever polls a cancelled future drops it and reports; a node leaves its parent when nothing of it runs and no
//! child is left.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::super::error::TaskError;
use super::super::info::{ErrorInfo, State, TaskInfo, unix_ms};
use super::super::{FAILED_MAX, STOP_DEADLINE};
use super::{Engine, Node};

/// Wakers of those who wait for one end; above it the oldest is woken early and may ask again.
const WAITERS_MAX: usize = 64;

/// The subtree was not gone when the deadline had passed: a thread is stuck in it. It stays listed, and leaves when it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("did not end within {deadline:?}")]
pub struct Overrun {
    pub deadline: Duration,
}

/// Why a task was not made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRestarted {
    #[error("it has no attempts: nobody could make it again")]
    NoAttempts,
    #[error("it is ending")]
    Ending,
}

/// Stopping, for callers.
impl Node {
    /// Stops the children, then this task. Works at once and without the returned future, which only waits.
    pub fn stop(&self) -> Stopped {
        self.stop_within(STOP_DEADLINE)
    }

    /// The same, with a deadline for the children and for the wait.
    pub fn stop_within(&self, deadline: Duration) -> Stopped {
        self.begin_stop(deadline);
        Stopped { node: self.clone(), deadline, until: Instant::now() + deadline, sleep: None }
    }

    /// Ready when the task and all below it are gone: well, with its error, or cancelled.
    pub fn poll_done(&self, cx: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
        let mut live = self.0.live.lock();
        if live.gone {
            return Poll::Ready(live.outcome.clone());
        }
        if live.waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let oldest = (live.waiters.len() >= WAITERS_MAX).then(|| live.waiters.remove(0));
        live.waiters.push(cx.waker().clone());
        drop(live);
        if let Some(oldest) = oldest {
            oldest.wake();
        }
        Poll::Pending
    }

    /// Waits for the end of the task.
    ///
    /// # Errors
    ///
    /// The task's own, or that it was cancelled.
    pub async fn done(&self) -> Result<(), TaskError> {
        std::future::poll_fn(|cx| self.poll_done(cx)).await
    }

    /// Ends the present attempt, children first, and makes another one at once, with no failure counted.
    ///
    /// # Errors
    ///
    /// It is no task with attempts, or it ends.
    pub fn restart(&self) -> Result<(), NotRestarted> {
        let waker = {
            let live = self.0.live.lock();
            if !live.has_attempts {
                return Err(NotRestarted::NoAttempts);
            }
            if live.stop || live.engine != Engine::Alive {
                return Err(NotRestarted::Ending);
            }
            self.0.restart.store(true, Ordering::Release);
            live.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn begin_stop(&self, deadline: Duration) {
        let children = {
            let mut live = self.0.live.lock();
            if live.stop || live.leaving {
                return;
            }
            live.stop = true;
            live.closed = true;
            live.state = State::Stopping;
            live.children()
        };
        if children.is_empty() {
            return self.cancel();
        }
        let weak = Arc::downgrade(&self.0);
        self.0.shared.runtime.spawn(async move {
            sleep(deadline).await;
            if let Some(inner) = weak.upgrade() {
                Self(inner).go_on_without_children();
            }
        });
        for child in children {
            child.begin_stop(deadline);
        }
    }

    /// The deadline of the children has passed.
    fn go_on_without_children(&self) {
        {
            let mut live = self.0.live.lock();
            if live.gone || !live.has_children() {
                return;
            }
            let left = live.children().len();
            let message = format!("{left} children have not ended in time");
            live.details.get_or_insert_default().error =
                Some(ErrorInfo { code: TaskError::INTERNAL, message, at_ms: unix_ms() });
        }
        self.cancel();
    }

    /// Has the future dropped at its next poll. A job is done with that.
    fn cancel(&self) {
        let waker = {
            let live = self.0.live.lock();
            self.0.cancelled.store(true, Ordering::Release);
            live.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        self.leave_if_over();
    }
}

/// For whoever drives the node.
impl Node {
    pub(in super::super) fn set_waker(&self, waker: Waker) {
        let previous = self.0.live.lock().waker.replace(waker);
        drop(previous);
    }

    pub(in super::super) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Whether somebody has asked for a new attempt since the last look.
    pub(in super::super) fn take_restart(&self) -> bool {
        self.0.restart.load(Ordering::Acquire) && self.0.restart.swap(false, Ordering::AcqRel)
    }

    pub(in super::super) fn has_children(&self) -> bool {
        self.0.live.lock().has_children()
    }

    /// A stop that has begun stays visible.
    pub(in super::super) fn set_state(&self, state: State) {
        let mut live = self.0.live.lock();
        if !live.stop {
            live.state = state;
        }
    }

    /// A new attempt may have children again.
    pub(in super::super) fn reopen(&self) {
        let mut live = self.0.live.lock();
        if !live.stop {
            live.closed = false;
            live.state = State::Starting;
        }
    }

    /// Refuses new children and stops those that are there. True if there are any.
    pub(in super::super) fn close_children(&self) -> bool {
        let children = {
            let mut live = self.0.live.lock();
            live.closed = true;
            let children = live.children();
            if !children.is_empty() {
                live.state = State::Stopping;
            }
            children
        };
        for child in &children {
            child.begin_stop(STOP_DEADLINE);
        }
        !children.is_empty()
    }

    /// A new attempt follows that nobody's failure is the cause of.
    pub(in super::super) fn note_restart(&self) {
        self.0.live.lock().failures = 0;
    }

    /// An attempt has failed.
    pub(in super::super) fn note_failure(&self, error: &TaskError, failures: u32) {
        let mut live = self.0.live.lock();
        live.failures = failures;
        live.details.get_or_insert_default().error = Some(ErrorInfo {
            code: error.code(),
            message: error.message().to_owned(),
            at_ms: unix_ms(),
        });
    }

    /// Nothing of this node runs any more, and what it was given has been dropped.
    pub(in super::super) fn ended(&self, outcome: Result<(), TaskError>) {
        self.close_children();
        let waker = {
            let mut live = self.0.live.lock();
            if live.engine != Engine::Alive {
                return;
            }
            live.engine = Engine::Ended;
            if let Err(error) = &outcome
                && !error.is_cancelled()
            {
                live.details.get_or_insert_default().error = Some(ErrorInfo {
                    code: error.code(),
                    message: error.message().to_owned(),
                    at_ms: unix_ms(),
                });
            }
            live.outcome = outcome;
            live.waker.take()
        };
        drop(waker);
        self.leave_if_over();
    }

    /// Takes the node out of the tree once nothing of it runs and no child is left.
    fn leave_if_over(&self) {
        {
            let mut live = self.0.live.lock();
            let is_over = match live.engine {
                Engine::Alive => false,
                Engine::Ended => true,
                Engine::None => live.stop,
            };
            if live.leaving || !is_over {
                return;
            }
            if live.has_children() {
                live.state = State::Stopping;
                return;
            }
            live.leaving = true;
            live.state = match &live.outcome {
                Err(error) if !error.is_cancelled() => State::Failed,
                _ => State::Done,
            };
        }
        let parent = self.0.parent.as_ref().and_then(|place| place.node.upgrade()).map(Self);
        let failure = self.failure();
        // Before the parent forgets it: a parent that is gone has no child that still counts.
        self.0.shared.nodes.fetch_sub(1, Ordering::Relaxed);
        if let Some(parent) = &parent {
            parent.forget(self, failure);
        }
        let waiters = {
            let mut live = self.0.live.lock();
            live.gone = true;
            std::mem::take(&mut live.waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
        if let Some(parent) = parent {
            parent.child_left();
        }
    }

    /// What the parent keeps of a child that failed.
    fn failure(&self) -> Option<TaskInfo> {
        let info = self.info();
        (info.state == State::Failed).then_some(info)
    }

    fn forget(&self, child: &Self, failure: Option<TaskInfo>) {
        let mut live = self.0.live.lock();
        let Some(family) = live.family.as_mut() else { return };
        let removed = family.nodes.remove(&child.0.id);
        if child.0.parent.as_ref().is_some_and(|place| place.is_unique) {
            family.names.remove(&child.0.name);
        }
        if let Some(failure) = failure {
            if family.failed.len() >= FAILED_MAX {
                family.failed.pop_front();
            }
            family.failed.push_back((Instant::now(), failure));
        }
        drop(live);
        drop(removed);
    }

    /// Goes on with the end that waited for the children.
    fn child_left(&self) {
        let (cancel, waker) = {
            let live = self.0.live.lock();
            if !live.closed || live.has_children() {
                return;
            }
            (live.stop, live.waker.clone())
        };
        if cancel {
            self.cancel();
        } else if let Some(waker) = waker {
            waker.wake();
        }
        self.leave_if_over();
    }
}

/// Waits until a stopped subtree is gone. Dropping it changes nothing.
#[must_use = "stopping has begun; this waits for its end"]
pub struct Stopped {
    node: Node,
    deadline: Duration,
    until: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Future for Stopped {
    type Output = Result<(), Overrun>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.node.poll_done(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let until = self.until;
        let node = self.node.clone();
        let sleep = self.sleep.get_or_insert_with(|| {
            // Whoever waits may be on a thread that has no timer.
            let _context = node.0.shared.runtime.enter();
            Box::pin(sleep_until(until))
        });
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Overrun { deadline: self.deadline })),
            Poll::Pending => Poll::Pending,
        }
    }
}
