//! The routes that plugins have registered.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;

use super::Class;
use super::pattern::{Params, Pattern};
use super::request::Request;

/// Where only the host answers.
const RESERVED: [&str; 5] = ["/api/v1", "/api/health", "/api/metrics", "/preview", "/ui"];

/// Answers the requests of a route.
pub(crate) trait Handler: Send + Sync {
    /// Called on a connection's thread: hands the request on, and returns.
    fn on_request(&self, request: Request);

    /// It is about to go: nothing new is started.
    fn is_draining(&self) -> bool;
}

/// What a plugin has registered.
pub(crate) struct PluginRoute {
    pub(crate) instance: String,
    pub(crate) pattern: Pattern,
    pub(crate) class: Class,
    /// `PC_HTTP_*` of the contract.
    pub(crate) methods: u32,
    pub(crate) takes_websockets: bool,
    /// For lists and logs.
    pub(crate) protocol: String,
    pub(crate) body_max: usize,
    /// For the answer to begin.
    pub(crate) deadline: Duration,
    pub(crate) handler: Arc<dyn Handler>,
}

/// Why a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("another route has this pattern")]
    Conflict,
    #[error("only the host answers below {}", RESERVED.join(", "))]
    Reserved,
}

/// All routes of plugins. A clone is the same ones.
#[derive(Clone, Default)]
pub struct Routes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The more particular ones first.
    routes: RwLock<Vec<Arc<PluginRoute>>>,
    /// By `http` and `https`.
    addresses: OnceLock<Vec<(&'static str, SocketAddr)>>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routes({})", self.0.routes.read().len())
    }
}

impl Routes {
    /// Registers a route until the guard is dropped.
    pub(crate) fn add(&self, route: PluginRoute) -> Result<RouteGuard, Refused> {
        if RESERVED.iter().any(|path| route.pattern.is_below(path)) {
            return Err(Refused::Reserved);
        }
        let route = Arc::new(route);
        let mut routes = self.0.routes.write();
        if routes.iter().any(|other| other.pattern.matches_like(&route.pattern)) {
            return Err(Refused::Conflict);
        }
        routes.push(Arc::clone(&route));
        routes.sort_by(|a, b| a.pattern.cmp_precedence(&b.pattern));
        Ok(RouteGuard { routes: self.clone(), route })
    }

    /// The route of a path as it is on the wire.
    pub(super) fn find(&self, path: &str) -> Option<(Arc<PluginRoute>, Params)> {
        let routes = self.0.routes.read();
        routes.iter().find_map(|route| Some((Arc::clone(route), route.pattern.matches(path)?)))
    }

    /// All of them, the more particular ones first.
    pub(super) fn list(&self) -> Vec<Arc<PluginRoute>> {
        self.0.routes.read().clone()
    }

    /// The ports are open.
    pub(crate) fn set_addresses(&self, addresses: Vec<(&'static str, SocketAddr)>) {
        // Once, before there are plugins.
        let _ = self.0.addresses.set(addresses);
    }

    /// Where routes are served, by `http` and `https`.
    pub(crate) fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        self.0.addresses.get().map_or(&[], Vec::as_slice)
    }
}

/// Dropping it takes the route away.
pub(crate) struct RouteGuard {
    routes: Routes,
    route: Arc<PluginRoute>,
}

impl Drop for RouteGuard {
    fn drop(&mut self) {
        self.routes.0.routes.write().retain(|route| !Arc::ptr_eq(route, &self.route));
    }
}
