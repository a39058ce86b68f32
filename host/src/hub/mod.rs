//! Streams: who publishes, who reads, and what lies between.
//!
//! ```text
//! ingest ▸ Publisher ▸ ring ▸ Subscriber ▸ packager ▸ feed
//!                                        ▸ egress
//! ```
//!
//! Start reading at [`Stream`], whose picture shows its life. The rest is one idea a file: `key` makes names of addresses,
//! `ring` holds the newest frames, `timeline` repairs time, `registry` and `waiting` bring readers and publishers
//! together, `notices` and `effects` carry what follows from a change to where nothing is locked.
//!
//! What is given up as the server's memory limit comes near, in this order:
//!
//! 1. from 90 %: rings give up what is older than their newest GOP, and new streams are refused;
//! 2. from 97 %: rings give up all but what readers that keep up are about to read, so joins wait for a keyframe;
//! 3. at the limit: no more blocks are made; what can't be copied is dropped before it is pushed, and
//!    [`Publisher::on_loss`] lets video go on at its next keyframe.

pub mod auth;
mod batch;
pub mod clock;
mod effects;
pub mod ended;
pub mod feed;
pub mod info;
pub mod key;
mod notices;
mod outcome;
mod publisher;
mod readers;
mod registry;
mod ring;
mod settings;
mod shared;
mod stream;
mod subscriber;
#[cfg(test)]
mod tests;
mod timeline;
mod waiting;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::mem::Account;

pub use batch::{Batch, StartAt};
pub use outcome::{Reason, Refusal, Status};
pub use publisher::{Notice, PublishRequest, Publisher, Pushed};
pub use settings::{OnConflict, RingSettings, Settings};
pub use stream::{Stream, ViewerGuard};
pub use subscriber::{ReadOptions, ReadOutcome, ReaderKind, SubscribeRequest, Subscriber};

use auth::{Action, Authorizer};
use clock::{Clock, Monotonic, ns};
use ended::Ended;
use info::StreamInfo;
use key::{Args, StreamKey};
use registry::Registry;
use shared::{Shared, Slot};
use stream::{NotBegun, Writer};
use waiting::Waiting;

use crate::log::quiet::Quiet;
use crate::net::bucket;

/// Between two lines of the log about one address that is refused.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);
/// Addresses that have such a line in that time.
const REFUSED_ADDRESSES_MAX: usize = 64;

/// All streams of the server.
pub struct Hub {
    shared: Arc<Shared>,
    registry: Registry,
    authorizer: Arc<dyn Authorizer>,
    /// For lines about those who are refused.
    refusals: Quiet,
}

/// Who asks, for the authorizer and the log.
struct Peer<'a> {
    address: Option<SocketAddr>,
    conn: u64,
    protocol: &'a str,
}

impl Hub {
    /// How often [`Hub::tick`] wants to be called.
    pub const TICK: Duration = Duration::from_millis(100);

    /// A hub on the system's clock. Payload counts against `account`.
    pub fn new(
        settings: Settings,
        authorizer: Arc<dyn Authorizer>,
        account: Arc<Account>,
    ) -> Arc<Self> {
        Self::with_clock(settings, authorizer, account, Arc::new(Monotonic::start()))
    }

    /// A hub on another clock, for tests.
    pub fn with_clock(
        settings: Settings,
        authorizer: Arc<dyn Authorizer>,
        account: Arc<Account>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared::new(settings, account, clock));
        let refusals = Quiet::new(REFUSED_INTERVAL, REFUSED_ADDRESSES_MAX);
        Arc::new(Self {
            registry: Registry::new(Arc::clone(&shared)),
            shared,
            authorizer,
            refusals,
        })
    }

    /// Makes the caller the publisher of a stream, ending another one if the settings say so. Never waits.
    ///
    /// # Errors
    /// `Invalid`: the key. `Denied`: an auth rule, or the operator's block. `Conflict`: somebody else publishes.
    /// `Limit`: publishers or memory. `Cancelled`: the server stops.
    pub fn publish(&self, mut request: PublishRequest) -> Result<Publisher, Refusal> {
        self.shared.check_running()?;
        let (key, args) = parse(&request.url)?;
        // It may hold secrets, and nobody needs it again.
        request.url = String::new();
        let peer = Peer { address: request.peer, conn: request.conn, protocol: &request.protocol };
        self.authorize(Action::Publish, &key, &args, &peer)?;
        let now = self.shared.now();
        if let Some(left) = self.registry.blocked_for(&key, now) {
            let reason =
                format!("stopped by the operator; blocked for {} s more", left / 1_000_000_000 + 1);
            return Err(Refusal::new(Status::Denied, reason));
        }
        let settings = self.shared.settings();
        let mut writer = Box::new(Writer::new(self.shared.next_id(), request, &args, now));
        writer.slot = Slot::take(&self.shared.publishers, settings.max_publishers);
        loop {
            // Without a place it may only take over another one's, so it adds no name to the registry.
            let stream = match &writer.slot {
                Some(_) => self.registry.find_or_add(&key),
                None => self
                    .registry
                    .find(&key)
                    .ok_or_else(|| stream::too_many_publishers(&settings))?,
            };
            let (id, notices) = (writer.id, Arc::clone(&writer.notices));
            match stream.begin(writer) {
                Ok(()) => {
                    // The server may have begun to stop in between, and have ended all that it found.
                    self.shared.check_running().inspect_err(|_| _ = stream.stop())?;
                    return Ok(Publisher::new(stream, id, notices));
                }
                Err(NotBegun::Ended(again)) => writer = again,
                Err(NotBegun::Refused(refusal)) => return Err(refusal),
            }
        }
    }

    /// Waits for a stream that has a publisher with tracks, without reading it: what `prepare` does. Dropping the
    /// future gives up.
    ///
    /// # Errors
    /// As for [`Hub::subscribe`], but for the limit on players.
    pub async fn join(
        self: &Arc<Self>,
        request: &SubscribeRequest,
    ) -> Result<Arc<Stream>, Refusal> {
        self.shared.check_running()?;
        let (key, args) = parse(&request.url)?;
        if !request.skip_auth {
            let peer =
                Peer { address: request.peer, conn: request.conn, protocol: &request.protocol };
            self.authorize(Action::Play, &key, &args, &peer)?;
        }
        self.wait_for(&key, request.wait).await
    }

    /// Waits for a stream of this name; `None`: as long as configured. For readers inside the host.
    ///
    /// # Errors
    /// `NotFound`: no publisher came in time. `Limit`: too many subscribers wait. `Cancelled`: the server stops.
    pub async fn wait_for(
        &self,
        key: &StreamKey,
        wait: Option<Duration>,
    ) -> Result<Arc<Stream>, Refusal> {
        let wait = wait.unwrap_or(self.shared.settings().wait_timeout);
        let deadline = self.shared.now().saturating_add(ns(wait));
        let mut waiting = Waiting::new(&self.shared, &self.registry, key, deadline);
        std::future::poll_fn(|cx| waiting.poll(cx)).await
    }

    /// Waits for a stream and reads it. Dropping the future gives up.
    ///
    /// # Errors
    /// `Invalid`: the key. `Denied`: an auth rule. `NotFound`: no publisher came in time. `Limit`: too many players, or too
    /// many subscribers waiting. `Cancelled`: the server stops.
    pub async fn subscribe(
        self: &Arc<Self>,
        request: SubscribeRequest,
    ) -> Result<Subscriber, Refusal> {
        self.join(&request).await?.subscribe(request.options)
    }

    /// The stream of this name, whether or not its publisher is there at the moment.
    pub fn find(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.registry.find(key)
    }

    /// All streams that have begun, by key.
    pub fn streams(&self) -> Vec<StreamInfo> {
        let mut streams: Vec<_> =
            self.registry.all().iter().filter_map(|stream| stream.info()).collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        streams
    }

    /// One stream.
    pub fn stream(&self, key: &StreamKey) -> Option<StreamInfo> {
        self.registry.find(key)?.info()
    }

    /// Publishers and viewers that are gone.
    pub fn ended(&self) -> &Ended {
        &self.shared.ended
    }

    /// Ends the publisher and the stream, and refuses others under this key for `block_for`.
    ///
    /// # Errors
    /// `NotFound`: there is no such stream.
    pub fn stop_publisher(&self, key: &StreamKey, block_for: Duration) -> Result<(), Refusal> {
        let not_found = || Refusal::new(Status::NotFound, format!("there is no stream {key}"));
        let stream = self
            .registry
            .find(key)
            .filter(|stream| stream.info().is_some())
            .ok_or_else(not_found)?;
        // Blocked first: else the encoder is back in between.
        if !block_for.is_zero() {
            self.registry.block(key, self.shared.now().saturating_add(ns(block_for)));
        }
        stream.stop();
        Ok(())
    }

    /// New settings, for streams that exist as well: bounds of rings from the next tick on.
    pub fn set_settings(&self, settings: Settings) {
        self.shared.set_settings(settings);
    }

    /// Everything that happens by time: time-outs, windows, rates, memory. The host calls it every [`Hub::TICK`].
    pub fn tick(&self) {
        for stream in self.registry.all() {
            stream.tick();
        }
        self.registry.clean(self.shared.now());
    }

    /// Ends all streams and refuses new ones: the server stops.
    pub fn shutdown(&self) {
        self.shared.stop();
        for stream in self.registry.all() {
            stream.stop();
        }
    }

    fn authorize(
        &self,
        action: Action,
        key: &StreamKey,
        args: &Args,
        peer: &Peer<'_>,
    ) -> Result<(), Refusal> {
        let address: Option<IpAddr> = peer.address.map(|peer| peer.ip().to_canonical());
        self.authorizer.check(action, key, args, address).map_err(|reason| {
            let about = address.map_or_else(|| Ipv6Addr::UNSPECIFIED.into(), bucket);
            if let Some(left_out) = self.refusals.may_log(about, Instant::now()) {
                let peer_address = address.map(|address| address.to_string()).unwrap_or_default();
                tracing::warn!(
                    event = "auth.refused", %action, %key, peer = peer_address, protocol = peer.protocol,
                    conn = peer.conn, reason, left_out, "refused"
                );
            }
            Refusal::new(Status::Denied, reason)
        })
    }
}

fn parse(url: &str) -> Result<(StreamKey, Args), Refusal> {
    key::parse(url).map_err(|error| Refusal::new(Status::Invalid, error.to_string()))
}
