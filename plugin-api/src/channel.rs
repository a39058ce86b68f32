//! Channels between the tasks of a plugin. Bounded, and with the poll budget that tokio's lack here: outside of its own
//! runtime a tokio receiver with a busy sender never yields.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::ffi::budget;

/// A queue of at most `capacity` items, at least one.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        queue: VecDeque::new(),
        reader: None,
        writers: Vec::new(),
        senders: 1,
        closed: false,
    };
    let shared = Arc::new(Shared { capacity: capacity.max(1), state: Mutex::new(state) });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// A single value.
pub fn oneshot<T>() -> (OneSender<T>, OneReceiver<T>) {
    let (sender, receiver) = bounded(1);
    (OneSender(sender), OneReceiver(receiver))
}

#[derive(Debug)]
struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    reader: Option<Waker>,
    /// Sends that wait for room, at most one entry a waiting task; all are woken when there is some.
    writers: Vec<Waker>,
    senders: usize,
    /// The receiver is gone.
    closed: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in, or gives it back.
    fn put(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(TrySendError::Closed(item));
        }
        if state.queue.len() >= self.capacity {
            return Err(TrySendError::Full(item));
        }
        state.queue.push_back(item);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }
}

/// Why an item was not taken, with the item.
#[derive(Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The receiver is gone.
    Closed(T),
    /// No room.
    Full(T),
}

/// The writing side. The channel ends when all clones are gone.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts an item in if there is room.
    ///
    /// # Errors
    /// Gives the item back.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.shared.put(item)
    }

    /// Waits for room. Dropping the future drops the item.
    ///
    /// # Errors
    /// Gives the item back when the receiver is gone.
    pub async fn send(&self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        std::future::poll_fn(|cx| {
            ready!(budget::spend(cx));
            let Some(next) = item.take() else { return Poll::Ready(Ok(())) };
            let mut state = self.shared.lock();
            if !state.closed && state.queue.len() >= self.shared.capacity {
                if !state.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.writers.push(cx.waker().clone());
                }
                item = Some(next);
                return Poll::Pending;
            }
            drop(state);
            match self.shared.put(next) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(next)) => Poll::Ready(Err(next)),
                Err(TrySendError::Full(next)) => {
                    // Another sender was faster.
                    item = Some(next);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        let reader = if state.senders == 0 { state.reader.take() } else { None };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The reading side.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The next item; `None` when the queue is empty and all senders are gone.
    pub async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Receiver::recv`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(budget::spend(cx));
        if let Some(item) = self.try_recv() {
            return Poll::Ready(Some(item));
        }
        let mut state = self.shared.lock();
        if let Some(item) = state.queue.pop_front() {
            return Poll::Ready(Some(item));
        }
        if state.senders == 0 {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next item if there is one.
    pub fn try_recv(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        let item = state.queue.pop_front()?;
        let writers = std::mem::take(&mut state.writers);
        drop(state);
        writers.into_iter().for_each(Waker::wake);
        Some(item)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let writers = std::mem::take(&mut state.writers);
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop(queue);
        writers.into_iter().for_each(Waker::wake);
    }
}

/// Sends the one value.
#[derive(Debug)]
pub struct OneSender<T>(Sender<T>);

impl<T> OneSender<T> {
    /// Hands the value over; it is dropped when nobody waits for it.
    pub fn send(self, value: T) {
        let _ = self.0.try_send(value);
    }
}

/// The one value; `None` when its sender is gone.
#[derive(Debug)]
pub struct OneReceiver<T>(Receiver<T>);

impl<T> Future for OneReceiver<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}
