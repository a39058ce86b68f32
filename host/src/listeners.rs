//! The sockets that are open, for the start banner and the lists: whose, where, and as which URLs.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

/// One open listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerEntry {
    pub instance: String,
    pub protocol: String,
    pub address: SocketAddr,
    /// With `{host}` and `{key}`; empty when it makes no sense for the protocol.
    pub publish_url: String,
    pub play_url: String,
    /// The port that `{host}` leaves out.
    pub default_port: u16,
}

/// A URL to paste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Urls {
    pub instance: String,
    pub protocol: String,
    pub publish: String,
    pub play: String,
}

/// All open listeners.
#[derive(Debug, Default)]
pub struct Listeners {
    entries: Arc<Mutex<Vec<(u64, ListenerEntry)>>>,
    next: AtomicU64,
    conflicts: Mutex<Vec<String>>,
}

/// Port conflicts kept for the end of the start; a server has a handful of listeners.
const CONFLICTS_MAX: usize = 100;

impl Listeners {
    /// Notes that an address is in use, so that all conflicts can be told at once.
    pub fn conflict(&self, owner: &str, problem: &str) {
        let mut conflicts = self.conflicts.lock();
        if conflicts.len() < CONFLICTS_MAX {
            conflicts.push(format!("{owner}: {problem}"));
        }
    }

    /// What [`Listeners::conflict`] noted.
    pub fn conflicts(&self) -> Vec<String> {
        self.conflicts.lock().clone()
    }

    /// Lists it until the guard is dropped or told to.
    pub fn add(&self, entry: ListenerEntry) -> ListenerGuard {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.entries.lock().push((id, entry));
        ListenerGuard { id, entries: Arc::clone(&self.entries) }
    }

    /// In the order in which they were opened.
    pub fn list(&self) -> Vec<ListenerEntry> {
        self.entries.lock().iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// The URLs of a stream, for each listener.
    pub fn urls(&self, key: &str) -> Vec<Urls> {
        self.list().iter().map(|entry| entry.urls(key)).collect()
    }
}

/// Takes the listener off the list.
#[derive(Debug)]
pub struct ListenerGuard {
    id: u64,
    entries: Arc<Mutex<Vec<(u64, ListenerEntry)>>>,
}

impl ListenerGuard {
    /// What was listed, the first time.
    pub fn remove(&self) -> Option<ListenerEntry> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|(id, _)| *id == self.id)?;
        Some(entries.remove(at).1)
    }
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        drop(self.remove());
    }
}

impl ListenerEntry {
    fn urls(&self, key: &str) -> Urls {
        let host = authority(self.address, self.default_port);
        let fill = |template: &str| template.replace("{host}", &host).replace("{key}", key);
        Urls {
            instance: self.instance.clone(),
            protocol: self.protocol.clone(),
            publish: fill(&self.publish_url),
            play: fill(&self.play_url),
        }
    }
}

/// Host and port as they stand in a URL, for those who are elsewhere.
pub fn authority(address: SocketAddr, default_port: u16) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => {
            own_address().map_or_else(|| "localhost".to_owned(), |ip| ip.to_string())
        }
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if address.port() == default_port { host } else { format!("{host}:{}", address.port()) }
}

/// The address that others most likely reach this machine by: that of the default route. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    // Documentation address (RFC 5737): connecting a UDP socket only makes the kernel choose a route.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_leave_out_the_default_port_and_bracket_ipv6() {
        let listeners = Listeners::default();
        let entry = |address: &str| ListenerEntry {
            instance: "rtmp".into(),
            protocol: "rtmp".into(),
            address: address.parse().unwrap(),
            publish_url: "rtmp://{host}/{key}".into(),
            play_url: String::new(),
            default_port: 1935,
        };

        let first = listeners.add(entry("10.0.0.1:1935"));
        let _second = listeners.add(entry("[2001:db8::1]:1936"));

        let urls: Vec<String> =
            listeners.urls("live/a").into_iter().map(|urls| urls.publish).collect();
        assert_eq!(urls, ["rtmp://10.0.0.1/live/a", "rtmp://[2001:db8::1]:1936/live/a"]);
        drop(first);
        assert_eq!(listeners.list().len(), 1);
    }
}
