//! The newest lines, for those who ask when it has happened already, and then whatever follows.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::event::{Channel, Full, Subscription};

/// Lines that are kept.
pub const LINES_MAX: usize = 1_000;
/// Bytes of them in all: a line may be long.
const BYTES_MAX: usize = 4 << 20;
/// Lines that a reader may be behind.
const BACKLOG_MAX: usize = 1_024;
/// Readers at a time.
const READERS_MAX: usize = 16;

/// The lines that are kept, oldest first, and those that follow them.
pub type Follow = (Vec<Arc<str>>, Subscription<Arc<str>>);

/// See the module.
pub(super) struct Tail {
    ring: Mutex<Ring>,
    channel: Channel<Arc<str>>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self { ring: Mutex::default(), channel: Channel::new(BACKLOG_MAX, READERS_MAX) }
    }

    /// Adds a line, written and masked.
    pub(super) fn push(&self, line: Arc<str>) {
        let mut forgotten = Vec::new();
        let mut ring = self.ring.lock();
        ring.bytes += line.len();
        ring.lines.push_back(Arc::clone(&line));
        while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX && ring.lines.len() > 1 {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.len();
            forgotten.push(oldest);
        }
        // Under the lock: a reader that comes now has the line once, kept or live.
        self.channel.send(line);
        drop(ring);
    }

    pub(super) fn newest(&self) -> Vec<Arc<str>> {
        self.ring.lock().lines.iter().cloned().collect()
    }

    pub(super) fn try_newest(&self, count: usize, mut each: impl FnMut(&str)) -> bool {
        let Some(ring) = self.ring.try_lock() else { return false };
        let older = ring.lines.len().saturating_sub(count);
        ring.lines.iter().skip(older).for_each(|line| each(line));
        true
    }

    pub(super) fn follow(&self) -> Result<Follow, Full> {
        let ring = self.ring.lock();
        let live = self.channel.subscribe()?;
        Ok((ring.lines.iter().cloned().collect(), live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Received;

    #[tokio::test]
    async fn keeps_the_newest_and_goes_on_without_a_gap() {
        let tail = Tail::new();
        (0..LINES_MAX + 5).for_each(|n| tail.push(n.to_string().into()));

        let (kept, mut live) = tail.follow().unwrap();
        tail.push("next".into());

        assert_eq!((kept.len(), &*kept[0], &*kept[LINES_MAX - 1]), (LINES_MAX, "5", "1004"));
        assert_eq!(live.next().await, Received::Item("next".into()));
    }

    #[test]
    fn long_lines_are_bounded_in_bytes() {
        let tail = Tail::new();
        let long = "x".repeat(BYTES_MAX / 2);

        (0..4).for_each(|_| tail.push(long.as_str().into()));

        assert_eq!(tail.newest().len(), 2);
    }
}
