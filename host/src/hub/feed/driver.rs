//! The task of a feed: reads frames, runs the packager, appends what it writes.
//!
//! subscriber ▸ **driver** ▸ packager (plugin) ▸ feed ▸ fan-out
//!
//! A packager that fails is replaced at the next start point; viewers that read straight on get the new head there.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use plugin_api::frame::{Frame, Shape};
use plugin_api::mem::Pool;
use tokio::sync::watch;

use super::live::{End, Feed, Phase};
use super::packager::{Packager, PackagerError, PackagerFactory};
use super::staging::Staging;
use crate::hub::{Batch, ReadOutcome, Reason, Refusal, Status, Subscriber};

/// Frames of one read. At the start a GOP comes in a few batches, afterwards what has come since.
const BATCH_FRAMES_MAX: usize = 64;

/// A feed gives up after this many failures …
const FAILURES_MAX: usize = 3;
/// … in this time.
const FAILURE_WINDOW: Duration = Duration::from_secs(10);

/// After a failure, a stream without start points goes on at any frame after this time, as new readers of it do.
const RESTART_ANYWHERE_AFTER: Duration = Duration::from_secs(2);

/// Where a feed's frames come from.
pub(super) trait Source: Send {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        batch: &mut Batch,
    ) -> Poll<ReadOutcome>;
}

impl Source for Subscriber {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        batch: &mut Batch,
    ) -> Poll<ReadOutcome> {
        Self::poll_read(self, cx, max, batch)
    }
}

pub(super) struct Driver {
    feed: Arc<Feed>,
    factory: Arc<dyn PackagerFactory>,
    packager: Option<Box<dyn Packager>>,
    staging: Staging,
    shape: Option<Arc<Shape>>,
    failures: VecDeque<Instant>,
}

impl Driver {
    pub(super) fn new(feed: Arc<Feed>, factory: Arc<dyn PackagerFactory>, pool: Pool) -> Self {
        let framing = feed.key().framing;
        Self {
            feed,
            factory,
            packager: None,
            staging: Staging::new(pool, framing),
            shape: None,
            failures: VecDeque::new(),
        }
    }

    /// Runs until the stream ends, the packager fails for good, somebody else ends the feed, or nobody has watched it for
    /// `idle_close` and `may_close` agrees.
    pub(super) async fn run(
        mut self,
        mut source: Box<dyn Source>,
        idle_close: Duration,
        may_close: impl Fn() -> bool,
    ) {
        let mut batch = Batch::default();
        let mut phase = self.feed.phase();
        let mut ended = pin!(phase.wait_for(|phase| matches!(phase, Phase::Ended(_))));
        let mut interest = self.feed.interest();
        loop {
            let mut idle = pin!(nobody_watches(&mut interest, idle_close));
            loop {
                let read =
                    std::future::poll_fn(|cx| source.poll_read(cx, BATCH_FRAMES_MAX, &mut batch));
                tokio::select! {
                    _ = &mut ended => return,
                    outcome = read => {
                        if let Err(end) = self.on_read(outcome, &batch) {
                            self.feed.end(end);
                            return;
                        }
                    }
                    () = &mut idle => break,
                }
            }
            if may_close() {
                let refusal = Refusal::new(Status::NotFound, "the feed has closed");
                self.feed.end(End { reason: Reason::Idle, refusal });
                return;
            }
        }
    }

    fn on_read(&mut self, outcome: ReadOutcome, batch: &Batch) -> Result<(), End> {
        match outcome {
            ReadOutcome::Batch => self.on_batch(batch),
            ReadOutcome::End(reason) => {
                let refusal = Refusal::new(Status::NotFound, "the stream has ended");
                Err(End { reason, refusal })
            }
        }
    }

    fn on_batch(&mut self, batch: &Batch) -> Result<(), End> {
        if let Some(shape) = &batch.shape {
            self.shape = Some(Arc::clone(shape));
            if let Some(packager) = &mut self.packager {
                let out = &mut self.staging;
                let result = guarded(|| packager.on_shape(shape, out));
                self.finish_call(result)?;
            }
        }
        let Some(shape) = self.shape.clone() else { return Ok(()) };
        let mut frames = &batch.frames[..];
        if self.packager.is_none() {
            let Some(at) = self.opening(frames, &shape) else { return Ok(()) };
            frames = &frames[at..];
            self.open(&shape)?;
        }
        let Some(packager) = self.packager.as_mut().filter(|_| !frames.is_empty()) else {
            return Ok(());
        };
        self.feed.count_run();
        let out = &mut self.staging;
        let result = guarded(|| packager.on_frames(frames, out));
        self.finish_call(result)
    }

    /// From which frame on a packager may be opened: any one at first, since reading begins at a start point; later the
    /// next start point.
    fn opening(&self, frames: &[Frame], shape: &Shape) -> Option<usize> {
        let Some(failed) = self.failures.back() else { return Some(0) };
        if failed.elapsed() >= RESTART_ANYWHERE_AFTER {
            return Some(0);
        }
        let lead = shape.lead().map(|track| track.id);
        frames
            .iter()
            .position(|frame| lead.is_none_or(|lead| frame.flags.key && frame.track == lead))
    }

    fn open(&mut self, shape: &Shape) -> Result<(), End> {
        let head = self.staging.last_head();
        if head > 0 {
            self.staging.restart();
        }
        let variant = Arc::clone(&self.feed.key().variant);
        let out = &mut self.staging;
        let opened = guarded(|| self.factory.open(shape, &variant, out));
        let opened = opened.and_then(|packager| match self.staging.last_head() > head {
            true => Ok(packager),
            false => Err(PackagerError::failed("the packager set no head")),
        });
        match opened {
            Ok(packager) => {
                self.packager = Some(packager);
                self.feed.commit(&mut self.staging);
                Ok(())
            }
            Err(error) if error.unsupported => {
                let refusal = Refusal::new(Status::Unsupported, error.text);
                Err(End { reason: Reason::Error, refusal })
            }
            Err(error) => self.fail(&error),
        }
    }

    fn finish_call(&mut self, result: Result<(), PackagerError>) -> Result<(), End> {
        match result {
            Ok(()) => {
                self.feed.commit(&mut self.staging);
                Ok(())
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &PackagerError) -> Result<(), End> {
        let key = self.feed.key();
        tracing::warn!(
            event = "packager.failed", key = %key.stream, format = %key.format,
            variant = %key.variant, %error, "the packager failed"
        );
        self.packager = None;
        self.staging.discard();
        self.feed.count_restart();
        let now = Instant::now();
        self.failures.retain(|at| now.duration_since(*at) < FAILURE_WINDOW);
        self.failures.push_back(now);
        if self.failures.len() < FAILURES_MAX {
            return Ok(());
        }
        let text = format!("the packager failed {FAILURES_MAX} times: {error}");
        Err(End { reason: Reason::Error, refusal: Refusal::new(Status::Unsupported, text) })
    }
}

/// Ends when there has been no viewer for `limit`.
async fn nobody_watches(interest: &mut watch::Receiver<usize>, limit: Duration) {
    loop {
        if interest.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        let back = interest.wait_for(|count| *count > 0);
        if tokio::time::timeout(limit, back).await.is_err() {
            return;
        }
    }
}

/// Calls a packager; a panic of one in Rust is an error like any other.
pub(super) fn guarded<T>(
    call: impl FnOnce() -> Result<T, PackagerError>,
) -> Result<T, PackagerError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(PackagerError::failed("the packager panicked")))
}
