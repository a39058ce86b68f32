//! Streams: who publishes, who reads, and what lies between.
//!
//! ```text
//! ingest ▸ Publisher ▸ ring ▸ Subscriber ▸ packager ▸ feed
//!                                        ▸ egress
//! ```

pub mod auth;
pub mod clock;
pub mod info;
pub mod key;
mod outcome;
mod publisher;
mod ring;
mod settings;
mod stream;
mod subscriber;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use plugin_api::mem::Account;

pub use outcome::{Reason, Refusal, Status};
pub use publisher::{Notice, PublishRequest, Publisher, Pushed};
pub use settings::{OnConflict, RingSettings, Settings};
pub use stream::{Stream, ViewerGuard};
pub use subscriber::{
    Batch, ReadOptions, ReadOutcome, ReaderKind, StartAt, SubscribeRequest, Subscriber,
};

use auth::Authorizer;
use clock::{Clock, Monotonic};
use info::StreamInfo;
use key::StreamKey;

/// All streams of the server.
pub struct Hub {
    _settings: Settings,
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
        _authorizer: Arc<dyn Authorizer>,
        _account: Arc<Account>,
        _clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self { _settings: settings })
    }

    /// Makes the caller the publisher of a stream, ending another one if the settings say so. Never waits.
    ///
    /// # Errors
    /// `Invalid`: the key. `Denied`: an auth rule, or the operator's block. `Conflict`: somebody else publishes.
    /// `Limit`: publishers or memory. `Cancelled`: the server stops.
    pub fn publish(&self, _request: PublishRequest) -> Result<Publisher, Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
    }

    /// Waits for a stream that has a publisher with tracks, without reading it: what `prepare` does. Dropping the
    /// future gives up.
    ///
    /// # Errors
    /// As for [`Hub::subscribe`], but for the limit on players.
    pub async fn join(
        self: &Arc<Self>,
        _request: &SubscribeRequest,
    ) -> Result<Arc<Stream>, Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
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
    pub fn find(&self, _key: &StreamKey) -> Option<Arc<Stream>> {
        None
    }

    /// All streams, by key.
    pub fn streams(&self) -> Vec<StreamInfo> {
        Vec::new()
    }

    /// One stream.
    pub fn stream(&self, _key: &StreamKey) -> Option<StreamInfo> {
        None
    }

    /// Ends the publisher and the stream, and refuses others under this key for `block_for`.
    ///
    /// # Errors
    /// `NotFound`: nobody publishes under this key.
    pub fn stop_publisher(&self, _key: &StreamKey, _block_for: Duration) -> Result<(), Refusal> {
        Err(Refusal::new(Status::Unsupported, "not offered"))
    }

    /// New settings, for streams that exist as well.
    pub fn set_settings(&self, _settings: Settings) {}

    /// Everything that happens by time: time-outs, windows, rates, memory. The host calls it every [`Hub::TICK`].
    pub fn tick(&self) {}

    /// Ends all streams and refuses new ones: the server stops.
    pub fn shutdown(&self) {}
}
