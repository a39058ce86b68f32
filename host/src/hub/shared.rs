//! What all streams of a hub share: clock, settings, and what is counted over all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;
use plugin_api::frame::Ns;
use plugin_api::mem::Account;

use super::clock::Clock;
use super::ended::Ended;
use super::outcome::{Refusal, Status};
use super::settings::Settings;

/// Above this part of the memory limit rings give up history, and new streams are refused.
const SHED_HISTORY_PERCENT: u128 = 90;

/// Above this part rings give up the newest GOP as well.
const SHED_ALL_PERCENT: u128 = 97;

pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    settings: RwLock<Arc<Settings>>,
    account: Arc<Account>,
    is_stopping: AtomicBool,
    next_id: AtomicU64,
    pub(super) ended: Ended,
    pub(super) publishers: Arc<AtomicUsize>,
    pub(super) viewers: Arc<AtomicUsize>,
    pub(super) waiting: Arc<AtomicUsize>,
}

/// How close the server is to its memory limit, and so what is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    None,
    /// What is older than the newest GOP.
    History,
    /// Everything that readers are not about to read.
    All,
}

impl Shared {
    pub(super) fn new(settings: Settings, account: Arc<Account>, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            settings: RwLock::new(Arc::new(settings)),
            account,
            is_stopping: AtomicBool::new(false),
            next_id: AtomicU64::new(1),
            ended: Ended::default(),
            publishers: Arc::default(),
            viewers: Arc::default(),
            waiting: Arc::default(),
        }
    }

    pub(super) fn now(&self) -> Ns {
        self.clock.now()
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    pub(super) fn set_settings(&self, settings: Settings) {
        *self.settings.write() = Arc::new(settings);
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Refuses everything once the server stops.
    pub(super) fn check_running(&self) -> Result<(), Refusal> {
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err(Refusal::new(Status::Cancelled, "the server is stopping"));
        }
        Ok(())
    }

    pub(super) fn pressure(&self) -> Pressure {
        let (used, limit) = (self.account.used() as u128, self.account.limit() as u128);
        if used * 100 >= limit * SHED_ALL_PERCENT {
            Pressure::All
        } else if used * 100 >= limit * SHED_HISTORY_PERCENT {
            Pressure::History
        } else {
            Pressure::None
        }
    }
}

/// One of a limited number, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// `None` when `limit` are taken.
    pub(super) fn take(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let up = |taken: usize| (taken < limit).then_some(taken + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, up).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
