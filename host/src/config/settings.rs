//! The config as the parts of the server want it.

use std::sync::Arc;

use plugin_api::net::ProxyProtocol;

use super::{Config, OnConflict, TlsVersion};
use crate::net::tls::{MinVersion, ProfileSettings, Profiles};
use crate::{fanout, http, hub, net};

/// In the config 0 is "no limit".
fn limit(value: u32) -> usize {
    if value == 0 { usize::MAX } else { usize::try_from(value).unwrap_or(usize::MAX) }
}

impl Config {
    pub fn hub_settings(&self) -> hub::Settings {
        let publish = &self.publish;
        hub::Settings {
            on_conflict: match publish.on_conflict {
                OnConflict::Refuse => hub::OnConflict::Refuse,
                OnConflict::Replace => hub::OnConflict::Replace,
                OnConflict::ReplaceIfStale => hub::OnConflict::ReplaceIfStale,
            },
            stale_after: publish.stale_after.get(),
            timeout: publish.timeout.get(),
            idle_timeout: publish.idle_timeout.get(),
            delay_close: publish.delay_close.get(),
            settle_timeout: publish.settle_timeout.get(),
            republish_window: publish.republish_window.get(),
            wait_timeout: self.subscribe.wait_timeout.get(),
            ring: hub::RingSettings {
                max_bytes: self.ring.max_bytes.to_usize(),
                max_time: self.ring.max_time.get(),
                history: self.ring.history.get(),
            },
            max_publishers: limit(self.limits.max_publishers),
            max_viewers_per_stream: limit(self.subscribe.max_viewers),
            max_viewers: limit(self.limits.max_viewers),
            max_waiting: usize::try_from(self.limits.max_waiting).unwrap_or(usize::MAX),
        }
    }

    pub fn feed_settings(&self) -> hub::feed::Settings {
        hub::feed::Settings {
            max_bytes: self.ring.max_bytes.to_usize(),
            max_time: self.ring.max_time.get(),
            max_lag: self.fanout.max_lag.get(),
            latency_budget: self.fanout.latency_budget.get(),
            latency_rules: self.fanout.latency_rules.clone(),
            ..hub::feed::Settings::default()
        }
    }

    pub fn fanout_settings(&self) -> fanout::Settings {
        let or_default = |value: usize| (value > 0).then_some(value);
        fanout::Settings {
            threads: or_default(usize::from(self.server.fanout_threads)),
            stall_timeout: self.fanout.stall_timeout.get(),
            max_lag: self.fanout.max_lag.get(),
            sender: self.fanout.sender,
            send_buffer: or_default(self.fanout.send_buffer.to_usize()),
        }
    }

    pub fn connection_limits(&self) -> net::Limits {
        let limits = &self.limits;
        let trusted = limits.trusted_proxies.clone();
        net::Limits {
            handshaking_per_address: limit(limits.max_handshaking_per_address),
            connections: limit(limits.max_connections),
            trusted_proxies: Arc::new(move |peer| trusted.iter().any(|range| range.contains(peer))),
        }
    }

    pub fn tls_settings(&self) -> impl Iterator<Item = (String, ProfileSettings)> {
        self.tls.iter().map(|(name, profile)| {
            let settings = ProfileSettings {
                certificate: profile.certificate.clone(),
                key: profile.key.clone(),
                min_version: match profile.min_version {
                    TlsVersion::Tls12 => MinVersion::Tls12,
                    TlsVersion::Tls13 => MinVersion::Tls13,
                },
            };
            (name.clone(), settings)
        })
    }

    /// `None`: no HTTP port.
    pub fn http_settings(&self, profiles: &Profiles) -> Option<http::Settings> {
        let allow = self.metrics.allow.clone();
        let https_listen = self.http.https_listen.get().map(|address| address.to_string());
        let https = https_listen.zip(profiles.get(&self.http.tls).cloned());
        let listen = self.http.listen.get();
        if listen.is_none() && https.is_none() {
            return None;
        }
        Some(http::Settings {
            listen: listen.map(|address| address.to_string()).unwrap_or_default(),
            https,
            proxy_protocol: match self.http.proxy_protocol {
                ProxyProtocol::Off => net::ProxyProtocol::Off,
                ProxyProtocol::Optional => net::ProxyProtocol::Optional,
                ProxyProtocol::Required => net::ProxyProtocol::Required,
            },
            trusted_proxies: self.connection_limits().trusted_proxies,
            connections_max: usize::try_from(self.http.max_connections).unwrap_or(usize::MAX),
            head_timeout: self.http.head_timeout.get(),
            keep_alive: self.http.keep_alive.get(),
            body_bytes_max: self.http.max_body.to_usize(),
            metrics_allow: Arc::new(move |peer| allow.iter().any(|range| range.contains(peer))),
            ..http::Settings::default()
        })
    }
}
