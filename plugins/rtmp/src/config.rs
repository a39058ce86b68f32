//! `plugins.rtmp` in the config.

use plugin_api::net::ProxyProtocol;
use plugin_api::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::chunk_reader::Limits;

/// What an operator can set.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Address and port for publishers and players, or off.
    #[schemars(extend("format" = "plugcast-listen"))]
    pub(crate) listen: String,

    /// Largest chunk that is sent to players, in bytes. Larger costs less; a player's audio waits behind one chunk of video.
    #[schemars(range(min = 128, max = 16_777_215))]
    pub(crate) chunk_size: u32,

    /// How long a client may take from connecting to publish or play. Longer lets more idle connections pile up.
    pub(crate) handshake_timeout: HumanDuration,

    /// The longest message of a publisher, at most 16MiB. A longer one ends the connection; a keyframe is one message.
    pub(crate) max_message: ByteSize,

    /// How players get H.265: enhanced (hvc1, the standard) or legacy (codec id 12). A player asks for the other with
    /// ?hevc=legacy or ?hevc=enhanced.
    pub(crate) hevc: Hevc,

    /// Address and port for RTMPS, or off. It is open once tls names a profile.
    #[schemars(extend("format" = "plugcast-listen"))]
    pub(crate) tls_listen: String,

    /// The certificate profile of RTMPS (tls.<name> of the config); empty for none.
    #[schemars(extend("format" = "plugcast-tls-profile"))]
    pub(crate) tls: String,

    /// Whether connections begin with a PROXY header, on both ports: off, optional, or required, which closes connections
    /// without one. Only peers in limits.trusted_proxies may send one.
    pub(crate) proxy_protocol: ProxyProtocol,
}

/// How players get H.265.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hevc {
    #[default]
    Enhanced,
    Legacy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "[::]:1935".to_owned(),
            // As SRS: most audio frames and small pictures are one chunk, and no message is delayed by a whole keyframe.
            chunk_size: 60_000,
            handshake_timeout: HumanDuration::from_secs(10),
            max_message: ByteSize::from_mib(16),
            hevc: Hevc::Enhanced,
            tls_listen: "[::]:1936".to_owned(),
            tls: String::new(),
            proxy_protocol: ProxyProtocol::Off,
        }
    }
}

impl Config {
    /// Where to listen; `None` when that is off.
    pub(crate) fn address(&self) -> Option<&str> {
        Some(self.listen.as_str()).filter(|listen| is_on(listen))
    }

    /// Where to listen with TLS, and the certificate profile; `None` when that is off.
    pub(crate) fn tls_address(&self) -> Option<(&str, &str)> {
        let is_open = is_on(&self.tls_listen) && !self.tls.is_empty();
        is_open.then_some((self.tls_listen.as_str(), self.tls.as_str()))
    }

    /// What one connection may make us hold.
    pub(crate) fn limits(&self) -> Limits {
        let limits = Limits::default();
        let longest = u32::try_from(self.max_message.get()).unwrap_or(u32::MAX);
        Limits { message_length_max: longest.min(limits.message_length_max), ..limits }
    }
}

/// As the host reads addresses of its own.
fn is_on(listen: &str) -> bool {
    !["", "off"].contains(&listen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference of all keys, which operators copy from.
    #[test]
    fn the_reference_has_every_key_and_its_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/plugcast.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let yaml = config::File::from_str(&text, config::FileFormat::Yaml);
        let all = config::Config::builder().add_source(yaml).build().unwrap();

        let section = all.get::<serde_json::Value>("plugins.rtmp").unwrap();

        assert_eq!(serde_json::from_value::<Config>(section.clone()).unwrap(), Config::default());
        let defaults = serde_json::to_value(Config::default()).unwrap();
        let keys = |value: &serde_json::Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(&section), keys(&defaults));
    }

    #[test]
    fn the_readme_has_every_key_and_its_default() {
        let readme = include_str!("../README.md");
        for (key, default) in serde_json::to_value(Config::default()).unwrap().as_object().unwrap()
        {
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let row = |default: &str| readme.contains(&format!("| `{key}` | `{default}` |"));
            assert!(row(&text) || row(&format!("\"{text}\"")), "{key}: {text}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for json in [r#"{"chunksize": 1}"#, r#"{"hevc": "both"}"#, r#"{"max_message": "many"}"#] {
            assert!(serde_json::from_str::<Config>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn off_is_no_address() {
        let config = Config { listen: "off".to_owned(), ..Config::default() };

        assert_eq!(config.address(), None);
        assert_eq!(Config::default().address(), Some("[::]:1935"));
    }

    #[test]
    fn rtmps_is_off_until_a_profile_is_named() {
        let with_profile = Config { tls: "site".to_owned(), ..Config::default() };
        let off = Config { tls_listen: "off".to_owned(), ..with_profile.clone() };

        assert_eq!(Config::default().tls_address(), None);
        assert_eq!(with_profile.tls_address(), Some(("[::]:1936", "site")));
        assert_eq!(off.tls_address(), None);
    }
}
