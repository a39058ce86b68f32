//! Publishers and viewers that are gone, and why: the newest of each, for operators who come too late to see them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::info::as_text;
use super::key::StreamKey;
use super::outcome::Reason;

/// Publishers that are remembered, and as many viewers: a stream that ends with all its viewers must not push its own
/// publisher out. The oldest is forgotten first.
pub const ENDED_MAX: usize = 1_000;

/// On which side of a stream a session stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Publisher,
    Viewer,
}

/// A session that has ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndedSession {
    /// Counts up with each end.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub id: u64,
    pub role: Role,
    #[schema(value_type = String)]
    pub key: StreamKey,
    /// The connection's id in log, API and metrics; `0` without one.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub conn: u64,
    pub peer: Option<String>,
    pub protocol: String,
    /// What the peer called itself.
    pub agent: String,
    /// Unix time in milliseconds.
    pub started_ms: u64,
    pub duration_ms: u64,
    /// Of media: what the publisher sent, or what the viewer was sent.
    pub bytes: u64,
    pub reason: Reason,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ended {
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    last_id: u64,
    publishers: VecDeque<Arc<EndedSession>>,
    viewers: VecDeque<Arc<EndedSession>>,
}

impl Ended {
    /// Remembers a session, whose `id` and `started_ms` are filled in here.
    pub(super) fn add(&self, mut session: EndedSession) {
        session.started_ms = unix_ms().saturating_sub(session.duration_ms);
        let mut rings = self.rings.lock();
        rings.last_id += 1;
        session.id = rings.last_id;
        let ring = match session.role {
            Role::Publisher => &mut rings.publishers,
            Role::Viewer => &mut rings.viewers,
        };
        let oldest = if ring.len() >= ENDED_MAX { ring.pop_front() } else { None };
        ring.push_back(Arc::new(session));
        drop(rings);
        drop(oldest);
    }

    /// What is remembered, in no order. Shared and not copied: fan-out threads wait for the lock.
    pub fn list(&self) -> Vec<Arc<EndedSession>> {
        let rings = self.rings.lock();
        rings.publishers.iter().chain(&rings.viewers).cloned().collect()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

/// Whole milliseconds.
pub(in crate::hub) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(role: Role, conn: u64) -> EndedSession {
        EndedSession {
            id: 0,
            role,
            key: StreamKey::new("live/a").unwrap(),
            conn,
            peer: None,
            protocol: "rtmp".to_owned(),
            agent: String::new(),
            started_ms: 0,
            duration_ms: 1_000,
            bytes: 7,
            reason: Reason::PeerClosed,
        }
    }

    #[test]
    fn viewers_do_not_push_their_publisher_out() {
        let ended = Ended::default();

        ended.add(session(Role::Publisher, 1));
        for conn in 2..2_000 {
            ended.add(session(Role::Viewer, conn));
        }

        let list = ended.list();
        let viewers: Vec<u64> =
            list.iter().filter(|end| end.role == Role::Viewer).map(|end| end.conn).collect();
        assert_eq!(viewers.len(), ENDED_MAX);
        assert_eq!((viewers[0], viewers[ENDED_MAX - 1]), (1_000, 1_999));
        assert!(list.iter().any(|end| end.role == Role::Publisher && end.conn == 1));
        let mut ids: Vec<u64> = list.iter().map(|end| end.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ENDED_MAX + 1);
        assert!(list[0].started_ms + 1_000 <= unix_ms());
    }
}
