//! From anywhere to a bounded number of listeners, each of which may be a bounded number of items behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// The sending half. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Channel<T> {
    sender: broadcast::Sender<T>,
    seats: Arc<AtomicUsize>,
    seats_max: usize,
}

/// There is no room for another listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} listeners already")]
pub struct Full(pub usize);

/// What a listener gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<T> {
    Item(T),
    /// It was too slow: so many items are left out here.
    Lost(u64),
    /// Nothing follows.
    Closed,
}

/// A listener. Dropping it frees its seat.
#[derive(Debug)]
pub struct Subscription<T> {
    receiver: broadcast::Receiver<T>,
    _seat: Seat,
}

#[derive(Debug)]
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Clone> Channel<T> {
    /// `backlog`: items that a listener may be behind.
    pub fn new(backlog: usize, seats_max: usize) -> Self {
        Self { sender: broadcast::Sender::new(backlog), seats: Arc::default(), seats_max }
    }

    /// Every item that is sent from here on.
    ///
    /// # Errors
    /// When all seats are taken.
    pub fn subscribe(&self) -> Result<Subscription<T>, Full> {
        let up = |taken: usize| (taken < self.seats_max).then_some(taken + 1);
        self.seats
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, up)
            .map_err(|_| Full(self.seats_max))?;
        let seat = Seat(Arc::clone(&self.seats));
        Ok(Subscription { receiver: self.sender.subscribe(), _seat: seat })
    }

    /// Whether anybody listens, asked without a lock.
    pub fn has_subscribers(&self) -> bool {
        self.seats.load(Ordering::Relaxed) > 0
    }

    /// Tells all who listen. Never waits: whoever is too far behind loses the oldest.
    pub fn send(&self, item: T) {
        // An error says that nobody listens.
        let _nobody = self.sender.send(item);
    }
}

impl<T: Clone> Subscription<T> {
    /// The next item. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Received<T> {
        match self.receiver.recv().await {
            Ok(item) => Received::Item(item),
            Err(RecvError::Lagged(lost)) => Received::Lost(lost),
            Err(RecvError::Closed) => Received::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_loses_the_oldest_and_is_told() {
        let channel = Channel::new(4, 2);
        let mut slow = channel.subscribe().unwrap();

        (1..=10).for_each(|n| channel.send(n));

        assert_eq!(slow.next().await, Received::Lost(6));
        for n in 7..=10 {
            assert_eq!(slow.next().await, Received::Item(n));
        }
    }

    #[test]
    fn seats_are_bounded_and_come_back() {
        let channel = Channel::<u32>::new(4, 2);
        assert!(!channel.has_subscribers());
        let first = channel.subscribe().unwrap();
        let _second = channel.subscribe().unwrap();

        assert_eq!(channel.subscribe().unwrap_err(), Full(2));
        drop(first);
        assert!(channel.subscribe().is_ok());
        assert!(channel.has_subscribers());
    }
}
