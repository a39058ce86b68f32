//! Whether a connection is busy with an answer, and how long it may be idle.
//!
//! The dispatcher has time-outs of its own, which answer politely. They are not enough: the one for heads covers the first
//! request only, and its clock is half a second coarse and can be so late that a timer never fires. The deadline here ends
//! every connection on which no answer is under way, nothing is written and no new request comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::ConnectionType;
use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::Settings;
use super::io::ConnHandle;
use super::worker::State;

/// What the dispatcher's own, coarse time-outs get before this one.
const GRACE: Duration = Duration::from_secs(1);

/// What is asked and answered on one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    asked: AtomicU64,
    /// Answers under way.
    answers: AtomicUsize,
    answered: AtomicU64,
    /// A request with a body has come, which is the last one.
    has_body: AtomicBool,
    /// It is one whose body is read.
    reads_body: AtomicBool,
}

impl Activity {
    /// Requests whose head was read, since the connection began.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    fn begin_body(&self, is_read: bool) {
        self.has_body.store(true, Ordering::Relaxed);
        self.reads_body.store(is_read, Ordering::Relaxed);
    }

    /// Whether what comes is read or thrown away, and no head: the body of the last request, but for one to which nobody
    /// listens while the answer is under way.
    pub(super) fn takes_body(&self) -> bool {
        let has_body = self.has_body.load(Ordering::Relaxed);
        has_body && (self.reads_body.load(Ordering::Relaxed) || !self.is_answering())
    }
}

/// One answer, from the request to the end of its body.
struct Answering(Arc<Activity>);

impl Answering {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.asked.fetch_add(1, Ordering::Relaxed);
        activity.answers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Around the whole app: notes that the connection is busy.
pub(super) async fn note<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let handle = request.conn_data::<ConnHandle>().cloned();
    // Its head is whole, whatever it asks for.
    handle.iter().for_each(|handle| handle.conn().established());
    let answering = handle.as_ref().map(|handle| Answering::new(handle.activity()));
    let has_body = !matches!(request.parts().1, Payload::None);
    if let Some(handle) = handle.as_ref().filter(|_| has_body) {
        handle.activity().begin_body(!request.method().is_safe());
    }
    let room = request.app_data::<Data<State>>().map(|state| Arc::clone(&state.room));
    let mut response = next.call(request).await?;
    let may_stay =
        room.zip(handle).is_none_or(|(room, handle)| room.may_stay(handle.conn().peer().ip()));
    // Where a body ends, and the next head begins, only the dispatcher knows; heads have a bound.
    if has_body || !may_stay {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response
        .map_body(|_, body| BoxBody::new(Noted { body: body.boxed(), _answering: answering })))
}

struct Noted {
    body: BoxBody,
    _answering: Option<Answering>,
}

impl MessageBody for Noted {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// The idle deadline of one connection.
#[derive(Debug)]
pub(super) struct IdleTimer {
    activity: Arc<Activity>,
    /// Between an answer and the next request.
    limit: Duration,
    seen: u64,
    sleep: Pin<Box<Sleep>>,
}

impl IdleTimer {
    pub(super) fn new(activity: Arc<Activity>, settings: &Settings) -> Self {
        let limit = settings.keep_alive + settings.head_timeout + GRACE;
        let sleep = Box::pin(sleep(settings.head_timeout + GRACE));
        Self { activity, limit, seen: 0, sleep }
    }

    /// Something was written.
    pub(super) fn restart(&mut self) {
        let limit = self.limit;
        self.sleep.as_mut().reset(Instant::now() + limit);
    }

    /// Ready when the connection has been idle for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.activity.is_answering() {
            return Poll::Pending;
        }
        let answered = self.activity.answered.load(Ordering::Relaxed);
        if answered != self.seen {
            self.seen = answered;
            self.restart();
        }
        self.sleep.as_mut().poll(cx)
    }
}
