//! Addresses in the config: what to listen on, and ranges of peers.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not an address. The text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("\"{0}\" is not an address range: write one such as 10.0.0.0/8, fd00::/8 or 192.0.2.7")]
    NotARange(String),
    #[error("\"{0}\" has a prefix longer than /{1}")]
    PrefixTooLong(String, u8),
    #[error("\"{0}\" has bits beyond its prefix: write {1}")]
    BitsBeyondPrefix(String, Cidr),
    #[error(
        "\"{0}\" is not an address to listen on: write an IP address and a port such as \
         \"[::]:8080\" or \"127.0.0.1:8080\", \":8080\" for every address, or \"off\""
    )]
    NotAListenAddress(String),
}

/// A range of peers: `10.0.0.0/8`, `fd00::/8`, or one address.
///
/// IPv4 peers of a dual-stack socket arrive as `::ffff:a.b.c.d`; they are compared as IPv4, whichever way
/// the range is written. So `::/0` is every IPv6 peer, and no IPv4 peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-cidr";

    /// A range of IPv4 addresses, for defaults. Bits beyond the prefix are ignored.
    #[must_use]
    pub const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// A range of IPv6 addresses that begins with these 16 bits, for defaults.
    #[must_use]
    pub const fn v6(first: u16, prefix: u8) -> Self {
        Self { network: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), prefix }
    }

    /// `::1` alone.
    pub const LOOPBACK_V6: Self = Self { network: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 };

    /// Whether the peer is in the range.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.network, peer.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                let mask = mask_v4(self.prefix);
                network.to_bits() & mask == peer.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => {
                let mask = mask_v6(self.prefix);
                network.to_bits() & mask == peer.to_bits() & mask
            }
            _ => false,
        }
    }

    fn without_host_bits(self) -> Self {
        let network = match self.network {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & mask_v4(self.prefix)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & mask_v6(self.prefix)).into(),
        };
        Self { network, ..self }
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_a_range = || Error::NotARange(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => {
                (address, Some(prefix.parse::<u8>().map_err(|_| not_a_range())?))
            }
            None => (text.trim(), None),
        };
        let network: IpAddr = address.parse().map_err(|_| not_a_range())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(Error::PrefixTooLong(text.to_owned(), longest));
        }
        // `::ffff:10.0.0.0/104` is the IPv4 range 10.0.0.0/8.
        let range = match (network, network.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V6(_), network @ IpAddr::V4(_), Some(prefix)) => Self { network, prefix },
            _ => Self { network, prefix },
        };
        let trimmed = range.without_host_bits();
        if trimmed == range {
            Ok(range)
        } else {
            Err(Error::BitsBeyondPrefix(text.to_owned(), trimmed))
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// An address and port to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(Option<SocketAddr>);

impl Listen {
    /// The `format` in the JSON Schema.
    pub const FORMAT: &str = "plugcast-listen";
    /// Written `off`, or as an empty text.
    pub const OFF: Self = Self(None);

    /// Every address of the machine, IPv6 and IPv4: `[::]:port`.
    #[must_use]
    pub const fn everywhere(port: u16) -> Self {
        Self(Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)))
    }

    /// `None` when off.
    #[must_use]
    pub fn get(self) -> Option<SocketAddr> {
        self.0
    }
}

impl FromStr for Listen {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed == "off" {
            return Ok(Self::OFF);
        }
        let not_an_address = |_| Error::NotAListenAddress(text.to_owned());
        match trimmed.strip_prefix(':').filter(|port| port.bytes().all(|b| b.is_ascii_digit())) {
            Some(port) => port
                .parse()
                .map(Self::everywhere)
                .map_err(|_| Error::NotAListenAddress(text.into())),
            None => trimmed.parse().map(|address| Self(Some(address))).map_err(not_an_address),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

macro_rules! text_in_config {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": Self::FORMAT })
            }
        }
    };
}
pub(crate) use text_in_config;

text_in_config!(Cidr);
text_in_config!(Listen);

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_contain_what_is_in_them() {
        for (range, peer, contained) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::ffff:10.0.0.1", false),
            ("fc00::/7", "fdab::1", true),
            ("fe80::/10", "fec0::1", false),
            ("::1", "::1", true),
        ] {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(range.contains(ip(peer)), contained, "{range} {peer}");
        }
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "10.0.0/8", "10.0.0.0/", "10.0.0.0/x", "host", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(Error::NotARange(text.to_owned())), "{text}");
        }
        assert_eq!(
            "1.2.3.4/33".parse::<Cidr>(),
            Err(Error::PrefixTooLong("1.2.3.4/33".into(), 32))
        );
        assert_eq!(
            "10.1.2.3/8".parse::<Cidr>(),
            Err(Error::BitsBeyondPrefix("10.1.2.3/8".into(), Cidr::v4(10, 0, 0, 0, 8)))
        );
    }

    #[test]
    fn reads_listen_addresses() {
        for (text, address) in [
            ("[::]:8080", Some("[::]:8080")),
            (":8080", Some("[::]:8080")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("off", None),
            ("", None),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.get().map(|a| a.to_string()).as_deref(), address, "{text}");
        }
        for text in ["8080", "localhost:8080", ":99999", "127.0.0.1", "::8080", ":"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
