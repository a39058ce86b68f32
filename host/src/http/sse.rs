//! Answers that go on: server-sent events (WHATWG HTML, section 9.2).
//!
//! A peer that reads slowly is not waited for: its connection's buffer fills, what it follows goes on without it, and it is
//! told how much it has missed. One that takes nothing at all is closed after the write time-out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::Method;
use actix_web::web::Data;
use bytes::Bytes;
use tokio::sync::watch;

use super::Problem;
use super::io::ConnHandle;
use super::route::Answer;
use super::worker::Stage;

/// A comment is sent when nothing else was for this long, so that proxies keep the connection and a dead peer is noticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where events come from.
pub(super) trait Events: 'static {
    /// The next ones, written. `None`: nothing follows. Nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>>;
}

/// Answers with events until they end, the peer goes, or the server stops.
pub(super) fn answer<E: Events>(
    request: &HttpRequest,
    follow: impl FnOnce() -> Result<E, Problem>,
) -> Answer {
    let mut response = HttpResponse::Ok();
    // Some proxies hold answers back until they are whole.
    response.content_type("text/event-stream").insert_header(("x-accel-buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let stage = request.app_data::<Data<watch::Receiver<Stage>>>();
    let stage = stage.ok_or_else(|| Problem::unavailable("the server is stopping"))?;
    let conn = request.conn_data::<ConnHandle>().cloned();
    let conn = conn.ok_or_else(|| Problem::unavailable("the connection is gone"))?;
    let stage = stage.get_ref().clone();
    Ok(response.body(Body::new(Following { events: follow()?, stage, conn })))
}

/// Writes one event. `data` has no line end.
pub(super) fn write(out: &mut String, id: Option<u64>, name: Option<&str>, data: &str) {
    use std::fmt::Write as _;

    // Writing to a String cannot fail.
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    if let Some(name) = name {
        let _ = writeln!(out, "event: {name}");
    }
    let _ = write!(out, "data: {data}\n\n");
}

/// What a reader is told that was too slow.
pub(super) fn lost(count: u64) -> Bytes {
    let mut out = String::new();
    write(&mut out, None, Some("lost"), &format!("{{\"lost\":{count}}}"));
    Bytes::from(out)
}

type Step<E> = Pin<Box<dyn Future<Output = Option<(Bytes, Following<E>)>>>>;

struct Body<E> {
    step: Option<Step<E>>,
}

struct Following<E> {
    events: E,
    stage: watch::Receiver<Stage>,
    conn: ConnHandle,
}

impl<E: Events> Body<E> {
    fn new(following: Following<E>) -> Self {
        // The head goes out with the first bytes of the body.
        let first = async move { Some((Bytes::from_static(b"retry: 2000\n\n"), following)) };
        Self { step: Some(Box::pin(first)) }
    }
}

async fn step<E: Events>(mut following: Following<E>) -> Option<(Bytes, Following<E>)> {
    let Following { events, stage, conn } = &mut following;
    let bytes = tokio::select! {
        biased;
        next = events.next() => next?,
        _ = stage.wait_for(|stage| *stage >= Stage::Draining) => return None,
        () = conn.peer_ended() => return None,
        () = tokio::time::sleep(HEARTBEAT) => Bytes::from_static(b":\n\n"),
    };
    Some((bytes, following))
}

impl<E: Events> MessageBody for Body<E> {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Some(running) = self.step.as_mut() else { return Poll::Ready(None) };
        let next = std::task::ready!(running.as_mut().poll(cx));
        Poll::Ready(match next {
            Some((bytes, following)) => {
                self.step = Some(Box::pin(step(following)));
                Some(Ok(bytes))
            }
            None => {
                self.step = None;
                None
            }
        })
    }
}
