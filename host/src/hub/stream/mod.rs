//! A stream from its first publisher to its end.
//!
//! ```text
//!   Absent ──publish──▸ Publishing ──link lost, time-out──▸ Window ──republish_window──▸ Ended
//!  (waited for)           ▲    │ └────finish, stopped, idle───────────────────────────────▲
//!                         └────┴─take-over   ◂──publish── Window
//! ```
//!
//! A stream ends once: whoever publishes under its name later makes another one, on the same timeline if it is soon. Everything that changes is in one
//! [`State`] under one lock, held for a batch at most; wakers, log lines and freed memory wait until it is released.

mod life;
mod start_points;
mod state;
mod stats;
mod write;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use plugin_api::frame::{Frame, Ns, Shape, Track};

use self::life::Afterwards;
use self::state::{Phase, State};
use super::effects::Effects;
use super::ended::EndedSession;
use super::info::StreamInfo;
use super::key::StreamKey;
use super::outcome::{Reason, Refusal, Status};
use super::publisher::Pushed;
use super::ring::Cursor;
use super::shared::{Shared, Slot};
use super::subscriber::{ReadOptions, ReaderKind, Subscriber};
use super::timeline::Timeline;

pub(super) use self::write::{NotBegun, too_many_publishers};
pub(super) use self::writer::Writer;

/// One named live thing.
pub struct Stream {
    key: StreamKey,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({})", self.key)
    }
}

/// What somebody who waits for a publisher finds.
pub(super) enum Awaited {
    Ended,
    NotYet,
    Readable,
}

impl Stream {
    /// A stream that nobody publishes yet. `timeline` is what the last one of the name has left.
    pub(super) fn new(key: StreamKey, shared: Arc<Shared>, timeline: Timeline) -> Arc<Self> {
        let state = Mutex::new(State::new(&shared.settings(), timeline));
        Arc::new(Self { key, shared, state })
    }

    /// Its name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The shape in force for the next frame; `None` before the first.
    pub fn shape(&self) -> Option<Arc<Shape>> {
        self.state.lock().ring.shape().cloned()
    }

    /// Why it ended, if it has.
    pub fn ended(&self) -> Option<Reason> {
        match self.state.lock().phase {
            Phase::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// A reader of this stream, whose right to read was checked before.
    ///
    /// # Errors
    /// `Limit`: too many players. `NotFound`: the stream has ended.
    pub fn subscribe(self: &Arc<Self>, options: ReadOptions) -> Result<Subscriber, Refusal> {
        let guard = self.add_viewer(options.kind)?;
        let mut state = self.state.lock();
        let slot = state.readers.add();
        let cursor = Cursor::new(options.start, state.ring.end());
        drop(state);
        Ok(Subscriber::new(guard, slot, cursor, options.settled_only))
    }

    /// Counts a viewer that reads by way of a feed.
    ///
    /// # Errors
    /// `Limit`: too many players. `NotFound`: the stream has ended.
    pub fn add_viewer(self: &Arc<Self>, kind: ReaderKind) -> Result<ViewerGuard, Refusal> {
        let slot = match kind {
            ReaderKind::Player => Some(self.take_viewer_slot()?),
            ReaderKind::Packager
            | ReaderKind::Pusher
            | ReaderKind::Recorder
            | ReaderKind::Snapshot => None,
        };
        let limit = self.shared.settings().max_viewers_per_stream;
        self.with(|state, now, effects| {
            if let Phase::Ended(_) = state.phase {
                return Err(Refusal::new(Status::NotFound, "the stream has ended"));
            }
            if kind == ReaderKind::Player && *state.count(kind) >= limit {
                return Err(Refusal::new(
                    Status::Limit,
                    format!("the stream has its {limit} viewers"),
                ));
            }
            *state.count(kind) += 1;
            state.on_players(now, effects);
            Ok(())
        })?;
        Ok(ViewerGuard { stream: Arc::clone(self), kind, _slot: slot })
    }

    fn take_viewer_slot(&self) -> Result<Slot, Refusal> {
        let limit = self.shared.settings().max_viewers;
        let refusal = || Refusal::new(Status::Limit, format!("the server has its {limit} viewers"));
        Slot::take(&self.shared.viewers, limit).ok_or_else(refusal)
    }

    /// Tells the publisher that somebody waits for a keyframe; at most once a second gets through.
    pub fn want_keyframe(&self) {
        self.with(State::want_keyframe);
    }

    /// What the API shows of it.
    pub fn info(&self) -> Option<StreamInfo> {
        self.state.lock().info(&self.key, self.shared.now())
    }

    /// Remembers one of its readers that is gone.
    /// Remembers a viewer that has left.
    pub(super) fn note_ended(&self, session: EndedSession) {
        self.state.lock().stats.sent_to_former_viewers += session.bytes;
        self.shared.ended.add(session);
    }

    pub(super) fn begin(&self, writer: Box<Writer>) -> Result<(), NotBegun> {
        let settings = self.shared.settings();
        let pressure = self.shared.pressure();
        self.with(|state, now, effects| state.begin(writer, &settings, pressure, now, effects))
    }

    pub(super) fn set_tracks(&self, id: u64, tracks: Vec<Track>) -> Result<(), Refusal> {
        self.with(|state, now, effects| state.set_tracks(id, tracks, now, effects))
    }

    pub(super) fn push(&self, id: u64, frames: &[Frame]) -> Pushed {
        let pressure = self.shared.pressure();
        self.with(|state, now, effects| state.push(id, frames, pressure, now, effects))
    }

    pub(super) fn ready(&self, id: u64) {
        self.with(|state, now, effects| state.ready(id, now, effects));
    }

    pub(super) fn on_loss(&self, id: u64) {
        self.with(|state, _, _| {
            if state.writer(id).is_some() {
                state.start_points.on_loss();
            }
        });
    }

    /// The publisher ends in an orderly way.
    pub(super) fn finish(&self, id: u64) {
        self.leave(id, Reason::Asked, Afterwards::End(Reason::Ended));
    }

    /// The publisher's link is lost.
    pub(super) fn lose(&self, id: u64) {
        self.leave(id, Reason::PeerClosed, Afterwards::Wait);
    }

    fn leave(&self, id: u64, reason: Reason, afterwards: Afterwards) {
        let settings = self.shared.settings();
        self.with(|state, now, effects| {
            if state.writer(id).is_some() {
                state.lose_writer(reason, afterwards, &settings, now, effects);
            }
        });
    }

    /// Ends it by the operator's or the server's will. False: there was no publisher.
    pub(super) fn stop(&self) -> bool {
        self.with(|state, now, effects| {
            if matches!(state.phase, Phase::Ended(_)) {
                return false;
            }
            let had_publisher = state.end_writer(Reason::Stopped, now, effects);
            state.end(Reason::Stopped, effects);
            had_publisher
        })
    }

    pub(super) fn tick(&self) {
        let settings = self.shared.settings();
        let pressure = self.shared.pressure();
        self.with(|state, now, effects| state.tick(&settings, pressure, now, effects));
    }

    /// Whether there is a publisher that has named its tracks.
    pub(super) fn is_readable(&self) -> bool {
        self.state.lock().is_readable()
    }

    /// Marks it ended if nobody publishes and nobody waits, and says whether it has.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_vacant() {
            state.phase = Phase::Ended(Reason::Ended);
        }
        matches!(state.phase, Phase::Ended(_))
    }

    /// Its timeline, for the next stream of the name: this one is over.
    pub(super) fn hand_on_timeline(&self) -> Option<Timeline> {
        self.state.lock().timeline.hand_on()
    }

    /// Joins those who wait for a publisher, unless waiting is over. The number is for the two calls below.
    pub(super) fn enter(&self, deadline: Ns) -> (Awaited, Option<usize>) {
        let mut state = self.state.lock();
        match awaited(&state) {
            Awaited::NotYet => (Awaited::NotYet, Some(state.waiters.insert((None, deadline)))),
            over => (over, None),
        }
    }

    /// Whether waiting is over; if not, `waker` is woken then.
    pub(super) fn poll_waiter(&self, number: usize, waker: Waker) -> Awaited {
        let mut state = self.state.lock();
        let found = awaited(&state);
        let old = match (&found, state.waiters.get_mut(number)) {
            (Awaited::NotYet, Some((slot, _))) => slot.replace(waker),
            _ => Some(waker),
        };
        drop(state);
        drop(old);
        found
    }

    /// Leaves those who wait.
    pub(super) fn leave_waiters(&self, number: usize) {
        let gone = self.state.lock().waiters.try_remove(number);
        drop(gone);
    }

    /// Runs `change` under the lock, and what follows from it afterwards.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State, Ns, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = {
            let mut state = self.state.lock();
            // Asked for under the lock: times of one stream never go back.
            let now = self.shared.now();
            change(&mut state, now, &mut effects)
        };
        effects.run(&self.key, &self.shared.ended);
        result
    }
}

fn awaited(state: &State) -> Awaited {
    match state.phase {
        Phase::Ended(_) => Awaited::Ended,
        _ if state.is_readable() => Awaited::Readable,
        _ => Awaited::NotYet,
    }
}

/// One viewer, counted as long as this lives.
#[derive(Debug)]
pub struct ViewerGuard {
    stream: Arc<Stream>,
    kind: ReaderKind,
    _slot: Option<Slot>,
}

impl ViewerGuard {
    /// What it watches.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.stream.with(|state, now, effects| {
            *state.count(self.kind) -= 1;
            state.on_players(now, effects);
        });
    }
}
