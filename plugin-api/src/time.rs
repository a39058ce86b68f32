//! The host's clock and timers. tokio's own don't work inside a plugin.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::error::Error;
use crate::ffi::Owned;
use crate::frame::Ns;
use crate::host::Host;

/// A duration in nanoseconds, at most 292 years.
pub(crate) fn ns(duration: Duration) -> Ns {
    Ns::try_from(duration.as_nanos()).unwrap_or(Ns::MAX)
}

/// A timer that is set again and again without a new handle.
#[derive(Debug)]
pub struct Timer(Owned);

impl Timer {
    /// Ready once the host's clock has passed `deadline`. A new deadline replaces the old one.
    ///
    /// # Errors
    /// [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Ns) -> Poll<Result<(), Error>> {
        self.0.instance.poll_timer(self.0.handle, deadline, cx)
    }

    /// Waits until the host's clock has passed `deadline` ([`Host::now`] plus something).
    ///
    /// # Errors
    /// [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops.
    pub async fn until(&mut self, deadline: Ns) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.poll_until(cx, deadline)).await
    }
}

/// Made by [`Host::sleep`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    timer: Result<Timer, Error>,
    deadline: Ns,
}

impl Future for Sleep {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let deadline = self.deadline;
        match &mut self.timer {
            Ok(timer) => timer.poll_until(cx, deadline),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl Host {
    /// Nanoseconds of the host's monotonic clock, whose start means nothing.
    pub fn now(&self) -> Ns {
        self.instance.now()
    }

    /// `duration` from now on the host's clock.
    pub fn after(&self, duration: Duration) -> Ns {
        self.now().saturating_add(ns(duration))
    }

    /// A timer, not yet set.
    ///
    /// # Errors
    /// [`Status::LIMIT`](crate::Status::LIMIT), [`Status::CANCELLED`](crate::Status::CANCELLED).
    pub fn timer(&self) -> Result<Timer, Error> {
        self.instance.timer().map(Timer)
    }

    /// Waits for `duration`, counted from this call. Its result is an error when the instance stops: end then.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { deadline: self.after(duration), timer: self.timer() }
    }

    /// The future's output, unless `duration` passes first.
    ///
    /// # Errors
    /// [`Status::TIMEOUT`](crate::Status::TIMEOUT); [`Status::CANCELLED`](crate::Status::CANCELLED) when the instance stops.
    pub async fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> Result<F::Output, Error> {
        let mut future = std::pin::pin!(future);
        let mut sleep = self.sleep(duration);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            ready!(Pin::new(&mut sleep).poll(cx))?;
            Poll::Ready(Err(Error::timeout(format!("nothing within {duration:?}"))))
        })
        .await
    }
}
