//! Who has the connections of the port: there are so many of them, and no address gets all.
//!
//! A place is taken from when a connection is accepted until HTTP is through with it; viewers have left theirs. Addresses
//! that many peers share, loopback and trusted proxies, have no bound of their own.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Settings;
use crate::log::quiet::Quiet;
use crate::metrics::HttpMetrics;
use crate::net::{Trusted, bucket};

/// One address (IPv6: one /64) has at most one in so many of all connections, whatever it does with them. One more is closed
/// at once.
const ADDRESS_SHARE: usize = 4;
/// With more connections than this, an address gets no keep-alive: each ends with its answer.
const KEPT_PER_ADDRESS_MAX: usize = 64;
/// With more than one in so many of all connections taken, nobody gets keep-alive.
const KEPT_SHARE: usize = 2;
/// Between two lines of the log about one address that has its share.
const REFUSED_INTERVAL: Duration = Duration::from_secs(60);
/// Addresses that have such a line in that time.
const REFUSED_ADDRESSES_MAX: usize = 64;

pub(super) struct Room {
    max: usize,
    places: Arc<Semaphore>,
    trusted: Trusted,
    metrics: HttpMetrics,
    /// By address; one without any has no entry.
    taken: Mutex<HashMap<IpAddr, usize>>,
    quiet: Quiet,
}

impl Room {
    pub(super) fn new(settings: &Settings, metrics: HttpMetrics) -> Arc<Self> {
        Arc::new(Self {
            max: settings.connections_max,
            places: Arc::new(Semaphore::new(settings.connections_max)),
            trusted: Arc::clone(&settings.trusted_proxies),
            metrics,
            taken: Mutex::default(),
            quiet: Quiet::new(REFUSED_INTERVAL, REFUSED_ADDRESSES_MAX),
        })
    }

    /// Waits until there is a place for one more connection.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        if self.places.available_permits() == 0 {
            self.metrics.limit_reached.inc();
        }
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Gives the place to a connection of `peer`; `None`: its address has its share.
    pub(super) fn take(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        listener: SocketAddr,
        peer: SocketAddr,
    ) -> Option<Place> {
        let address = (!self.is_shared(peer.ip())).then(|| bucket(peer.ip()));
        if let Some(address) = address {
            let mut taken = self.taken.lock();
            let n = taken.get(&address).copied().unwrap_or(0);
            if n >= (self.max / ADDRESS_SHARE).max(1) {
                drop(taken);
                self.refuse(address, listener, peer);
                return None;
            }
            taken.insert(address, n + 1);
        }
        self.metrics.connections.inc();
        self.metrics.connections_accepted.inc();
        Some(Place { room: Arc::clone(self), address, _permit: permit })
    }

    /// Whether a connection of `peer` may wait for its next request.
    pub(super) fn may_stay(&self, peer: IpAddr) -> bool {
        let has_room = self.places.available_permits() >= self.max / KEPT_SHARE;
        let own = self.taken.lock().get(&bucket(peer)).copied().unwrap_or(0);
        has_room && own <= KEPT_PER_ADDRESS_MAX
    }

    fn is_shared(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || (self.trusted)(peer)
    }

    fn refuse(&self, address: IpAddr, listener: SocketAddr, peer: SocketAddr) {
        self.metrics.connections_refused.inc();
        let Some(left_out) = self.quiet.may_log(address, Instant::now()) else { return };
        tracing::warn!(
            event = "listener.refused", address = %listener, %peer, left_out,
            "too many connections of this address on the HTTP port"
        );
    }
}

/// One connection's place, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    /// That it is counted for.
    address: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({:?})", self.address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.metrics.connections.dec();
        let Some(address) = self.address else { return };
        let mut taken = self.room.taken.lock();
        match taken.get_mut(&address) {
            Some(n) if *n > 1 => *n -= 1,
            _ => {
                taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(connections_max: usize) -> Arc<Room> {
        let settings = Settings { connections_max, ..Settings::default() };
        Room::new(&settings, HttpMetrics::default())
    }

    fn take(room: &Arc<Room>, peer: &str) -> Option<Place> {
        let permit = Arc::clone(&room.places).try_acquire_owned().ok()?;
        let listener = SocketAddr::from(([127, 0, 0, 1], 80));
        room.take(permit, listener, SocketAddr::new(peer.parse().unwrap(), 1))
    }

    #[test]
    fn an_address_has_a_share_and_loopback_all() {
        let room = room(8);
        let own: Vec<_> = (0..10).filter_map(|_| take(&room, "192.0.2.1")).collect();
        let network: Vec<_> =
            (0..10).filter_map(|n| take(&room, &format!("2001:db8::{n}"))).collect();
        let local: Vec<_> = (0..10).filter_map(|_| take(&room, "127.0.0.1")).collect();

        assert_eq!((own.len(), network.len(), local.len()), (2, 2, 4));
        assert_eq!(room.metrics.connections_refused.get(), 16);
        drop((own, network, local));
        assert!(room.taken.lock().is_empty());
        assert_eq!(room.places.available_permits(), 8);
    }

    #[test]
    fn connections_are_kept_while_there_is_room_for_others() {
        let room = room(1000);
        let (a, b) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut all: Vec<_> = (0..64).map(|_| take(&room, "192.0.2.1")).collect();
        assert!(room.may_stay(a));
        all.push(take(&room, "192.0.2.1"));
        assert!(!room.may_stay(a));
        assert!(room.may_stay(b));

        all.extend((0..436).map(|_| take(&room, "127.0.0.1")));
        assert!(!room.may_stay(b), "half are taken");
    }
}
