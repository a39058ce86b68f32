//! Which formats a stream can be watched in, as the packagers themselves say.
//!
//! Each is asked to open for the stream's shape, and what it opened is dropped: nothing else knows codecs.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use plugin_api::frame::Shape;
use plugin_api::mem::Pool;
use serde::Serialize;
use utoipa::ToSchema;

use super::driver::guarded;
use super::staging::Staging;
use super::{Feeds, PackagerFactory};
use crate::hub::key::StreamKey;

/// Questions at a time: a packager that hangs must not take more threads with each question.
pub(super) const QUESTIONS_MAX: usize = 2;
/// How long an answer is waited for. Packagers answer in microseconds.
const ANSWER_LIMIT: Duration = Duration::from_millis(250);

/// One format of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FormatInfo {
    #[schema(value_type = String)]
    pub format: Arc<str>,
    /// `None`: the packager did not say.
    pub playable: Option<bool>,
    /// Why not, or why nobody knows.
    pub reason: Option<String>,
}

impl Feeds {
    /// Every format, for the stream as it is. Waits for a moment when a packager is slow.
    pub fn playable(&self, key: &StreamKey) -> Vec<FormatInfo> {
        let asked = match self.inner.hub.find(key).and_then(|stream| stream.shape()) {
            Some(shape) => self.ask(shape),
            None => Err((Some(false), "nobody has published yet")),
        };
        asked.unwrap_or_else(|(playable, reason)| {
            let info = |format| FormatInfo { format, playable, reason: Some(reason.to_owned()) };
            self.formats().into_iter().map(info).collect()
        })
    }

    fn ask(&self, shape: Arc<Shape>) -> Result<Vec<FormatInfo>, (Option<bool>, &'static str)> {
        let permit = Arc::clone(&self.inner.questions)
            .try_acquire_owned()
            .map_err(|_| (None, "others are asking at the moment"))?;
        let mut formats: Vec<_> = self
            .inner
            .formats
            .lock()
            .iter()
            .map(|(format, factory)| (Arc::clone(format), Arc::clone(factory)))
            .collect();
        formats.sort_by(|a, b| a.0.cmp(&b.0));
        let pool = self.inner.pool.clone();
        let (answer, answers) = mpsc::sync_channel(1);
        self.inner.runtime.spawn(async move {
            let infos: Vec<_> = formats
                .iter()
                .map(|(name, factory)| try_open(name, factory, &shape, &pool))
                .collect();
            drop(permit);
            // Nobody may be waiting any more.
            let _late = answer.send(infos);
        });
        answers.recv_timeout(ANSWER_LIMIT).map_err(|_| (None, "a packager does not answer"))
    }
}

fn try_open(
    format: &Arc<str>,
    factory: &Arc<dyn PackagerFactory>,
    shape: &Shape,
    pool: &Pool,
) -> FormatInfo {
    let mut out = Staging::new(pool.clone(), super::Framing::None);
    let opened = guarded(|| factory.open(shape, "", &mut out).map(drop));
    let (playable, reason) = match opened {
        Ok(()) => (Some(true), None),
        Err(error) if error.unsupported => (Some(false), Some(error.text)),
        Err(error) => (None, Some(error.text)),
    };
    FormatInfo { format: Arc::clone(format), playable, reason }
}
