//! Addresses as users write them, and as the server shows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Error;

/// `":1935"` is every address of this machine.
pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, Error> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.to_owned(),
    };
    whole.parse().map_err(|_| Error::Address { text: text.to_owned() })
}

/// IPv4 is shown as IPv4: on a dual stack socket it arrives as an IPv4-mapped IPv6 address.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(ip.into(), address.port()),
            None => address,
        },
    }
}

/// As lists and log show it: without a port where a proxy has named the address alone.
pub(crate) fn shown(peer: SocketAddr) -> String {
    let peer = unmapped(peer);
    match peer.port() {
        0 => peer.ip().to_string(),
        _ => peer.to_string(),
    }
}

/// What to try where IPv6 is off.
pub(super) fn without_ipv6(address: SocketAddr) -> Option<SocketAddr> {
    let every = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    every.then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_an_address_to_listen_on() {
        let cases = [
            (":1935", Some("[::]:1935")),
            ("[::]:0", Some("[::]:0")),
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[fe80::1]:80", Some("[fe80::1]:80")),
            ("1935", None),
            (":", None),
            (":70000", None),
            ("localhost:80", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let parsed = parse_listen(text).ok().map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn shows_a_port_that_is_known() {
        for (address, expected) in [
            ("192.0.2.1:4711", "192.0.2.1:4711"),
            ("192.0.2.1:0", "192.0.2.1"),
            ("[2001:db8::1]:4711", "[2001:db8::1]:4711"),
            ("[2001:db8::1]:0", "2001:db8::1"),
            ("[::ffff:192.0.2.1]:0", "192.0.2.1"),
        ] {
            assert_eq!(shown(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn shows_mapped_addresses_as_ipv4() {
        let mapped = "[::ffff:10.0.0.1]:5".parse().unwrap();

        assert_eq!(unmapped(mapped).to_string(), "10.0.0.1:5");
    }
}
