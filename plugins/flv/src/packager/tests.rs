//! Frames → packager, through its C table → an FLV file, read here tag by tag.

use std::sync::Arc;

use plugin_api::frame::{FourCc, FrameFlags, NS_PER_MS, Payload};
use plugin_api::testing::{FakeHost, Feed};

use super::*;

const AUDIO: u32 = 1;
const VIDEO: u32 = 2;

/// One tag: type, time, body.
type Read = (u8, u32, Vec<u8>);

fn track(host: &FakeHost, id: u32, codec: FourCc, config: &[u8]) -> Track {
    let kind = if id == AUDIO { TrackKind::Audio } else { TrackKind::Video };
    Track { config: host.buf(config), ..Track::new(id, kind, codec) }
}

fn shape(number: u32, tracks: &[Track]) -> Shape {
    let tracks = tracks.iter().cloned().map(Arc::new).collect();
    Shape { number, settled: true, discontinuity: false, tracks }
}

fn frame(host: &FakeHost, track: u32, key: bool, dts: Ns, pts: Ns, parts: &[&[u8]]) -> Frame {
    let parts = parts.iter().map(|part| host.buf(part)).collect::<Vec<_>>();
    Frame {
        track,
        config: 0,
        flags: FrameFlags { key, ..FrameFlags::default() },
        dts: dts * NS_PER_MS,
        pts: pts * NS_PER_MS,
        duration: 0,
        captured: 0,
        payload: Payload::Parts(parts.into()),
    }
}

fn read(mut bytes: &[u8]) -> Vec<Read> {
    let mut tags = Vec::new();
    while let [kind, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *l2, *l1, *l0]);
        let (body, rest) = rest.split_at(len as usize);
        let (pointer, rest) = rest.split_first_chunk().expect("a back pointer");
        assert_eq!(u32::from_be_bytes(*pointer), len + 11);
        tags.push((*kind, u32::from_be_bytes([*t3, *t2, *t1, *t0]), body.to_vec()));
        bytes = rest;
    }
    assert_eq!(bytes, b"", "whole tags");
    tags
}

/// What a viewer gets that begins at the packet with that index.
fn played_from(feed: &Feed, index: usize) -> Vec<Read> {
    let packets = &feed.packets()[index..];
    let (preamble, config) = &feed.heads()[packets[0].head as usize - 1];
    assert!(preamble.starts_with(b"FLV\x01") && preamble.len() == 13);
    let bytes = packets.iter().fold(config.clone(), |mut all, packet| {
        all.extend_from_slice(&packet.bytes);
        all
    });
    read(&bytes)
}

#[test]
fn frames_become_tags() {
    let host = FakeHost::new();
    let tracks =
        [track(&host, AUDIO, FourCc::AAC, b"asc"), track(&host, VIDEO, FourCc::H264, b"avcc")];
    let mut feed = Feed::open::<Packager>(&host, (), &shape(1, &tracks), "").unwrap();
    feed.on_frames(&[
        frame(&host, VIDEO, true, 1000, 1080, &[b"I", b"DR"]),
        frame(&host, AUDIO, true, 1005, 1005, &[b"aac"]),
        frame(&host, VIDEO, false, 1040, 1040, &[b"P"]),
        frame(&host, 9, true, 1040, 1040, &[b"no such track"]),
        frame(&host, VIDEO, false, 1080, 1040, &[]),
    ])
    .unwrap();

    let tags = played_from(&feed, 0);

    assert_eq!(feed.heads()[0].0[4], 5, "audio and video");
    assert!(tags[0].0 == 18 && tags[0].2.windows(10).any(|name| name == b"onMetaData"));
    let expected: &[(u8, u32, &[u8])] = &[
        (9, 0, b"\x17\0\0\0\0avcc"),
        (8, 0, b"\xaf\0asc"),
        (9, 1000, b"\x17\x01\0\0\x50IDR"),
        (8, 1005, b"\xaf\x01aac"),
        (9, 1040, b"\x27\x01\0\0\0P"),
    ];
    let media: Vec<_> =
        tags[1..].iter().map(|(kind, time, body)| (*kind, *time, &body[..])).collect();
    assert_eq!(media, expected);
    let starts: Vec<bool> = feed.packets().iter().map(|packet| packet.flags.start_point).collect();
    assert_eq!(starts, [true, false, false]);
}

#[test]
fn time_wraps_at_32_bits() {
    let host = FakeHost::new();
    let tracks = [track(&host, AUDIO, FourCc::AAC, b"asc")];
    let mut feed = Feed::open::<Packager>(&host, (), &shape(1, &tracks), "").unwrap();
    let times = [0x8000_0000, (1 << 32) - 1, 1 << 32];
    let frames: Vec<_> =
        times.iter().map(|ms| frame(&host, AUDIO, true, *ms, *ms, &[b"x"])).collect();
    feed.on_frames(&frames).unwrap();

    let times: Vec<u32> = played_from(&feed, 0)[2..].iter().map(|(_, time, _)| *time).collect();

    assert_eq!(times, [0x8000_0000, u32::MAX, 0]);
    assert_eq!(feed.heads()[0].0[4], 4, "audio only");
    assert!(feed.packets().iter().all(|packet| packet.flags.start_point));
}

#[test]
fn a_change_of_tracks_comes_in_band_and_in_the_head() {
    let host = FakeHost::new();
    let with = |config: &[u8]| [track(&host, VIDEO, FourCc::H264, config)];
    let mut feed = Feed::open::<Packager>(&host, (), &shape(1, &with(b"one")), "").unwrap();
    feed.on_frames(&[frame(&host, VIDEO, true, 0, 0, &[b"a"])]).unwrap();
    feed.on_shape(&shape(2, &with(b"one"))).unwrap();
    feed.on_frames(&[frame(&host, VIDEO, false, 40, 40, &[b"b"])]).unwrap();
    assert_eq!((feed.heads().len(), feed.packets().len()), (1, 2), "nothing has changed");

    feed.on_shape(&shape(3, &with(b"two"))).unwrap();
    feed.on_frames(&[frame(&host, VIDEO, true, 80, 80, &[b"c"])]).unwrap();

    let straight: Vec<_> =
        played_from(&feed, 0).into_iter().map(|(_, time, body)| (time, body)).collect();
    assert_eq!(straight[4].0, 80, "metadata has the time of the first frame");
    assert_eq!(straight[5], (80, b"\x17\0\0\0\0two".to_vec()));
    assert_eq!(straight[6], (80, b"\x17\x01\0\0\0c".to_vec()));
    let late = played_from(&feed, feed.packets().len() - 1);
    assert_eq!(late[1].2, b"\x17\0\0\0\0two");
    assert_eq!(late.len(), 3);
}

#[test]
fn h265_goes_out_in_both_words_and_what_has_none_is_refused() {
    let host = FakeHost::new();
    let tracks = [track(&host, VIDEO, FourCc::H265, b"hvcc")];
    for (variant, expected) in [("", &b"\x90hvc1hvcc"[..]), (LEGACY_HEVC, b"\x1c\0\0\0\0hvcc")] {
        let feed = Feed::open::<Packager>(&host, (), &shape(1, &tracks), variant).unwrap();
        assert_eq!(read(&feed.heads()[0].1)[1].2, expected, "{variant}");
    }
    let error = Feed::open::<Packager>(&host, (), &shape(1, &tracks), "other").unwrap_err();
    assert_eq!(error.status, plugin_api::Status::UNSUPPORTED);
    let vp9 = [track(&host, VIDEO, FourCc(*b"vp09"), b"")];
    let error = Feed::open::<Packager>(&host, (), &shape(1, &vp9), LEGACY_HEVC).unwrap_err();
    assert_eq!(error, Error::unsupported("FLV can't carry any of: vp09"));
}
