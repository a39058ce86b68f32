//! Every way from the server to a viewer: each protocol, with TLS and without, over IPv4 and IPv6, straight and behind the
//! proxies that operators put in front. The same frames on all of them, and the address of the viewer in the API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harness::clips::Clip;
use harness::front::{Front, Header, Hop};
use harness::live::Live;
use harness::media::{self, Frames, Until};
use harness::rtmp::feed::{repeated, tags};
use harness::rtmp::{Client, Dialect, Player};
use harness::server::{Server, Setup, items};
use harness::socket::connect_from;
use harness::tls::Certificate;
use harness::{artifacts, flv};
use serde_json::json;

use crate::{LIMIT, feed};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// From where the proxies reach the server, whatever their clients speak. They are believed, so no client is there.
const PROXY: IpAddr = V4;
/// A client's address over IPv4; over IPv6 there is one only.
const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
/// Frames that every viewer has before the stream ends: more than a GOP of pictures and sound.
const FRAMES: usize = 80;

/// What the viewer speaks, by the name of the listener that takes it.
const PROTOCOLS: [(&str, Speaks); 6] = [
    ("http", Speaks::Http),
    ("http", Speaks::WebSocket),
    ("https", Speaks::Http),
    ("https", Speaks::WebSocket),
    ("rtmp", Speaks::Rtmp),
    ("rtmps", Speaks::Rtmp),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http,
    WebSocket,
    Rtmp,
}

/// What stands between the viewer and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// Nothing; the TLS of a viewer that has any is haproxy's, as a library would be.
    Nothing,
    Haproxy(Header),
    NginxStream,
    NginxHttp,
}

const BETWEEN: [Between; 5] = [
    Between::Nothing,
    Between::Haproxy(Header::ProxyV1),
    Between::Haproxy(Header::ProxyV2),
    Between::NginxStream,
    Between::NginxHttp,
];

/// One viewer of the table.
struct Row {
    name: String,
    viewer: Viewer,
    /// As the API has to show it; empty when the server can't know.
    peer: String,
}

enum Viewer {
    Live(Live),
    Rtmp(Player),
}

impl Viewer {
    fn open(client: IpAddr, address: SocketAddr, speaks: Speaks) -> (Self, SocketAddr) {
        let socket = connect_from(client, address).expect("somebody listens");
        let own = socket.local_addr().expect("it is connected");
        let viewer = match speaks {
            Speaks::Rtmp => Self::Rtmp(Client::start(socket, "live", Dialect::Enhanced).play("x")),
            http => {
                Self::Live(Live::on(socket, address, "/flv/live/x.flv", http == Speaks::WebSocket))
            }
        };
        (viewer, own)
    }

    fn wait_for_frames(&self) {
        match self {
            Self::Live(live) => live.wait_for_frames(FRAMES),
            Self::Rtmp(player) => player.wait_for_frames(flv::AUDIO, FRAMES / 2, LIMIT),
        }
    }

    fn wait_for_end(&self) {
        match self {
            Self::Live(live) => live.wait_for_end(LIMIT),
            Self::Rtmp(player) => player.wait_for_stream_end(LIMIT),
        }
    }

    fn frames(&self) -> Frames {
        match self {
            Self::Live(live) => live.frames(),
            Self::Rtmp(player) => player.frames(),
        }
    }
}

/// Every listener on both families. PROXY headers are optional, so that viewers without a proxy come to the same ports.
fn start(certificate: &Certificate) -> Server {
    let config = json!({
        "limits": { "trusted_proxies": [PROXY] },
        "tls": { "site": certificate.profile() },
        "http": {
            "listen": "[::]:0", "https_listen": "[::]:0", "tls": "site", "proxy_protocol": "optional",
        },
        "plugins": { "rtmp": {
            "listen": "[::]:0", "tls_listen": "[::]:0", "tls": "site", "proxy_protocol": "optional",
        } },
        "publish": { "republish_window": "0s" },
    });
    Setup::new().plugin(&artifacts::plugin_library("flv")).config(&config).start()
}

/// One viewer for each protocol, by one kind of proxy, over one family.
fn rows(server: &Server, between: Between, family: IpAddr) -> (Vec<Row>, Front) {
    let has_front = |listener: &str| between != Between::Nothing || listener.ends_with('s');
    let protocols = PROTOCOLS
        .iter()
        .filter(|(_, speaks)| between != Between::NginxHttp || *speaks != Speaks::Rtmp);
    let backend = if between == Between::Nothing { family } else { PROXY };
    let hops: Vec<Hop> = protocols
        .clone()
        .filter(|(listener, _)| has_front(listener))
        .map(|(listener, _)| Hop {
            listen: family,
            backend: SocketAddr::new(backend, server.address(listener).port()),
            tls: listener.ends_with('s'),
        })
        .collect();
    let front = match between {
        Between::Nothing => Front::haproxy(Header::None, &hops),
        Between::Haproxy(header) => Front::haproxy(header, &hops),
        Between::NginxStream => Front::nginx_stream(&hops),
        Between::NginxHttp => Front::nginx_http(&hops),
    };
    let mut fronts = front.addresses().iter();
    let client = if family == V4 { CLIENT_V4 } else { V6 };
    let rows = protocols.map(|(listener, speaks)| {
        let address = match has_front(listener) {
            true => *fronts.next().expect("a hop for each"),
            false => SocketAddr::new(family, server.address(listener).port()),
        };
        let (viewer, own) = Viewer::open(client, address, *speaks);
        let peer = match between {
            Between::Nothing if has_front(listener) => String::new(),
            // The header has no port.
            Between::NginxHttp => client.to_string(),
            _ => own.to_string(),
        };
        Row { name: format!("{speaks:?} to {listener}, {between:?}, {family}"), viewer, peer }
    });
    (rows.collect(), front)
}

#[test]
fn every_way_carries_every_frame_and_shows_who_watches() {
    let certificate = Certificate::new(30);
    let server = start(&certificate);
    let cues = repeated(Clip::BFrames.media().tags(), 20);
    let feed = feed(&server, "live/x", cues.clone());
    let ways = BETWEEN.iter().flat_map(|between| [(*between, V4), (*between, V6)]);
    let (rows, _fronts): (Vec<_>, Vec<_>) =
        ways.map(|(between, family)| rows(&server, between, family)).unzip();
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    rows.iter().for_each(|row| row.viewer.wait_for_frames());

    let list = items(&server.api("/api/v1/viewers?limit=1000"));
    assert_eq!(list.len(), rows.len());
    let mut peers: Vec<&str> = list.iter().filter_map(|viewer| viewer["peer"].as_str()).collect();
    for row in rows.iter().filter(|row| !row.peer.is_empty()) {
        let at = peers.iter().position(|peer| *peer == row.peer);
        let at = at.unwrap_or_else(|| panic!("{}: {} is not in {peers:?}", row.name, row.peer));
        peers.swap_remove(at);
    }

    for event in server.events("viewer.start") {
        let peer = event.text("peer");
        assert!(list.iter().any(|viewer| viewer["peer"] == peer), "{peer} is in the log only");
    }
    let (publisher, sent) = feed.stop_and_count();
    publisher.hang_up();

    let source = Frames::of_tags(&tags(&cues[..sent]));
    for row in &rows {
        row.viewer.wait_for_end();
        let joined = media::assert_same(&row.name, &source, &row.viewer.frames(), Until::End);
        assert!(joined.first_video.is_some(), "{}", row.name);
    }
    server.stop();
}
