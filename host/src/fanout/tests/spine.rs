//! From a publisher of the hub to viewers.

use std::time::Duration;

use plugin_api::frame::{FourCc, Frame, Track, TrackKind};

use super::{Pair, Server, key, within};
use crate::hub::feed::PrepareRequest;
use crate::hub::feed::testing::Stamp::{Delta, Key};
use crate::hub::feed::testing::{Stamp, hub};
use crate::hub::{PublishRequest, Publisher, Pushed, Reason, Refusal, Status};

/// Its first shape is that of the tracks, its second one has settled.
fn publish(server: &Server) -> Publisher {
    let request = PublishRequest { url: "live/a".to_owned(), ..PublishRequest::default() };
    let publisher = hub(&server.feeds).publish(request).unwrap();
    publisher.set_tracks(vec![Track::new(1, TrackKind::Video, FourCc::H264)]).unwrap();
    publisher.ready();
    publisher
}

fn push(publisher: &Publisher, stamps: &[Stamp]) {
    let frames: Vec<Frame> = stamps.iter().map(|stamp| stamp.frame(0)).collect();
    assert_eq!(publisher.push(&frames), Pushed::Ok);
}

async fn play(server: &Server, wait: Option<Duration>) -> Result<Pair, Refusal> {
    let (conn, client) = server.connect().await;
    let request = PrepareRequest {
        url: "live/a".to_owned(),
        format: "text".to_owned(),
        conn: conn.id(),
        wait,
        ..PrepareRequest::default()
    };
    let prepared = within("the place to begin", server.feeds.prepare(request)).await?;
    let viewer = server.fanout.attach(&conn, prepared, &[]).unwrap();
    Ok(Pair { viewer, client })
}

fn players(server: &Server) -> usize {
    let info = hub(&server.feeds).stream(&key("live/a"));
    info.map_or(0, |info| info.readers.player)
}

#[tokio::test]
async fn a_viewer_begins_at_the_newest_keyframe_and_is_counted_until_the_stream_ends() {
    let server = Server::with_threads(1);
    let publisher = publish(&server);
    push(&publisher, &[Key(0), Delta(40), Key(80), Delta(120)]);

    let mut pair = play(&server, None).await.unwrap();
    pair.expect("P|C2|K80;d120;").await;
    let counted = players(&server);
    push(&publisher, &[Delta(160)]);
    publisher.finish();
    pair.expect("d160;").await;

    assert_eq!(pair.detached().await.reason, Reason::Ended);
    assert_eq!((counted, players(&server)), (1, 0));
}

#[tokio::test]
async fn waits_for_a_publisher() {
    let server = Server::with_threads(1);

    let refused = play(&server, Some(Duration::ZERO)).await.err();
    let (pair, publisher) = tokio::join!(play(&server, None), async {
        tokio::task::yield_now().await;
        let publisher = publish(&server);
        push(&publisher, &[Key(0)]);
        publisher
    });

    assert_eq!(refused.map(|refusal| refusal.status), Some(Status::NotFound));
    pair.unwrap().expect("P|C2|K0;").await;
    drop(publisher);
}

#[tokio::test]
async fn a_viewer_lives_on_when_the_publisher_comes_back() {
    let server = Server::with_threads(1);
    let first = publish(&server);
    push(&first, &[Key(0)]);
    let mut pair = play(&server, None).await.unwrap();
    pair.expect("P|C2|K0;").await;

    drop(first);
    let second = publish(&server);
    push(&second, &[Key(0)]);

    // A change of shape in band, then the new publisher's first frame, later on the same timeline.
    pair.expect("c").await;
    let mut text = String::new();
    while !text.ends_with(';') {
        text.push_str(&super::read_exactly(&mut pair.client, 1).await);
    }
    let frame = text.rsplit('|').next().unwrap();
    let at: i64 = frame.trim_start_matches('K').trim_end_matches(';').parse().unwrap();
    assert!(frame.starts_with('K') && at > 0, "{text}");
}
