//! Messages in, tracks and frames out.

use plugin_api::frame::{FourCc, NS_PER_MS, TrackKind};

use super::*;
use crate::testing::{Sent, feed, frames, ingest, pool, sample, track_sets};
use crate::wire::message::type_id;

/// H.264 at 64 by 64, Baseline, as an encoder writes it.
const SPS: [u8; 22] = [
    0x67, 0x42, 0xc0, 0x0a, 0xda, 0x10, 0x90, 0x80, 0x80, 0x0a, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x64,
    0x1e, 0x24,
];
const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];

fn header(size: u8, pps: &[u8]) -> Sent {
    let sps_len = u8::try_from(SPS.len()).unwrap();
    let pps_len = u8::try_from(pps.len()).unwrap();
    let record = [
        &[0x17, 0, 0, 0, 0, 1, SPS[1], SPS[2], SPS[3], 0xfc | (size - 1), 0xe1, 0, sps_len][..],
        &SPS,
        &[1, 0, pps_len],
        pps,
    ];
    Sent::video(0, &record.concat())
}

/// A frame of NAL units, each with a length of `size` bytes.
fn picture(timestamp: u32, first: u8, size: usize, units: &[&[u8]]) -> Sent {
    let mut body = vec![first, 1, 0, 0, 0];
    for unit in units {
        let length = u32::try_from(unit.len()).unwrap().to_be_bytes();
        body.extend_from_slice(&length[4 - size..]);
        body.extend_from_slice(unit);
    }
    Sent::video(timestamp, &body)
}

const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x11];
const SLICE: &[u8] = &[0x41, 0x9a, 0x22];
/// A recovery point message (ITU-T H.264, section D.1.8).
const RECOVERY: &[u8] = &[0x06, 6, 1, 0xc4, 0x80];

fn metadata(properties: &[(&str, f64)]) -> Sent {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    let mut body = Vec::new();
    for value in
        ["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(properties.collect())]
    {
        media::container::flv::amf0::write(&value, &mut body);
    }
    Sent { type_id: type_id::DATA_AMF0, timestamp: 0, body }
}

fn ready_at(items: &[Item]) -> Option<usize> {
    items.iter().position(|item| *item == Item::Ready)
}

#[test]
fn tells_what_a_stream_has() {
    let items = ingest(&sample("ffmpeg5_avc_aac"));

    let tracks = track_sets(&items).pop().unwrap();
    let [video, audio] = tracks else { panic!("{tracks:?}") };
    assert_eq!((video.kind, video.codec), (TrackKind::Video, FourCc::H264));
    assert!(video.width > 0 && video.height > 0 && video.frame_rate.0 > 0, "{video:?}");
    assert!(video.codec_string.starts_with("avc1."), "{video:?}");
    assert_eq!((audio.kind, audio.codec), (TrackKind::Audio, FourCc::AAC));
    assert_eq!(audio.codec_string, "mp4a.40.2");
    assert!(audio.sample_rate >= 8000 && audio.channels > 0);
    let frames = frames(&items);
    assert!(frames.iter().any(|frame| frame.pts > frame.dts), "B-frames");
    assert!(frames.iter().all(|frame| frame.dts % NS_PER_MS == 0));
    assert_eq!(items.iter().filter(|item| **item == Item::Ready).count(), 1);
}

#[test]
fn a_repeated_sequence_header_changes_nothing() {
    let sent = [
        header(4, &PPS),
        picture(0, 0x17, 4, &[IDR]),
        header(4, &PPS),
        picture(40, 0x27, 4, &[&SPS, &PPS, SLICE]),
    ];

    let items = ingest(&sent);

    assert_eq!(track_sets(&items).len(), 1);
    assert!(frames(&items).iter().all(|frame| frame.config == 0));
}

#[test]
fn another_sequence_header_is_another_configuration() {
    let other = [0x68, 0xce, 0x3c, 0x90];
    let sent = [
        header(4, &PPS),
        picture(0, 0x17, 4, &[IDR]),
        header(4, &other),
        picture(40, 0x17, 4, &[IDR]),
    ];

    let items = ingest(&sent);

    let numbers: Vec<u32> = track_sets(&items).iter().map(|set| set[0].config_number).collect();
    assert_eq!(numbers, [0, 1]);
    assert_eq!(frames(&items).iter().map(|frame| frame.config).collect::<Vec<_>>(), [0, 1]);
    assert!(matches!(
        &items[..],
        [Item::Tracks(_), Item::Frame(_), Item::Tracks(_), Item::Frame(_)]
    ));
}

#[test]
fn other_parameter_sets_in_band_are_another_configuration() {
    let other = [0x68, 0xce, 0x3c, 0x90];
    let sent = [
        header(4, &PPS),
        picture(0, 0x17, 4, &[&SPS, &PPS, IDR]),
        picture(40, 0x17, 4, &[&SPS, &other, IDR]),
        picture(80, 0x17, 4, &[&SPS, &other, IDR]),
    ];

    let items = ingest(&sent);

    let sets = track_sets(&items);
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[1][0].config_number, 1);
    assert!(sets[1][0].config.ends_with(&other));
    assert_eq!(frames(&items).iter().map(|frame| frame.config).collect::<Vec<_>>(), [0, 1, 1]);
    // They stay where they are.
    assert_eq!(frames(&items)[2].payload.len(), sent[3].body.len() - 5);
}

#[test]
fn parameter_sets_in_band_do_without_a_sequence_header() {
    let sent = [picture(0, 0x27, 4, &[SLICE]), picture(40, 0x17, 4, &[&SPS, &PPS, IDR])];

    let items = ingest(&sent);

    assert!(matches!(&items[..], [Item::Tracks(_), Item::Frame(frame)] if frame.flags.key));
}

#[test]
fn lengths_of_one_and_two_bytes_become_four() {
    for size in [1, 2, 3] {
        let sent =
            [header(u8::try_from(size).unwrap(), &PPS), picture(0, 0x17, size, &[RECOVERY, IDR])];

        let items = ingest(&sent);

        let expected = ingest(&[header(4, &PPS), picture(0, 0x17, 4, &[RECOVERY, IDR])]);
        assert_eq!(frames(&items), frames(&expected), "{size}");
        assert_eq!(track_sets(&items)[0][0].config[4] & 3, 3, "{size}");
    }
}

#[test]
fn annex_b_becomes_length_prefixed() {
    let annex_b = [&[0, 0, 0, 1][..], IDR].concat();
    let sent = [header(4, &PPS), Sent::video(0, &[&[0x17, 1, 0, 0, 0][..], &annex_b].concat())];

    let items = ingest(&sent);

    let expected = ingest(&[header(4, &PPS), picture(0, 0x17, 4, &[IDR])]);
    assert_eq!(frames(&items), frames(&expected));
}

#[test]
fn nal_units_tell_keyframes_and_the_tag_does_not() {
    let sent = [
        header(4, &PPS),
        picture(0, 0x17, 4, &[IDR]),
        picture(40, 0x17, 4, &[SLICE]),
        picture(80, 0x27, 4, &[RECOVERY, SLICE]),
    ];

    let items = ingest(&sent);

    assert_eq!(frames(&items).iter().map(|f| f.flags.key).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn empty_and_broken_messages_are_passed_over() {
    let whole = [header(4, &PPS), picture(0, 0x17, 4, &[IDR])];
    let mut sent = vec![Sent::video(0, &[]), Sent::audio(0, &[]), Sent::audio(0, &[0xaf])];
    for message in &whole {
        sent.extend((1..message.body.len()).map(|len| Sent::video(0, &message.body[..len])));
    }
    sent.push(Sent { type_id: type_id::DATA_AMF0, timestamp: 0, body: vec![2, 0] });
    ingest(&sent);

    sent.extend(whole.clone());
    let items = ingest(&sent);

    assert_eq!(frames(&items).last().map(|frame| frame.payload.len()), Some(IDR.len() + 4));
}

#[test]
fn obsolete_audio_is_left_out() {
    // Speex is sound format 11.
    let items = ingest(&[Sent::audio(0, &[0xb6, 1, 2, 3])]);

    assert_eq!(items, []);
}

#[test]
fn g711_says_its_rate() {
    let items = ingest(&sample("ffmpeg5_alaw"));

    let track = &track_sets(&items)[0][0];
    assert_eq!((track.codec, track.sample_rate), (FourCc::ALAW, 8000));
}

#[test]
fn a_second_audio_track_is_a_track() {
    let items = ingest(&sample("ffmpeg9_avc_two_audio"));

    let tracks = track_sets(&items).pop().unwrap();
    let audio = tracks.iter().filter(|track| track.kind == TrackKind::Audio);
    assert_eq!(audio.map(|track| track.id).collect::<Vec<_>>(), [AUDIO_ID, AUDIO_ID + 1]);
}

#[test]
fn is_ready_when_all_that_metadata_names_is_there() {
    let audio = Sent::audio(0, &[0xaf, 0, 0x12, 0x10]);
    let both = metadata(&[("videocodecid", 7.0), ("audiocodecid", 10.0)]);
    let one = metadata(&[("videocodecid", 7.0)]);

    let items =
        ingest(&[both.clone(), header(4, &PPS), picture(900, 0x17, 4, &[IDR]), audio.clone()]);
    assert_eq!(ready_at(&items), Some(items.len() - 1), "both are promised");

    let items = ingest(&[one, header(4, &PPS)]);
    assert_eq!(ready_at(&items), Some(1), "one is promised");

    let items = ingest(&[header(4, &PPS), audio]);
    assert_eq!(ready_at(&items), Some(2), "both are there");
}

#[test]
fn is_ready_when_a_second_track_has_had_its_time() {
    let mut ingest = Ingest::new(pool());
    let mut items = Vec::new();
    feed(&mut ingest, &header(4, &PPS), &mut items);
    for timestamp in (0..=480).step_by(40) {
        feed(&mut ingest, &picture(timestamp, 0x17, 4, &[IDR]), &mut items);
    }
    assert_eq!(ready_at(&items), None);

    feed(&mut ingest, &picture(520, 0x17, 4, &[IDR]), &mut items);

    assert_eq!(items.last(), Some(&Item::Ready));
}

#[test]
fn metadata_fills_what_the_codec_does_not_tell() {
    let hints = metadata(&[("width", 640.0), ("height", 360.0), ("framerate", 29.97)]);
    // AV1, enhanced, without a sequence header.
    let frame = Sent::video(0, &[&[0x91][..], b"av01", &[0x12, 0]].concat());

    let items = ingest(&[hints, frame]);

    let track = &track_sets(&items)[0][0];
    assert_eq!((track.width, track.height, track.frame_rate), (640, 360, (30_000, 1001)));
}

#[test]
fn events_become_a_data_track() {
    let event = [&[2, 0, 10][..], b"onTextData", &[5]].concat();
    let sent = |timestamp| Sent { type_id: type_id::DATA_AMF0, timestamp, body: event.clone() };

    let items = ingest(&[sent(0), header(4, &PPS), picture(40, 0x17, 4, &[IDR]), sent(60)]);

    let frames = frames(&items);
    assert_eq!(frames.len(), 2, "events before the first frame are left out");
    assert_eq!((frames[1].track, frames[1].dts), (DATA_ID, 60 * NS_PER_MS));
    assert_eq!(track_sets(&items).pop().unwrap()[1].codec, AMF0);
}

#[test]
fn payload_is_a_part_of_the_message() {
    let memory = pool();
    let mut ingest = Ingest::new(memory.clone());
    let mut items = Vec::new();
    let message = memory.copy(&[&header(4, &PPS).body]).unwrap();
    ingest.on_video(0, &message, &mut items);
    let message = memory.copy(&[&picture(0, 0x17, 4, &[IDR]).body]).unwrap();
    let used = memory.account().used();

    ingest.on_video(0, &message, &mut items);

    assert_eq!(memory.account().used(), used);
    assert_eq!(frames(&items)[0].payload.parts()[0].as_ptr(), message[5..].as_ptr());
}
