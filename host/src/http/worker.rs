//! A thread that serves HTTP connections.
//!
//! actix runs on one thread and shares nothing between threads: each worker has its own copy of the app, and the accept
//! loop deals connections out.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Request};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, to};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::io::ServerIo;
use super::room::{Place, Room};
use super::route::{Route, nothing_here, register};
use super::{Settings, Source, activity};
use crate::auth::token::Token;
use crate::log;
use crate::log::quiet::Quiet;
use crate::metrics::Metrics;
use crate::net::Conn;

/// How long a connection that is being closed may take to read the last answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that wait for a busy worker; then the accept loop waits.
pub(super) const QUEUE_MAX: usize = 64;

/// What every handler can reach.
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) source: Arc<dyn Source>,
    pub(super) token: Token,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: log::Handle,
    pub(super) room: Arc<Room>,
    /// For lines about those who have no right.
    pub(super) refusals: Quiet,
}

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Stage {
    Serving,
    /// Idle connections close, the others after their answer.
    Draining,
    /// All close now.
    Aborting,
}

pub(super) type Accepted = (Arc<Conn>, Place);

/// What one worker is given. Sent to its thread whole.
pub(super) struct Worker {
    pub(super) state: Arc<State>,
    pub(super) routes: &'static [Route],
    pub(super) connections: mpsc::Receiver<Accepted>,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Worker {
    /// Runs until the accept loop has gone and no connection is left.
    pub(super) fn run(self) {
        match actix_rt::Runtime::new() {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => {
                tracing::error!(event = "http.failed", %error, "no runtime for an HTTP thread")
            }
        }
    }

    async fn serve(mut self) {
        let Some(service) = self.service().await else { return };
        let service = Rc::new(service);
        let mut open = JoinSet::new();
        let mut stage = self.stage.clone();
        let mut is_accepting = true;
        while is_accepting || !open.is_empty() {
            tokio::select! {
                _ = stage.wait_for(|stage| *stage == Stage::Aborting) => break,
                Some(ended) = open.join_next() => report(ended),
                accepted = self.connections.recv(), if is_accepting => match accepted {
                    Some((conn, place)) => {
                        let peer = conn.peer();
                        let io = ServerIo::new(conn, place, &self.state.settings);
                        let service = Rc::clone(&service);
                        open.spawn_local(async move { service.call((io, Some(peer))).await.map_err(drop) });
                    }
                    None => is_accepting = false,
                },
            }
        }
    }

    /// The HTTP service with the app in it.
    async fn service(
        &self,
    ) -> Option<impl Service<Incoming, Response = (), Error: fmt::Debug> + use<>> {
        let settings = &self.state.settings;
        let state = Data::from(Arc::clone(&self.state));
        let routes = self.routes;
        let app = App::new()
            .app_data(state)
            .app_data(Data::new(self.stage.clone()))
            .configure(|config| register(config, routes))
            .default_service(to(nothing_here))
            .wrap(from_fn(activity::note));
        let app = IntoServiceFactory::<_, Request>::into_factory(app)
            .map_err(|error: actix_web::Error| error.error_response());
        let stage = self.stage.clone();
        HttpService::build()
            .keep_alive(KeepAlive::from(settings.keep_alive))
            .client_request_timeout(settings.head_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // A peer that has closed its half waits for nothing: what is being prepared for it is given up.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || {
                let mut stage = stage.clone();
                async move {
                    let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
                }
            })
            .on_connect_ext(|io: &ServerIo, data| {
                data.insert(io.handle());
            })
            .h1(map_config(app, |()| AppConfig::default()))
            .new_service(())
            .await
            .ok()
    }
}

type Incoming = (ServerIo, Option<std::net::SocketAddr>);

/// A panic in a handler ends its connection. Errors of peers are their own affair.
fn report(ended: Result<Result<(), ()>, tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(event = "http.panic", %error, "an HTTP connection ended by a panic");
    }
}
