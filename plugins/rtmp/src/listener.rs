//! Accepts connections and spawns a session for each; tells all of them to end, and waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use plugin_api::frame::Ns;
use plugin_api::net::{ListenOptions, TcpListener};
use plugin_api::{Error, Host};

use crate::config::Config;
use crate::session::{PerMinute, Session};

/// RTMP's own port, which URLs leave out.
const DEFAULT_PORT: u16 = 1935;

/// What players take for the port of `rtmps://` when it names none; ours is another, which 443 leaves to HTTPS.
const DEFAULT_TLS_PORT: u16 = 443;

/// Listens, with TLS too when a certificate is named. The host limits how many connections there are.
pub(crate) fn listen(
    host: &Host,
    config: &Arc<Config>,
    sessions: &Arc<Sessions>,
) -> Result<(), Error> {
    let plain = config.address().map(|address| ListenOptions {
        address,
        protocol: "rtmp",
        publish_url: "rtmp://{host}/{key}",
        play_url: "rtmp://{host}/{key}",
        default_port: DEFAULT_PORT,
        tls: "",
        proxy_protocol: config.proxy_protocol,
    });
    let secure = config.tls_address().map(|(address, tls)| ListenOptions {
        address,
        protocol: "rtmps",
        publish_url: "rtmps://{host}/{key}",
        play_url: "rtmps://{host}/{key}",
        default_port: DEFAULT_TLS_PORT,
        tls,
        proxy_protocol: config.proxy_protocol,
    });
    for options in plain.into_iter().chain(secure) {
        let listener = TcpListener::bind(host, options)?;
        let accept = accept(host.clone(), Arc::clone(config), Arc::clone(sessions), listener);
        host.spawn_detached("listener", options.address, accept)?;
    }
    Ok(())
}

async fn accept(
    host: Host,
    config: Arc<Config>,
    sessions: Arc<Sessions>,
    listener: TcpListener,
) -> Result<(), Error> {
    let mut ticket = sessions.enter();
    loop {
        let accepted = std::future::poll_fn(|cx| match ticket.poll_stop(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => listener.poll_accept(cx).map(Some),
        });
        let Some(stream) = accepted.await else { return Ok(()) };
        let stream = stream?;
        let name = stream.info().peer.to_string();
        let session =
            Session::new(host.clone(), Arc::clone(&config), stream, sessions.enter()).run();
        if let Err(error) = host.spawn_detached("session", &name, session) {
            tracing::warn!(event = "session.refused", peer = %name, %error, "no room for a session");
        }
    }
}

/// How many sessions that came to nothing are logged in a minute; the others are for debug. They cost a peer next to nothing,
/// and come by the thousand: scanners, floods, players that ask again and again for a stream that is not there.
const FAILURES_LOGGED_MAX: u32 = 60;

/// All that runs: the listener and the sessions. Only the end goes through here.
#[derive(Default)]
pub(crate) struct Sessions {
    is_stopping: AtomicBool,
    state: Mutex<State>,
    /// Failures that were logged.
    logged: Mutex<PerMinute>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// By number, with whom to wake when all shall end.
    running: HashMap<u64, Option<Waker>>,
    /// Who waits for the last one.
    waiting: Option<Waker>,
}

impl Sessions {
    /// Counts one in, until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Ticket {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.running.insert(id, None);
        Ticket { sessions: Arc::clone(self), id, waker: None }
    }

    /// Asks all to end.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        let wakers: Vec<Waker> = {
            let mut state = self.lock();
            state.running.values_mut().filter_map(Option::take).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the last one has ended.
    pub(crate) async fn ended(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.running.is_empty() {
                return Poll::Ready(());
            }
            state.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's share in [`Sessions`].
pub(crate) struct Ticket {
    sessions: Arc<Sessions>,
    id: u64,
    /// The waker that is registered: registering it once is enough.
    waker: Option<Waker>,
}

impl Ticket {
    /// Whether one more session that came to nothing is logged.
    pub(crate) fn may_log_failure(&self, now: Ns) -> bool {
        let mut logged = self.sessions.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.take(now, FAILURES_LOGGED_MAX)
    }

    /// Ready once all shall end.
    pub(crate) fn poll_stop(&mut self, cx: &Context<'_>) -> Poll<()> {
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !is_known {
            let waker = cx.waker().clone();
            self.waker = Some(waker.clone());
            self.sessions.lock().running.insert(self.id, Some(waker));
        }
        // Looked at after registering, so that a stop in between is not missed.
        if self.sessions.is_stopping.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.sessions.lock();
            state.running.remove(&self.id);
            if state.running.is_empty() { state.waiting.take() } else { None }
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reaches_all_and_waits_for_the_last() {
        let sessions = Arc::new(Sessions::default());
        let mut first = sessions.enter();
        let second = sessions.enter();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.poll_stop(&cx).is_pending());

        sessions.stop();

        assert!(first.poll_stop(&cx).is_ready());
        let mut ended = std::pin::pin!(sessions.ended());
        assert!(ended.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(ended.as_mut().poll(&mut cx).is_pending());
        drop(second);
        assert!(ended.as_mut().poll(&mut cx).is_ready());
    }
}
