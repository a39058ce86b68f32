//! The HTTP port: health, metrics, the API under `/api/v1`, the page for operators.
//!
//! ```text
//! listener (host's runtime) ─▶ worker threads ─▶ dispatcher over ServerIo ─▶ route ─▶ guard ─▶ handler ─▶ Source
//! ```
//!
//! actix serves each connection as an HTTP service over [`io::ServerIo`], a share in the host's own [`Conn`], so that an
//! answer that never ends can take the socket away from it and lend it to a fan-out thread. HTTP/1.1 only.
//!
//! Plugins register routes of their own (`routes`), found by one look at the path when no route of the host matches it,
//! and answered later from any thread (`serve`).
//!
//! Every route of the host is in one table (`route`) with its class, and one function (`guard`) decides by the class who
//! may call it, a plugin's too: a handler can't be reached around it.
//!
//! [`Conn`]: crate::net::Conn

mod activity;
mod api;
mod guard;
pub mod io;
mod openapi;
mod page;
mod parts;
pub(crate) mod pattern;
pub mod peer;
mod problem;
pub(crate) mod request;
mod room;
mod route;
pub(crate) mod routes;
mod serve;
mod server;
mod source;
mod sse;
mod ui;
pub(crate) mod viewer;
pub mod websocket;
mod worker;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use self::page::{Listing, Newest, Page};
pub use self::problem::Problem;
pub use self::route::Class;
pub use self::routes::Routes;
pub use self::server::{HttpServer, start};
pub use self::source::{Readiness, Source};

use crate::net::tls::Profile;
use crate::net::{ProxyProtocol, Trusted};

/// Items of one page of a list, unless asked for less or more.
pub const PAGE_DEFAULT: usize = 100;
/// The most items of one page.
pub const PAGE_MAX: usize = 1000;

/// Whether a peer may read `/api/metrics` without the token.
pub type Allow = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How the port is served.
#[derive(Clone)]
pub struct Settings {
    /// `"[::]:8080"`, as [`crate::net::Net::listen`] reads it. Empty: none without TLS.
    pub listen: String,
    /// The same with TLS.
    pub https: Option<(String, Arc<Profile>)>,
    /// Of both.
    pub proxy_protocol: ProxyProtocol,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Trusted,
    /// The routes of plugins.
    pub plugins: Routes,
    /// Threads that run the API. It answers operators, not viewers: few suffice.
    pub threads: usize,
    /// Connections at a time; more wait to be accepted. An address has a quarter of them at most.
    pub connections_max: usize,
    /// From the start of a connection to the end of a request's head. Measured by half seconds.
    pub head_timeout: Duration,
    /// Without a request; zero closes after each answer.
    pub keep_alive: Duration,
    /// An answer of which the kernel takes nothing for this long is given up.
    pub write_timeout: Duration,
    /// The largest body of a request.
    pub body_bytes_max: usize,
    /// From the end of a request's head to the end of its body.
    pub body_timeout: Duration,
    pub metrics_allow: Allow,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "[::]:8080".to_owned(),
            https: None,
            proxy_protocol: ProxyProtocol::Off,
            trusted_proxies: Arc::new(|_| false),
            plugins: Routes::default(),
            threads: 2,
            connections_max: 10_000,
            head_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            body_bytes_max: 1 << 20,
            body_timeout: Duration::from_secs(30),
            metrics_allow: Arc::new(|peer| peer.is_loopback()),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why the port is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Names the address, and the holder of the port when it can be read.
    #[error(transparent)]
    Listen(#[from] crate::net::Error),
    #[error("cannot start a thread for HTTP: {0}")]
    Thread(std::io::Error),
    #[error("the task tree refused the listener: {0}")]
    Task(#[from] crate::task::Refused),
}
