//! The HTTP port.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counted by the HTTP server. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    pub connections: Gauge,
    pub connections_accepted: Counter,
    /// Reached its limit of connections and let the next one wait.
    pub limit_reached: Counter,
    /// Closed at once: their address had its share.
    pub connections_refused: Counter,
    /// Requests without the token, or with a wrong one.
    pub auth_refused: Counter,
    requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
}

/// Bounded: four classes, five hundreds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    class: &'static str,
    status: &'static str,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "http_connections",
            "Connections open on the HTTP port",
            own.connections.clone(),
        );
        registry.register(
            "http_connections_accepted",
            "Connections accepted on the HTTP port",
            own.connections_accepted.clone(),
        );
        registry.register(
            "http_connections_limit_reached",
            "Times that connections had to wait for others to close",
            own.limit_reached.clone(),
        );
        registry.register(
            "http_connections_refused",
            "Connections closed at once on the HTTP port: their address had a quarter of all",
            own.connections_refused.clone(),
        );
        registry.register(
            "http_auth_refused",
            "Requests refused for want of the admin token",
            own.auth_refused.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered, by class of route and status",
            own.requests.clone(),
        );
        own
    }

    /// Counts one answer.
    pub fn count(&self, class: &'static str, status: u16) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { class, status }).inc();
    }
}
