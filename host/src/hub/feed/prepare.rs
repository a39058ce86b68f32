//! Fixes where a connection will begin in a feed, opening the feed when it is the first.
//!
//! A running feed answers at once. A new one answers when its packager has written a start point, which takes one poll of
//! its task, since reading begins at a start point that is held already.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Feeds;
use super::driver::Source;
use super::framing::Framing;
use super::live::{Feed, FeedKey, Hold, Interest, Phase};
use super::viewers::ViewerIdentity;
use crate::hub::{
    ReadOptions, ReaderKind, Refusal, StartAt, Status, Stream, SubscribeRequest, ViewerGuard,
};

/// Longest name of a variant.
pub const VARIANT_BYTES_MAX: usize = 64;

/// How long a place to begin is kept for a connection that is not attached.
pub const PREPARED_LIMIT: Duration = Duration::from_secs(10);

/// How long a feed may take to its first start point: longer than the GOPs of usual streams, for one without keyframes.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// What a session asks for.
#[derive(Clone, Debug, Default)]
pub struct PrepareRequest {
    /// As on the wire: `app/name?arguments`, percent-encoded.
    pub url: String,
    pub format: String,
    /// Options that change the feed's bytes.
    pub variant: String,
    /// What carries the bytes.
    pub framing: Framing,
    /// Id of the connection that will be attached.
    pub conn: u64,
    pub peer: Option<SocketAddr>,
    pub protocol: String,
    /// What the peer calls itself.
    pub agent: String,
    /// For a publisher. `None`: as configured; zero: not at all.
    pub wait: Option<Duration>,
}

/// A place in a feed, for one connection. Dropping it gives it up.
#[derive(Debug)]
pub struct Prepared {
    /// The packet to begin at; `None`: the next start point.
    pub(crate) begin: Option<u64>,
    /// Until the fan-out thread keeps the place itself.
    pub(crate) hold: Option<Hold>,
    pub(crate) interest: Interest,
    #[expect(dead_code, reason = "counts the viewer as long as it lives")]
    guard: Option<ViewerGuard>,
    pub(crate) identity: ViewerIdentity,
}

impl Prepared {
    /// What will be sent.
    pub fn feed(&self) -> &Arc<Feed> {
        self.interest.feed()
    }
}

impl Feeds {
    /// Waits for the stream, opens the feed if need be, and fixes where to begin. Dropping the future gives up.
    ///
    /// # Errors
    /// As for [`crate::hub::Hub::subscribe`]; `Unsupported` with the packager's reason when the format can't carry the
    /// stream, or when nobody packages it; `Timeout` when there is no start point in time.
    pub async fn prepare(&self, request: PrepareRequest) -> Result<Prepared, Refusal> {
        self.factory(&request.format)?;
        if request.variant.len() > VARIANT_BYTES_MAX {
            let text = format!("the variant is longer than {VARIANT_BYTES_MAX} bytes");
            return Err(Refusal::new(Status::Invalid, text));
        }
        let join = SubscribeRequest {
            url: request.url.clone(),
            peer: request.peer,
            conn: request.conn,
            protocol: request.protocol.clone(),
            wait: request.wait,
            ..SubscribeRequest::default()
        };
        let stream = self.inner.hub.join(&join).await?;
        let guard = stream.add_viewer(ReaderKind::Player)?;
        let key = FeedKey {
            stream: stream.key().clone(),
            format: request.format.as_str().into(),
            variant: request.variant.as_str().into(),
            framing: request.framing,
        };
        let interest = self.open(key, Some(Arc::clone(&stream)), || {
            let options = ReadOptions {
                kind: ReaderKind::Packager,
                start: StartAt::Newest,
                settled_only: true,
            };
            Ok(Box::new(stream.subscribe(options)?))
        })?;
        self.begin(interest, Some(guard), &request).await
    }

    /// The feed of this key, opened if there is none.
    pub(super) fn open(
        &self,
        key: FeedKey,
        stream: Option<Arc<Stream>>,
        subscribe: impl FnOnce() -> Result<Box<dyn Source>, Refusal>,
    ) -> Result<Interest, Refusal> {
        let mut feeds = self.inner.feeds.lock();
        // Under the lock: a registration that goes away now finds the new feed, or we find it gone.
        let factory = self.factory(&key.format)?;
        // A feed of a stream that has ended may still be sending its last packets.
        let live = feeds
            .get(&key)
            .filter(|feed| !feed.is_ended() && is_same(feed.stream(), stream.as_ref()));
        if let Some(feed) = live {
            return Ok(Interest::new(Arc::clone(feed)));
        }
        let source = subscribe()?;
        let feed = Arc::new(self.new_feed(key.clone(), stream));
        feeds.insert(key, Arc::clone(&feed));
        let interest = Interest::new(Arc::clone(&feed));
        drop(feeds);
        self.spawn_driver(feed, factory, source);
        Ok(interest)
    }

    pub(super) async fn begin(
        &self,
        interest: Interest,
        guard: Option<ViewerGuard>,
        request: &PrepareRequest,
    ) -> Result<Prepared, Refusal> {
        let feed = interest.feed();
        let mut phase = feed.phase();
        if *phase.borrow() == Phase::Opening
            && let Some(stream) = feed.stream()
        {
            stream.want_keyframe();
        }
        let opened = phase.wait_for(|phase| *phase != Phase::Opening);
        let phase = match tokio::time::timeout(OPEN_LIMIT, opened).await {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) => return Err(Refusal::new(Status::Cancelled, "the feed is gone")),
            Err(_) => {
                let text = format!("no start point within {OPEN_LIMIT:?}");
                return Err(Refusal::new(Status::Timeout, text));
            }
        };
        if let Phase::Ended(end) = phase {
            return Err(end.refusal);
        }
        let (begin, hold) = feed.hold_newest(PREPARED_LIMIT);
        let identity = ViewerIdentity {
            conn: request.conn,
            peer: request.peer,
            protocol: request.protocol.as_str().into(),
            agent: request.agent.as_str().into(),
        };
        Ok(Prepared { begin, hold: Some(hold), interest, guard, identity })
    }
}

fn is_same(feed: Option<&Arc<Stream>>, asked: Option<&Arc<Stream>>) -> bool {
    match (feed, asked) {
        (Some(feed), Some(asked)) => Arc::ptr_eq(feed, asked),
        (None, None) => true,
        _ => false,
    }
}
