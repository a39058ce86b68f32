//! Start and stop of the port, and the accept loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::room::Room;
use super::route::{ROUTES, Route};
use super::worker::{Accepted, QUEUE_MAX, Stage, State, Worker};
use super::{Error, Settings, Source, guard};
use crate::auth::token::Token;
use crate::crash;
use crate::log;
use crate::metrics::Metrics;
use crate::net::{ListenOptions, Listener, Net};
use crate::task::{Node, TaskError};

/// What closing the last connections may take after the deadline.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);
/// `PC_E_IO` of the contract.
const E_IO: i32 = -6;

/// The port while it is served. Dropping it closes everything at once.
#[derive(Debug)]
pub struct HttpServer {
    /// Without TLS, then with it, as far as they are wanted.
    listeners: Vec<(&'static str, Arc<Listener>)>,
    tasks: Vec<Node>,
    stage: watch::Sender<Stage>,
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    handle: JoinHandle<()>,
    /// Ready when the thread has nothing left.
    ended: oneshot::Receiver<()>,
}

/// Opens the port. The listener is a task below `parent`.
///
/// # Errors
///
/// The port is in use (by whom, if that can be read), or there are no threads.
pub fn start(
    net: &Net,
    parent: &Node,
    settings: Settings,
    source: Arc<dyn Source>,
    token: Token,
    metrics: Arc<Metrics>,
    log: log::Handle,
) -> Result<HttpServer, Error> {
    let plugins = settings.plugins.clone();
    let room = Room::new(&settings, metrics.http().clone());
    let refusals = guard::quiet();
    let state = State { settings, source, token, metrics, log, room, refusals };
    let server = start_with(net, parent, state, ROUTES)?;
    plugins.set_addresses(server.addresses().collect());
    Ok(server)
}

pub(super) fn start_with(
    net: &Net,
    parent: &Node,
    state: State,
    routes: &'static [Route],
) -> Result<HttpServer, Error> {
    let listeners = listen(net, &state.settings)?;
    let state = Arc::new(state);
    let (stage, stages) = watch::channel(Stage::Serving);
    let mut threads = Vec::new();
    let mut workers = Vec::new();
    for n in 0..state.settings.threads.max(1) {
        let (connections, queue) = mpsc::channel(QUEUE_MAX);
        let worker =
            Worker { state: Arc::clone(&state), routes, connections: queue, stage: stages.clone() };
        let (end, ended) = oneshot::channel();
        let run = move || {
            crash::essential(|| worker.run());
            drop(end);
        };
        let handle = std::thread::Builder::new()
            .name(format!("http-{n}"))
            .spawn(run)
            .map_err(Error::Thread)?;
        threads.push(Thread { handle, ended });
        workers.push(connections);
    }
    let mut tasks = Vec::new();
    for (_, listener) in &listeners {
        let name = listener.local_addr().to_string();
        let accept = accept(Arc::clone(listener), Arc::clone(&state.room), workers.clone());
        tasks.push(parent.spawn("listener", &name, accept)?);
    }
    Ok(HttpServer { listeners, tasks, stage, threads })
}

fn listen(net: &Net, settings: &Settings) -> Result<Vec<(&'static str, Arc<Listener>)>, Error> {
    let proxy_protocol = settings.proxy_protocol;
    let open = |address: &str, tls| {
        net.listen_with(address, ListenOptions { tls, proxy_protocol }).map(Arc::new)
    };
    let mut listeners = Vec::new();
    if !settings.listen.is_empty() {
        listeners.push(("http", open(&settings.listen, None)?));
    }
    if let Some((address, profile)) = &settings.https {
        listeners.push(("https", open(address, Some(Arc::clone(profile)))?));
    }
    Ok(listeners)
}

impl HttpServer {
    /// Each port, by protocol.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.listeners.iter().map(|(protocol, listener)| (*protocol, listener.local_addr()))
    }

    /// Frees the port, lets answers finish until the deadline, then closes what is left.
    pub async fn stop(mut self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.close_listeners();
        for task in &self.tasks {
            let _ = task.stop_within(deadline).await;
        }
        self.stage.send_replace(Stage::Draining);
        for thread in &mut self.threads {
            if timeout_at(until, &mut thread.ended).await.is_err() {
                break;
            }
        }
        self.stage.send_replace(Stage::Aborting);
        let until = Instant::now() + ABORT_TIMEOUT;
        for mut thread in std::mem::take(&mut self.threads) {
            let is_over =
                thread.ended.is_terminated() || timeout_at(until, &mut thread.ended).await.is_ok();
            if !is_over {
                tracing::error!(event = "http.stuck", "an HTTP thread does not end");
            } else {
                // It has said that it is through.
                let _ = thread.handle.join();
            }
        }
    }
}

impl HttpServer {
    fn close_listeners(&self) {
        self.listeners.iter().for_each(|(_, listener)| listener.close());
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.close_listeners();
        self.stage.send_replace(Stage::Aborting);
    }
}

/// Accepts connections and deals them out, as long as there is room.
async fn accept(
    listener: Arc<Listener>,
    room: Arc<Room>,
    workers: Vec<mpsc::Sender<Accepted>>,
) -> Result<(), TaskError> {
    for first in (0..workers.len()).cycle() {
        let Some(permit) = room.wait().await else { return Ok(()) };
        let conn = match listener.accept().await {
            Ok(conn) => conn,
            Err(crate::net::Error::State(_)) => return Ok(()),
            Err(error) => return Err(TaskError::new(E_IO, error.to_string())),
        };
        // Dropping it closes it.
        let Some(place) = room.take(permit, listener.local_addr(), conn.peer()) else { continue };
        if deal(&workers, first, (conn, place)).await.is_err() {
            return Err(TaskError::new(TaskError::INTERNAL, "an HTTP thread has ended"));
        }
    }
    Ok(())
}

/// Gives a connection to the worker whose turn it is, or to the next one that has room; waits if none has.
async fn deal(
    workers: &[mpsc::Sender<Accepted>],
    first: usize,
    mut accepted: Accepted,
) -> Result<(), mpsc::error::SendError<Accepted>> {
    for worker in workers.iter().cycle().skip(first).take(workers.len()) {
        match worker.try_send(accepted) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => accepted = back,
        }
    }
    match workers.get(first) {
        Some(worker) => worker.send(accepted).await,
        None => Err(mpsc::error::SendError(accepted)),
    }
}
