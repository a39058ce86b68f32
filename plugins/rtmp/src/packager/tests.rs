//! What an encoder sent comes out again: message → ingest → frames → packager → chunks → message.

use plugin_api::frame::NS_PER_MS;

use super::*;
use crate::ingest::Item;
use crate::testing::{Sent, frames, ingest, sample, shape, track_sets};
use crate::wire::chunk_reader::{ChunkReader, Limits, Message};
use crate::wire::data::Data;
use crate::wire::message::type_id;

const CHUNK_SIZE: u32 = 128;

/// A feed that keeps everything.
#[derive(Default)]
struct Feed {
    heads: Vec<Vec<u8>>,
    packets: Vec<(PacketFlags, Ns, u32, Vec<u8>)>,
}

impl Out for Feed {
    fn set_head(&mut self, config: &[&[u8]]) -> Result<u32, Error> {
        self.heads.push(config.concat());
        Ok(u32::try_from(self.heads.len()).unwrap())
    }

    fn write(&mut self, packets: &[Packet<'_>]) -> Result<(), Error> {
        let kept = packets.iter().map(|packet| {
            assert_eq!(packet.head as usize, self.heads.len(), "the head in force");
            (packet.flags, packet.dts, packet.head, packet.parts.concat())
        });
        self.packets.extend(kept);
        Ok(())
    }
}

impl Feed {
    /// What a player reads that begins at the packet with that index.
    fn played_from(&self, index: usize) -> Vec<Sent> {
        let head = self.packets[index].2;
        let mut bytes = self.heads[head as usize - 1].clone();
        self.packets[index..].iter().for_each(|packet| bytes.extend_from_slice(&packet.3));
        read(&bytes)
    }

    fn start_points(&self) -> Vec<usize> {
        let is_start = |&index: &usize| self.packets[index].0.start_point;
        (0..self.packets.len()).filter(is_start).collect()
    }
}

fn read(bytes: &[u8]) -> Vec<Sent> {
    let mut set_chunk_size = Vec::new();
    crate::wire::message::Control::SetChunkSize(CHUNK_SIZE)
        .write(&ChunkWriter::default(), &mut set_chunk_size);
    let all = [&set_chunk_size[..], bytes].concat();
    let mut input = &all[..];
    let mut reader = ChunkReader::<Vec<u8>>::new(Limits::default(), 0);
    let mut messages = Vec::new();
    while let Some(message) = reader.push(&mut input, &mut |_| Ok(Vec::new())).unwrap() {
        let Message { type_id, stream_id, timestamp, payload: body, .. } = message;
        if type_id != type_id::SET_CHUNK_SIZE {
            assert_eq!(stream_id, STREAM_ID);
            messages.push(Sent { type_id, timestamp, body });
        }
    }
    messages
}

/// Through ingest and packager; the packager opens at the first frame, as for a viewer who waits.
fn package(messages: &[Sent], variant: &str) -> Feed {
    package_items(&ingest(messages), variant)
}

fn package_items(items: &[Item], variant: &str) -> Feed {
    let settings = Settings { chunk_size: CHUNK_SIZE };
    let mut feed = Feed::default();
    let mut packager: Option<Packager> = None;
    let mut tracks = None;
    for item in items {
        match item {
            Item::Ready => {}
            Item::Tracks(new) => {
                tracks = Some(shape(new));
                if let (Some(packager), Some(shape)) = (&mut packager, &tracks) {
                    packager.change(shape).unwrap();
                }
            }
            Item::Frame(frame) => {
                let packager = packager.get_or_insert_with(|| {
                    let shape = tracks.as_ref().unwrap();
                    Packager::begin(&settings, shape, variant, &mut feed).unwrap()
                });
                packager.write(std::slice::from_ref(frame), &mut feed).unwrap();
            }
        }
    }
    feed
}

/// Whether the message is a sequence header or metadata: what a head is made of.
fn is_head(message: &Sent) -> bool {
    match (message.type_id, &message.body[..]) {
        (type_id::DATA_AMF0, _) => true,
        (type_id::AUDIO, [0xa0..=0xaf, 0, ..] | [0x90, ..]) => true,
        (type_id::VIDEO, [first, 0, ..]) if first & 0x80 == 0 => matches!(first & 15, 7 | 12),
        (type_id::VIDEO, [first, ..]) => first & 0x8f == 0x80,
        _ => false,
    }
}

/// Messages that are not kept: the end of a sequence, and Enhanced RTMP's colours and channels.
fn is_end(message: &Sent) -> bool {
    match (message.type_id, &message.body[..]) {
        (type_id::VIDEO, [first, kind, ..]) if first & 0x80 == 0 => {
            matches!(first & 15, 7 | 12) && *kind == 2
        }
        (type_id::VIDEO, [first, ..]) => matches!(first & 0x0f, 2 | 4),
        (type_id::AUDIO, [first, ..]) => matches!(first, 0x92 | 0x94),
        _ => false,
    }
}

fn coded(messages: &[Sent]) -> Vec<Sent> {
    messages.iter().filter(|sent| !is_head(sent) && !is_end(sent)).cloned().collect()
}

fn headers(messages: &[Sent]) -> Vec<Vec<u8>> {
    let heads = messages.iter().filter(|sent| is_head(sent) && sent.type_id != type_id::DATA_AMF0);
    heads.map(|sent| sent.body.clone()).collect()
}

#[test]
fn what_encoders_send_comes_out_again() {
    for name in ["ffmpeg5_avc_aac", "ffmpeg9_hvc1_aac", "ffmpeg5_alaw", "ffmpeg9_vp09_opus"] {
        let sent = sample(name);

        let feed = package(&sent, "");

        let played = feed.played_from(0);
        assert_eq!(played[0].type_id, type_id::DATA_AMF0, "{name}: metadata first");
        assert_eq!(headers(&played), headers(&sent), "{name}");
        assert_eq!(coded(&played), coded(&sent), "{name}");
    }
}

#[test]
fn a_late_player_gets_the_head_and_then_from_a_keyframe_on() {
    let sent = sample("ffmpeg5_avc_aac");
    let feed = package(&sent, "");

    for start in feed.start_points() {
        let played = feed.played_from(start);

        assert_eq!(headers(&played), headers(&sent));
        let first = coded(&played).remove(0);
        assert_eq!((first.type_id, first.body[0], first.body[1]), (type_id::VIDEO, 0x17, 1));
    }
    assert!(!feed.start_points().is_empty());
}

#[test]
fn intra_refresh_has_start_points_without_idr() {
    let feed = package(&sample("x264_intra_refresh"), "");

    assert!(feed.start_points().len() > 1, "{:?}", feed.start_points());
}

#[test]
fn stamps_come_out_as_they_went_in() {
    let sent = sample("ffmpeg5_avc_aac");
    // Five hours, beyond the 24 bits; 24.9 days, beyond the sign; and over the end of 32 bits.
    for offset in [0, 18_000_000, 0x8020_0000, 0xffff_ff80] {
        let moved = sent.iter().cloned().map(|mut message| {
            message.timestamp = message.timestamp.wrapping_add(offset);
            message
        });
        let moved: Vec<Sent> = moved.collect();

        let played = package(&moved, "").played_from(0);

        assert_eq!(coded(&played), coded(&moved), "from {offset}");
    }
}

#[test]
fn a_clock_moved_by_a_fraction_keeps_all_distances() {
    let sent = sample("ffmpeg5_avc_aac");
    let mut items = ingest(&sent);
    for item in &mut items {
        if let Item::Frame(frame) = item {
            frame.dts += 7 * NS_PER_MS + 500_001;
            frame.pts += 7 * NS_PER_MS + 500_001;
        }
    }

    let played = coded(&package_items(&items, "").played_from(0));

    let expected = coded(&sent).into_iter().map(|mut sent| {
        sent.timestamp += 8;
        sent
    });
    assert_eq!(played, expected.collect::<Vec<_>>());
}

#[test]
fn hevc_goes_out_in_both_dialects() {
    let sent = sample("ffmpeg9_hvc1_aac");

    let legacy = package(&sent, LEGACY_HEVC).played_from(0);

    let video = |messages: &[Sent]| -> Vec<Sent> {
        let video = messages.iter().filter(|sent| sent.type_id == type_id::VIDEO);
        video.cloned().collect()
    };
    let first = &video(&legacy)[0].body;
    assert_eq!(first[..5], [0x1c, 0, 0, 0, 0], "id 12, sequence header");
    // Back in, it is the same stream: frames have one form.
    let (a, b) = (ingest(&sent), ingest(&legacy));
    assert_eq!(frames(&a), frames(&b));
    assert_eq!(track_sets(&a).last(), track_sets(&b).last());
    // The same words for a publisher that speaks the old dialect.
    assert_eq!(coded(&package(&legacy, LEGACY_HEVC).played_from(0)), coded(&legacy));
}

#[test]
fn audio_that_comes_late_comes_with_a_new_head() {
    let sent = sample("ffmpeg5_avc_aac");
    let is_early_audio = |sent: &Sent| sent.type_id == type_id::AUDIO && !is_head(sent);
    let is_audio_header = |sent: &Sent| sent.type_id == type_id::AUDIO && is_head(sent);
    let late_header = sent.iter().find(|sent| is_audio_header(sent)).cloned().unwrap();
    let mut reordered: Vec<Sent> = sent.iter().filter(|s| !is_audio_header(s)).cloned().collect();
    let half = reordered.len() / 2;
    reordered = reordered
        .into_iter()
        .enumerate()
        .filter(|(at, sent)| *at >= half || !is_early_audio(sent))
        .map(|(_, sent)| sent)
        .collect();
    let at = reordered.iter().position(is_early_audio).unwrap();
    reordered.insert(at, late_header.clone());

    let feed = package(&reordered, "");

    assert_eq!(feed.heads.len(), 2);
    let played = feed.played_from(0);
    assert_eq!(coded(&played), coded(&reordered));
    // Metadata, both headers, with the time of the frame that they come before.
    let at = played.iter().position(|message| message.body == late_header.body).unwrap();
    let kinds: Vec<u8> = played[at - 2..=at].iter().map(|message| message.type_id).collect();
    assert_eq!(kinds, [type_id::DATA_AMF0, type_id::VIDEO, type_id::AUDIO]);
    assert_eq!(played[at].timestamp, played[at + 1].timestamp);
    let Ok(Data::Metadata { properties, .. }) = Data::parse(&played[at - 2].body, 0) else {
        panic!("metadata")
    };
    assert!(properties.iter().any(|(name, _)| name == "audiocodecid"));
}

#[test]
fn a_shape_that_changes_nothing_for_players_makes_no_head() {
    let mut sent = sample("ffmpeg5_avc_aac");
    let event = [&[2, 0, 10][..], b"onTextData", &[5]].concat();
    let last = sent.iter().map(|sent| sent.timestamp).max().unwrap();
    sent.push(Sent { type_id: type_id::DATA_AMF0, timestamp: last, body: event.clone() });

    let feed = package(&sent, "");

    assert_eq!(feed.heads.len(), 1);
    let played = feed.played_from(0);
    let expected = Sent { type_id: type_id::DATA_AMF0, timestamp: last, body: event };
    assert_eq!(played.last(), Some(&expected));
}

#[test]
fn refuses_what_it_has_no_words_for() {
    let settings = Settings { chunk_size: CHUNK_SIZE };
    let items = ingest(&sample("ffmpeg9_vp09_opus"));
    let vp9 = shape(track_sets(&items).last().unwrap());
    let begin = |shape: &Shape, variant: &str| {
        let begun = Packager::begin(&settings, shape, variant, &mut Feed::default());
        begun.err().map(|error| error.to_string())
    };

    assert_eq!(begin(&vp9, ""), None);
    let refusal = begin(&vp9, LEGACY_HEVC).unwrap();
    assert!(refusal.contains("vp09, Opus"), "{refusal}");
    assert!(begin(&shape(&[]), "").is_some());
    assert!(begin(&vp9, "no-such").is_some());
}

#[test]
fn audio_alone_may_begin_anywhere() {
    let feed = package(&sample("ffmpeg5_alaw"), "");

    assert_eq!(feed.start_points().len(), feed.packets.len());
}

#[test]
fn a_long_frame_is_cut_into_chunks() {
    let body = [&[0x17, 1, 0, 0, 0][..], &1996_u32.to_be_bytes(), &[0x65; 1996]].concat();
    let mut sent: Vec<Sent> = sample("ffmpeg5_avc_aac").into_iter().filter(is_head).collect();
    // With an extended timestamp in each of the chunks.
    sent.push(Sent::video(0x0123_4567, &body));

    let feed = package(&sent, "");

    assert_eq!(coded(&feed.played_from(0)), coded(&sent));
    assert!(feed.packets[0].3.len() > body.len() + 15 * 5);
}

#[test]
fn milliseconds_of_every_rate_come_out_again() {
    // 29.97 and 59.94 pictures and 1024 samples of 44.1 kHz, as encoders round them, from any start.
    for (numerator, denominator) in [(1_001_000, 30_000), (1_001_000, 60_000), (1_024_000, 44_100)]
    {
        for start in [0, 0xff_fff0, 0xffff_ff00_i64] {
            for index in 0..5000_i64 {
                let ms = start + (index * numerator + denominator / 2) / denominator;
                let expected = u32::try_from(ms & 0xffff_ffff).unwrap();
                assert_eq!(message::wire_ms(ms * NS_PER_MS), expected);
            }
        }
    }
}
