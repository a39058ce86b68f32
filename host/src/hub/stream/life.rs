//! How a stream loses its publisher, and how it ends.

use plugin_api::frame::Ns;

use super::state::{Phase, State};
use crate::hub::clock::{ms, ns};
use crate::hub::effects::{Effects, Line, Stop};
use crate::hub::outcome::Reason;
use crate::hub::publisher::Notice;
use crate::hub::settings::Settings;
use crate::hub::shared::Pressure;

/// What becomes of a stream whose publisher is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It ends now; readers are told this.
    End(Reason),
    /// It waits for a publisher as the settings say.
    Wait,
}

impl State {
    /// The publisher with this id is gone.
    pub(super) fn lose_writer(
        &mut self,
        reason: Reason,
        afterwards: Afterwards,
        settings: &Settings,
        now: Ns,
        effects: &mut Effects,
    ) {
        let has_begun = self.ring.shape().is_some();
        if !self.end_writer(reason, now, effects) {
            return;
        }
        let window = ns(settings.republish_window);
        match afterwards {
            Afterwards::Wait if has_begun && window > 0 => {
                self.phase = Phase::Window(now.saturating_add(window))
            }
            Afterwards::Wait => self.end(Reason::Lost, effects),
            Afterwards::End(reason) => self.end(reason, effects),
        }
    }

    /// Tells the publisher and the log. The phase is the caller's to set. False: there was none.
    pub(super) fn end_writer(&mut self, reason: Reason, now: Ns, effects: &mut Effects) -> bool {
        let Phase::Publishing(writer) = std::mem::replace(&mut self.phase, Phase::Absent) else {
            return false;
        };
        effects.wakers.extend(writer.notices.put(Notice::Ended(reason)));
        effects.lines.push(Line::Stop(Box::new(Stop {
            reason,
            duration_ms: ms(now - writer.started),
            bytes: writer.bytes,
            frames: writer.frames,
            conn: writer.request.conn,
            peer: writer.peer(),
            agent: writer.request.agent,
            protocol: writer.request.protocol,
        })));
        true
    }

    /// The end for readers; who waits for a publisher goes on waiting, on another stream of the name.
    pub(super) fn end(&mut self, reason: Reason, effects: &mut Effects) {
        self.phase = Phase::Ended(reason);
        self.wake_readers(effects);
        self.wake_waiters(effects);
    }

    /// Everything that happens by time.
    pub(super) fn tick(
        &mut self,
        settings: &Settings,
        pressure: Pressure,
        now: Ns,
        effects: &mut Effects,
    ) {
        self.ring.set_limits(settings.ring);
        self.shed(pressure, effects);
        self.stats.measure(now);
        self.wake_late_waiters(now, effects);
        match &self.phase {
            Phase::Absent | Phase::Ended(_) => {}
            Phase::Publishing(_) => self.tick_writer(settings, now, effects),
            Phase::Window(until) if now >= *until => self.end(Reason::Lost, effects),
            Phase::Window(_) => {}
        }
    }

    fn tick_writer(&mut self, settings: &Settings, now: Ns, effects: &mut Effects) {
        let Phase::Publishing(writer) = &self.phase else { return };
        let is_due = |deadline: Option<Ns>| deadline.is_some_and(|deadline| now >= deadline);
        if now - writer.last_data >= ns(settings.timeout) {
            self.lose_writer(Reason::Timeout, Afterwards::Wait, settings, now, effects);
        } else if is_due(writer.unwatched_deadline(settings.idle_timeout, settings.delay_close)) {
            self.lose_writer(Reason::Idle, Afterwards::End(Reason::Ended), settings, now, effects);
        } else if is_due(
            writer.tracks_since.map(|since| since.saturating_add(ns(settings.settle_timeout))),
        ) {
            let id = writer.id;
            self.ready(id, now, effects);
        }
    }

    fn wake_late_waiters(&mut self, now: Ns, effects: &mut Effects) {
        let late = self.waiters.iter_mut().filter(|(_, (_, deadline))| now >= *deadline);
        effects.wakers.extend(late.filter_map(|(_, (waker, _))| waker.take()));
    }
}
