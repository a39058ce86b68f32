//! A feed as its writer and one fan-out thread share it: the log, and who is told that it has grown.

#[path = "../../../host/src/hub/feed/packets.rs"]
mod packets;
#[path = "../../../host/src/hub/feed/watch.rs"]
mod watch;

use std::sync::Arc;

use plugin_api::frame::Ns;
use plugin_api::mem::Buf;

use self::packets::{Keep, Packet, Packets, Slab};
use self::watch::{Watch, Watched};

pub(crate) use self::watch::FeedWaker;

/// Nothing but what is wanted bounds the log: it is trimmed as early as it can be.
const KEEP: Keep = Keep { max_bytes: usize::MAX, max_time: Ns::MAX, max_lag: Ns::MAX };

/// A feed without packager.
#[derive(Default)]
pub(crate) struct Feed(Watched<Packets>);

/// One thread's window, and the packet that its viewer gets next.
pub(crate) struct Window {
    watch: Arc<Watch>,
    packets: Packets,
    next: u64,
}

impl Feed {
    /// As `live::Feed::commit`, with one packet, at which a viewer may begin.
    pub(crate) fn commit(&self, number: u64) {
        let packet = Packet {
            dts: Ns::try_from(number).unwrap(),
            head: 0,
            slab: u32::try_from(number).unwrap(),
            offset: 0,
            len: 1,
            start_point: true,
            restart: false,
        };
        let slab = Slab { number: packet.slab, bytes: Buf::from_static(b"p") };
        let oldest_wanted = self.0.oldest_wanted();
        {
            let mut log = self.0.lock();
            log.append(&[packet], &[slab], &[]);
            log.trim(&KEEP, oldest_wanted, None);
        }
        self.0.tell();
    }

    pub(crate) fn watch(&self, waker: Arc<dyn FeedWaker>, slot: usize) -> Window {
        Window { watch: self.0.watch(waker, slot), packets: Packets::default(), next: 0 }
    }

    /// As the worker does with news: the stamps of the packets that are new.
    pub(crate) fn look(&self, window: &mut Window) -> Vec<Ns> {
        let Window { watch, packets, next } = window;
        self.0.look(watch, |log| packets.follow(log));
        assert!(packets.first() <= *next, "a packet is gone that was wanted");
        let stamps = packets.iter_from(*next).map(|packet| packet.dts).collect();
        *next = packets.end();
        watch.needs_from(*next);
        packets.let_go();
        stamps
    }
}
