//! An answer in parts: from a plugin, on any thread, to the connection's thread, with a bound on what waits.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use parking_lot::Mutex;
use plugin_api::abi::http::QUEUE_BYTES_MAX;

/// The queue of one answer.
#[derive(Debug, Default)]
pub(crate) struct Parts(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Bytes>,
    bytes: usize,
    /// `Some(true)`: all was written; `Some(false)`: it was cut off.
    end: Option<bool>,
    /// The peer does not read any more.
    gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    watcher: Option<Waker>,
}

impl Parts {
    /// Appends a part made by `part` when there is room. `false`: nobody reads any more.
    pub(crate) fn poll_write(&self, cx: &Context<'_>, part: impl FnOnce() -> Bytes) -> Poll<bool> {
        let mut queue = self.0.lock();
        if queue.gone || queue.end.is_some() {
            return Poll::Ready(false);
        }
        if queue.bytes >= QUEUE_BYTES_MAX {
            queue.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let part = part();
        if !part.is_empty() {
            queue.bytes += part.len();
            queue.parts.push_back(part);
        }
        let reader = queue.reader.take();
        drop(queue);
        wake([reader]);
        Poll::Ready(true)
    }

    /// Nothing follows; whether that is all of it.
    pub(crate) fn end(&self, is_whole: bool) {
        let mut queue = self.0.lock();
        queue.end.get_or_insert(is_whole);
        let wakers = [queue.reader.take(), queue.writer.take()];
        drop(queue);
        wake(wakers);
    }

    /// Ready when nobody reads any more.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.0.lock();
        if queue.gone {
            return Poll::Ready(());
        }
        queue.watcher = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The reading side. Dropping it tells the writer.
#[derive(Debug)]
pub(super) struct PartsBody(pub(super) Arc<Parts>);

impl MessageBody for PartsBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut queue = self.0.0.lock();
        if let Some(part) = queue.parts.pop_front() {
            queue.bytes -= part.len();
            let writer = queue.writer.take();
            drop(queue);
            wake([writer]);
            return Poll::Ready(Some(Ok(part)));
        }
        match queue.end {
            Some(true) => Poll::Ready(None),
            Some(false) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            None => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for PartsBody {
    fn drop(&mut self) {
        let mut queue = self.0.0.lock();
        queue.gone = true;
        queue.parts.clear();
        let wakers = [queue.writer.take(), queue.watcher.take()];
        drop(queue);
        wake(wakers);
    }
}

fn wake<const N: usize>(wakers: [Option<Waker>; N]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn next(body: &mut PartsBody) -> Poll<Option<Result<Bytes, io::Error>>> {
        Pin::new(body).poll_next(&mut cx())
    }

    #[test]
    fn what_waits_is_bounded() {
        let parts = Arc::new(Parts::default());
        let mut body = PartsBody(Arc::clone(&parts));
        let full = || Bytes::from(vec![0; QUEUE_BYTES_MAX]);
        assert_eq!(parts.poll_write(&cx(), full), Poll::Ready(true));

        assert_eq!(parts.poll_write(&cx(), || "x".into()), Poll::Pending);
        assert!(
            matches!(next(&mut body), Poll::Ready(Some(Ok(part))) if part.len() == QUEUE_BYTES_MAX)
        );
        assert_eq!(parts.poll_write(&cx(), || "x".into()), Poll::Ready(true));
    }

    #[test]
    fn the_end_comes_after_the_last_part_and_a_cut_is_an_error() {
        for (is_whole, expected) in [(true, true), (false, false)] {
            let parts = Arc::new(Parts::default());
            let mut body = PartsBody(Arc::clone(&parts));
            assert!(next(&mut body).is_pending());
            assert_eq!(parts.poll_write(&cx(), || "x".into()), Poll::Ready(true));
            parts.end(is_whole);

            assert!(matches!(next(&mut body), Poll::Ready(Some(Ok(_)))));
            let Poll::Ready(end) = next(&mut body) else { panic!("no end") };
            assert_eq!(end.is_none(), expected);
            assert_eq!(parts.poll_write(&cx(), || "x".into()), Poll::Ready(false));
        }
    }

    #[test]
    fn a_reader_that_goes_is_noticed() {
        let parts = Arc::new(Parts::default());
        let body = PartsBody(Arc::clone(&parts));
        assert!(parts.poll_gone(&cx()).is_pending());

        drop(body);

        assert!(parts.poll_gone(&cx()).is_ready());
        assert_eq!(parts.poll_write(&cx(), || "x".into()), Poll::Ready(false));
    }
}
