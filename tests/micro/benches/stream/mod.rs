//! A stream of one video track on a hub of its own.

use std::net::IpAddr;
use std::sync::Arc;

use plugcast::hub::auth::{Action, Authorizer};
use plugcast::hub::key::{Args, StreamKey};
use plugcast::hub::{Hub, PublishRequest, Publisher, Pushed, Settings};
use plugin_api::frame::{FourCc, Frame, FrameFlags, NS_PER_MS, Ns, Track, TrackKind};
use plugin_api::mem::{Account, Buf};

const TRACK: u32 = 1;
const FRAME_MS: Ns = 40;
const GOP_FRAMES: Ns = 50;
/// 1 Mbit/s.
static PAYLOAD: [u8; 5000] = [0; 5000];

pub(crate) const KEY: &str = "live/bench";

/// The writer's side.
pub(crate) struct Live {
    pub(crate) hub: Arc<Hub>,
    publisher: Publisher,
    next: Ns,
}

struct Anybody;

impl Authorizer for Anybody {
    fn check(&self, _: Action, _: &StreamKey, _: &Args, _: Option<IpAddr>) -> Result<(), String> {
        Ok(())
    }
}

impl Live {
    /// With one GOP in the ring.
    pub(crate) fn start() -> Self {
        let hub = Hub::new(Settings::default(), Arc::new(Anybody), Account::new(usize::MAX));
        let request = PublishRequest { url: KEY.to_owned(), ..PublishRequest::default() };
        let publisher = hub.publish(request).unwrap();
        publisher.set_tracks(vec![Track::new(TRACK, TrackKind::Video, FourCc::H264)]).unwrap();
        publisher.ready();
        let mut live = Self { hub, publisher, next: 0 };
        live.push_gop();
        live
    }

    pub(crate) fn push(&mut self) {
        let dts = self.next * FRAME_MS * NS_PER_MS;
        let key = self.next % GOP_FRAMES == 0;
        self.next += 1;
        let frame = Frame {
            track: TRACK,
            config: 0,
            flags: FrameFlags { key, ..FrameFlags::default() },
            dts,
            pts: dts,
            duration: 0,
            captured: 0,
            payload: Buf::from_static(&PAYLOAD).into(),
        };
        assert_eq!(self.publisher.push(&[frame]), Pushed::Ok);
    }

    pub(crate) fn push_gop(&mut self) {
        (0..GOP_FRAMES).for_each(|_| self.push());
    }
}
