//! The present publisher of a stream, as the stream sees it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::frame::Ns;

use crate::hub::clock::ms;
use crate::hub::info::PublisherInfo;
use crate::hub::key::Args;
use crate::hub::notices::Notices;
use crate::hub::publisher::PublishRequest;
use crate::hub::shared::Slot;

/// Identity, progress and letter box of one publisher.
pub(in crate::hub) struct Writer {
    pub(in crate::hub) id: u64,
    pub(in crate::hub) notices: Arc<Notices>,
    pub(super) request: PublishRequest,
    /// The `key` argument: whoever comes from the same address with the same one is the same encoder.
    secret: Option<String>,
    /// One of `max_publishers`; a take-over hands it on.
    pub(in crate::hub) slot: Option<Slot>,
    pub(super) started: Ns,
    /// When frames came last; at first, when it began.
    pub(super) last_data: Ns,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// When it first named its tracks; `None`: not yet, and what it pushes is dropped.
    pub(super) tracks_since: Option<Ns>,
    pub(super) is_settled: bool,
    pub(super) watch: Watch,
    pub(super) has_logged_jump: bool,
    pub(super) has_logged_start: bool,
}

/// Whether anybody watches this publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nobody since it began.
    NeverYet(Ns),
    /// Nobody since then, but before.
    NotSince(Ns),
    Watched,
}

impl Writer {
    pub(in crate::hub) fn new(id: u64, request: PublishRequest, args: &Args, now: Ns) -> Self {
        Self {
            id,
            notices: Arc::default(),
            secret: args.get("key").map(str::to_owned),
            request,
            slot: None,
            started: now,
            last_data: now,
            frames: 0,
            bytes: 0,
            tracks_since: None,
            is_settled: false,
            watch: Watch::NeverYet(now),
            has_logged_jump: false,
            has_logged_start: false,
        }
    }

    /// Same address, same key: its first connection hangs, and it is back.
    pub(super) fn is_same_encoder(&self, other: &Self) -> bool {
        self.address().is_some() && self.address() == other.address() && self.secret == other.secret
    }

    fn address(&self) -> Option<IpAddr> {
        self.request.peer.map(|peer| peer.ip().to_canonical())
    }

    pub(super) fn peer(&self) -> Option<String> {
        self.request.peer.map(crate::net::shown)
    }

    /// How long it may go on unwatched from `since` on.
    pub(super) fn unwatched_deadline(
        &self,
        idle: Option<Duration>,
        delay_close: Option<Duration>,
    ) -> Option<Ns> {
        let after = |since: Ns, wait: Option<Duration>| {
            wait.map(|wait| since.saturating_add(crate::hub::clock::ns(wait)))
        };
        match self.watch {
            Watch::NeverYet(since) => after(since, idle),
            Watch::NotSince(since) => {
                let delay_close = self.request.delay_close.or(delay_close);
                after(since, idle).into_iter().chain(after(since, delay_close)).min()
            }
            Watch::Watched => None,
        }
    }

    pub(super) fn info(&self, now: Ns) -> PublisherInfo {
        PublisherInfo {
            conn: self.request.conn,
            peer: self.peer(),
            protocol: self.request.protocol.clone(),
            agent: self.request.agent.clone(),
            instance: self.request.instance.clone(),
            uptime_ms: ms(now - self.started),
            frames: self.frames,
            bytes: self.bytes,
            silent_ms: ms(now - self.last_data),
        }
    }
}
