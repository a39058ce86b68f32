//! What happens in the server, told to whoever listens: `stream.start`, `viewer.stop`, `plugin.faulted`, `auth.refused`.
//!
//! ```text
//! tracing event of the host, or a plugin's record, with an `event` field ─▶ log line ─▶ stderr, the newest lines
//!                                                                              └──────▶ bus ─▶ subscribers
//! ```
//!
//! There is no second call beside the log's: whatever is logged under an event name at level info or above is on the bus,
//! masked in the same way, whatever levels the operator has set. Nobody waits for a subscriber: one that is slow loses the
//! oldest messages and is told how many.

mod channel;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::channel::{Channel, Full, Received, Subscription};

/// Messages that a subscriber may be behind.
pub const BACKLOG_MAX: usize = 1_024;
/// Subscribers at a time.
pub const SUBSCRIBERS_MAX: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub struct Message {
    /// Counts up; what nobody listened to has none.
    pub id: u64,
    /// The event's name.
    pub topic: String,
    /// The key of the stream that it is about.
    pub stream: Option<String>,
    /// The log line as JSON: `time`, `level`, `target`, `event`, `message`, and the event's own fields.
    pub json: String,
}

/// The bus. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Bus {
    channel: Channel<Arc<Message>>,
    last_id: Arc<AtomicU64>,
}

impl Default for Bus {
    fn default() -> Self {
        let channel = Channel::new(BACKLOG_MAX, SUBSCRIBERS_MAX);
        Self { channel, last_id: Arc::default() }
    }
}

impl Bus {
    /// Everything from here on.
    ///
    /// # Errors
    /// When there are [`SUBSCRIBERS_MAX`] already.
    pub fn subscribe(&self) -> Result<Subscription<Arc<Message>>, Full> {
        self.channel.subscribe()
    }

    /// Whether anybody listens: else a message need not be made.
    pub fn has_subscribers(&self) -> bool {
        self.channel.has_subscribers()
    }

    /// Tells all who listen. Never waits.
    pub fn publish(&self, topic: &str, stream: Option<&str>, json: String) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (topic, stream) = (topic.to_owned(), stream.map(str::to_owned));
        self.channel.send(Arc::new(Message { id, topic, stream, json }));
    }
}
