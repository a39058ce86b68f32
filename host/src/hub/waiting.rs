//! Waiting for a publisher to appear under a name.

use std::sync::Arc;
use std::task::{Context, Poll};

use plugin_api::frame::Ns;

use super::key::StreamKey;
use super::outcome::{Refusal, Status};
use super::registry::Registry;
use super::shared::{Shared, Slot};
use super::stream::{Awaited, Stream};

/// One subscriber that waits. Dropping it gives up. While it waits it is one of `max_waiting`, and so is what its
/// name takes in the registry.
pub(super) struct Waiting<'a> {
    pub(super) shared: &'a Shared,
    pub(super) registry: &'a Registry,
    pub(super) key: &'a StreamKey,
    /// Equal to now: it does not wait, and leaves no trace.
    deadline: Ns,
    place: Option<Place>,
}

struct Place {
    stream: Arc<Stream>,
    number: usize,
    _slot: Slot,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        registry: &'a Registry,
        key: &'a StreamKey,
        deadline: Ns,
    ) -> Self {
        Self { shared, registry, key, deadline, place: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Stream>, Refusal>> {
        loop {
            if let Err(refusal) = self.shared.check_running() {
                return Poll::Ready(Err(refusal));
            }
            let Some(place) = &self.place else {
                match self.enter() {
                    Ok(Some(stream)) => return Poll::Ready(Ok(stream)),
                    Ok(None) => continue,
                    Err(refusal) => return Poll::Ready(Err(refusal)),
                }
            };
            match place.stream.poll_waiter(place.number, cx.waker().clone()) {
                Awaited::Readable => return Poll::Ready(Ok(Arc::clone(&place.stream))),
                Awaited::Ended => self.place = None,
                Awaited::NotYet if self.is_late() => return Poll::Ready(Err(self.not_found())),
                Awaited::NotYet => return Poll::Pending,
            }
        }
    }

    /// The stream, if it can be read already; else a place among those who wait for it.
    fn enter(&mut self) -> Result<Option<Arc<Stream>>, Refusal> {
        if let Some(stream) = self.registry.find(self.key).filter(|stream| stream.is_readable()) {
            return Ok(Some(stream));
        }
        if self.is_late() {
            return Err(self.not_found());
        }
        let limit = self.shared.settings().max_waiting;
        let refusal = || Refusal::new(Status::Limit, format!("{limit} others wait for streams"));
        let slot = Slot::take(&self.shared.waiting, limit).ok_or_else(refusal)?;
        let stream = self.registry.find_or_add(self.key);
        match stream.enter(self.deadline) {
            (Awaited::Readable, _) => Ok(Some(stream)),
            (Awaited::NotYet, Some(number)) => {
                self.place = Some(Place { stream, number, _slot: slot });
                Ok(None)
            }
            (Awaited::Ended | Awaited::NotYet, _) => Ok(None),
        }
    }

    fn is_late(&self) -> bool {
        self.shared.now() >= self.deadline
    }

    fn not_found(&self) -> Refusal {
        Refusal::new(Status::NotFound, format!("nobody is publishing {}", self.key))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stream.leave_waiters(self.number);
    }
}
