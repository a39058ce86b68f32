//! How many connections the listeners take on, and from whom.
//!
//! A connection is *handshaking* from when it is accepted until its protocol has made something of it: it publishes, it plays,
//! or HTTP has read the whole head of a request ([`super::Conn::established`]). Until then it costs the peer nothing and us a
//! session, so one address may have only a few of them. Addresses that many peers share are exempt: loopback, where local
//! proxies and tools come from, and trusted proxies. What is over a limit is closed at once.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::log::quiet::Quiet;

/// How often one address is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Addresses whose last line in the log is remembered; what comes on top in that minute is only counted.
const LOGGED_MAX: usize = 1024;

/// The prefix that one IPv6 customer has at least.
const IPV6_PREFIX: u32 = 64;

/// Whether an address belongs to a proxy that says who its peers are.
pub type Trusted = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What an operator decides about connections.
#[derive(Clone)]
pub struct Limits {
    /// Of one address; of one /64 for IPv6.
    pub handshaking_per_address: usize,
    /// Of all listeners together.
    pub connections: usize,
    pub trusted_proxies: Trusted,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshaking_per_address: usize::MAX,
            connections: usize::MAX,
            trusted_proxies: Arc::new(|_| false),
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("handshaking_per_address", &self.handshaking_per_address)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many of its address are handshaking.
    Handshaking,
    /// Too many connections in all.
    Connections,
    /// Its PROXY header is missing, wrong or late, or it may not send one.
    ProxyHeader,
}

/// Connections refused since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedCounts {
    pub handshaking: u64,
    pub connections: u64,
    pub proxy_header: u64,
}

/// Counts the connections of all listeners.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    state: Mutex<State>,
    quiet: Quiet,
    handshaking: AtomicU64,
    connections: AtomicU64,
    proxy_header: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    /// By address; one without any has no entry.
    handshaking: HashMap<IpAddr, usize>,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            quiet: Quiet::new(LOG_INTERVAL, LOGGED_MAX),
            handshaking: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            proxy_header: AtomicU64::new(0),
        }
    }

    pub fn refused(&self) -> RefusedCounts {
        RefusedCounts {
            handshaking: self.handshaking.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            proxy_header: self.proxy_header.load(Ordering::Relaxed),
        }
    }

    pub(super) fn is_trusted(&self, peer: IpAddr) -> bool {
        (self.limits.trusted_proxies)(peer.to_canonical())
    }

    /// Counts a connection in, before it is known whose it is.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Admission, Refused> {
        let mut state = self.state.lock();
        if state.connections >= self.limits.connections {
            return Err(Refused::Connections);
        }
        state.connections += 1;
        Ok(Admission { gate: Arc::clone(self), address: Mutex::new(None) })
    }

    /// Counts a connection that is closed for `reason`, and logs it unless the address was logged within the last minute.
    pub(super) fn refuse(&self, reason: Refused, listener: SocketAddr, peer: IpAddr, detail: &str) {
        let (counter, text) = match reason {
            Refused::Handshaking => (
                &self.handshaking,
                "too many connections of this address have not said what they want",
            ),
            Refused::Connections => (&self.connections, "too many connections in all"),
            Refused::ProxyHeader => (&self.proxy_header, "not a connection of a trusted proxy"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        // One line a minute for all of them: it is not about the address.
        let about = match reason {
            Refused::Connections => Ipv6Addr::UNSPECIFIED.into(),
            _ => bucket(peer),
        };
        if self.quiet.may_log(about, Instant::now()).is_some() {
            tracing::warn!(event = "listener.refused", address = %listener, %peer, detail, "{text}");
        }
    }
}

/// One connection's share in a [`Gate`], until it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Arc<Gate>,
    /// Counted as handshaking there.
    address: Mutex<Option<IpAddr>>,
}

impl Admission {
    /// Counts the connection as handshaking, now that its peer is known.
    pub(super) fn begin(&self, peer: IpAddr) -> Result<(), Refused> {
        let gate = &self.gate;
        if peer.to_canonical().is_loopback() || gate.is_trusted(peer) {
            return Ok(());
        }
        let address = bucket(peer);
        let mut state = gate.state.lock();
        let n = state.handshaking.get(&address).copied().unwrap_or(0);
        if n >= gate.limits.handshaking_per_address {
            return Err(Refused::Handshaking);
        }
        state.handshaking.insert(address, n + 1);
        drop(state);
        *self.address.lock() = Some(address);
        Ok(())
    }

    /// It is not handshaking any more.
    pub(super) fn established(&self) {
        let Some(address) = self.address.lock().take() else { return };
        let mut state = self.gate.state.lock();
        match state.handshaking.get_mut(&address) {
            Some(n) if *n > 1 => *n -= 1,
            _ => {
                state.handshaking.remove(&address);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.established();
        self.gate.state.lock().connections -= 1;
    }
}

/// What counts as one address.
pub(crate) fn bucket(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => {
            Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << (128 - IPV6_PREFIX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(handshaking_per_address: usize, connections: usize) -> Arc<Gate> {
        let trusted_proxies: Trusted = Arc::new(|peer| peer == IpAddr::from([10, 0, 0, 1]));
        Arc::new(Gate::new(Limits { handshaking_per_address, connections, trusted_proxies }))
    }

    fn enter(gate: &Arc<Gate>, peer: &str) -> Result<Admission, Refused> {
        let admission = gate.enter()?;
        admission.begin(peer.parse().unwrap())?;
        Ok(admission)
    }

    #[test]
    fn counts_by_address_until_established() {
        let gate = gate(2, usize::MAX);
        let first = enter(&gate, "192.0.2.1").unwrap();
        let second = enter(&gate, "::ffff:192.0.2.1").unwrap();

        assert_eq!(enter(&gate, "192.0.2.1").unwrap_err(), Refused::Handshaking);
        let _other = enter(&gate, "192.0.2.2").unwrap();
        first.established();
        let third = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(enter(&gate, "192.0.2.1").unwrap_err(), Refused::Handshaking);
        drop((first, second, third));

        assert_eq!(gate.state.lock().handshaking.len(), 1, "only the other address is left");
        assert_eq!(gate.state.lock().connections, 1);
    }

    #[test]
    fn counts_ipv6_by_its_network() {
        let gate = gate(1, usize::MAX);
        let _first = enter(&gate, "2001:db8:0:1::1").unwrap();

        assert_eq!(enter(&gate, "2001:db8:0:1:ffff::2").unwrap_err(), Refused::Handshaking);
        enter(&gate, "2001:db8:0:2::1").unwrap();
    }

    #[test]
    fn addresses_that_many_share_are_exempt() {
        let gate = gate(0, usize::MAX);

        for peer in ["127.0.0.1", "::1", "10.0.0.1"] {
            enter(&gate, peer).unwrap();
        }
        assert_eq!(enter(&gate, "10.0.0.2").unwrap_err(), Refused::Handshaking);
    }

    #[test]
    fn all_together_have_a_limit_too() {
        let gate = gate(usize::MAX, 1);
        let first = enter(&gate, "127.0.0.1").unwrap();

        assert_eq!(enter(&gate, "127.0.0.1").unwrap_err(), Refused::Connections);
        drop(first);
        enter(&gate, "127.0.0.1").unwrap();
    }
}
