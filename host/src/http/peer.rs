//! Who asks, when there are proxies in between.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;

use crate::net::Trusted;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Headers that a proxy adds: the peer is then not the one who asks.
const FORWARDED: [&str; 4] = ["forwarded", FORWARDED_FOR, "x-real-ip", "via"];

/// The address of who asks; `None` when it is not known.
///
/// Each proxy appends its peer to `X-Forwarded-For`. Read from the end, the first address that is no trusted proxy is the
/// last that somebody can be believed about; what stands before it is anybody's claim.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &Trusted) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if FORWARDED.iter().all(|name| !headers.contains_key(*name)) {
        return Some(peer);
    }
    if !trusted(peer) {
        return None;
    }
    let lines: Option<Vec<&str>> =
        headers.get_all(FORWARDED_FOR).map(|line| line.to_str().ok()).collect();
    last_untrusted(&lines?.join(","), trusted)
}

/// The last address of an `X-Forwarded-For` that is no trusted proxy; `None` if there is none, or something else behind it.
pub fn last_untrusted(forwarded: &str, trusted: &Trusted) -> Option<IpAddr> {
    for hop in forwarded.rsplit(',') {
        let hop = address(hop.trim())?.to_canonical();
        if !trusted(hop) {
            return Some(hop);
        }
    }
    None
}

/// An address, with or without a port and brackets: proxies differ.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn who(peer: &str, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let trusted: Trusted = Arc::new(|peer| peer.to_string().starts_with("10."));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        client(peer.parse().unwrap(), &map, &trusted).map(|ip| ip.to_string())
    }

    #[test]
    fn believes_trusted_proxies_only() {
        for (peer, headers, expected) in [
            ("192.0.2.1", &[][..], Some("192.0.2.1")),
            ("::ffff:192.0.2.1", &[], Some("192.0.2.1")),
            ("192.0.2.1", &[("x-forwarded-for", "127.0.0.1")], None),
            ("192.0.2.1", &[("via", "1.1 x")], None),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")], Some("192.0.2.1")),
            ("10.0.0.1", &[("x-forwarded-for", "127.0.0.1, 192.0.2.1")], Some("192.0.2.1")),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, 10.0.0.2")], Some("192.0.2.1")),
            ("10.0.0.1", &[("x-forwarded-for", "2001:db8::1")], Some("2001:db8::1")),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1:4711, 10.0.0.2:80")], Some("192.0.2.1")),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:4711")], Some("2001:db8::1")),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]")], Some("2001:db8::1")),
            ("10.0.0.1", &[("x-forwarded-for", "[::ffff:192.0.2.1]:4711")], Some("192.0.2.1")),
            ("10.0.0.1", &[("x-forwarded-for", "127.0.0.1, 192.0.2.1:")], None),
            ("10.0.0.1", &[("x-forwarded-for", "127.0.0.1, [2001:db8::1")], None),
            ("10.0.0.1", &[("x-forwarded-for", "127.0.0.1, 192.0.2.1:99999")], None),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.1")],
                Some("192.0.2.1"),
            ),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], None),
            ("10.0.0.1", &[("x-forwarded-for", "unknown")], None),
            ("10.0.0.1", &[("x-forwarded-for", "")], None),
            ("10.0.0.1", &[("forwarded", "for=192.0.2.1")], None),
            ("10.0.0.1", &[], Some("10.0.0.1")),
        ] {
            assert_eq!(who(peer, headers).as_deref(), expected, "{peer} {headers:?}");
        }
    }
}
