//! Both generations of headers, there and back, and every refusal.

use super::*;
use crate::codec::FourCc;
use crate::testing::{bytes, each_truncation};

const VIDEO: VideoHeader = VideoHeader {
    form: Form::Legacy,
    codec: FourCc::AVC1,
    kind: VideoKind::CodedFrames,
    frame_type: FrameType::Key,
    composition_offset_ms: 0,
    timestamp_offset_nanos: 0,
    track_id: None,
};

const ENHANCED: VideoHeader = VideoHeader { form: Form::Enhanced, codec: FourCc::HVC1, ..VIDEO };

const AUDIO: AudioHeader = AudioHeader {
    form: Form::Legacy,
    codec: FourCc::MP4A,
    kind: AudioKind::CodedFrames,
    sound: Sound::AAC,
    timestamp_offset_nanos: 0,
    track_id: None,
};

/// Each header is followed by the payload `aabb` in the tests.
fn video_headers() -> Vec<(&'static str, &'static str, VideoHeader)> {
    use VideoKind::*;
    let av01 = VideoHeader { codec: FourCc::AV01, ..ENHANCED };
    vec![
        ("AVC configuration", "17 00 000000", VideoHeader { kind: SequenceStart, ..VIDEO }),
        ("AVC keyframe", "17 01 000028", VideoHeader { composition_offset_ms: 40, ..VIDEO }),
        (
            "AVC frame with negative composition time",
            "27 01 ffffd8",
            VideoHeader { frame_type: FrameType::Inter, composition_offset_ms: -40, ..VIDEO },
        ),
        ("AVC end", "17 02 000000", VideoHeader { kind: SequenceEnd, ..VIDEO }),
        ("AVC packet type 9", "17 09 000000", VideoHeader { kind: Unknown(9), ..VIDEO }),
        ("HEVC with codec id 12", "1c 01 000000", VideoHeader { codec: FourCc::HVC1, ..VIDEO }),
        (
            "HEVC configuration with codec id 12",
            "1c 00 000000",
            VideoHeader { codec: FourCc::HVC1, kind: SequenceStart, ..VIDEO },
        ),
        (
            "Sorenson H.263",
            "32",
            VideoHeader { codec: FourCc(*b"fv02"), frame_type: FrameType::Disposable, ..VIDEO },
        ),
        (
            "legacy command",
            "57",
            VideoHeader { kind: Command, frame_type: FrameType::Command, ..VIDEO },
        ),
        ("hvc1 configuration", "90 68766331", VideoHeader { kind: SequenceStart, ..ENHANCED }),
        (
            "hvc1 keyframe",
            "91 68766331 ffffff",
            VideoHeader { composition_offset_ms: -1, ..ENHANCED },
        ),
        (
            "hvc1 frame without composition time",
            "a3 68766331",
            VideoHeader { kind: CodedFramesX, frame_type: FrameType::Inter, ..ENHANCED },
        ),
        ("hvc1 end", "92 68766331", VideoHeader { kind: SequenceEnd, ..ENHANCED }),
        (
            "avc1 keyframe",
            "91 61766331 000001",
            VideoHeader { codec: FourCc::AVC1, composition_offset_ms: 1, ..ENHANCED },
        ),
        ("av01 keyframe has no composition time", "91 61763031", av01),
        (
            "av01 TS sequence start",
            "95 61763031",
            VideoHeader { kind: Mpeg2TsSequenceStart, ..av01 },
        ),
        ("metadata", "94 68766331", VideoHeader { kind: Metadata, ..ENHANCED }),
        (
            "FourCC nobody knows",
            "91 7a7a0a7a",
            VideoHeader { codec: FourCc(*b"zz\nz"), ..ENHANCED },
        ),
        ("packet type 15", "9f 68766331", VideoHeader { kind: Unknown(15), ..ENHANCED }),
        (
            "enhanced command",
            "d0",
            VideoHeader {
                codec: FourCc::NONE,
                kind: Command,
                frame_type: FrameType::Command,
                ..ENHANCED
            },
        ),
        (
            "one track of many",
            "96 01 68766331 07 000003",
            VideoHeader { composition_offset_ms: 3, track_id: Some(7), ..ENHANCED },
        ),
    ]
}

fn audio_headers() -> Vec<(&'static str, &'static str, AudioHeader)> {
    use AudioKind::*;
    let opus = AudioHeader { form: Form::Enhanced, codec: FourCc::OPUS, ..AUDIO };
    let mono_8_bit = Sound { rate: 1, is_16_bit: false, is_stereo: false };
    vec![
        ("AAC configuration", "af 00", AudioHeader { kind: SequenceStart, ..AUDIO }),
        ("AAC frame", "af 01", AUDIO),
        ("AAC packet type 2", "af 02", AudioHeader { kind: Unknown(2), ..AUDIO }),
        ("MP3", "2f", AudioHeader { codec: FourCc::MP3, ..AUDIO }),
        ("G.711 A-law mono", "74", AudioHeader { codec: FourCc::ALAW, sound: mono_8_bit, ..AUDIO }),
        ("G.711 µ-law mono", "84", AudioHeader { codec: FourCc::ULAW, sound: mono_8_bit, ..AUDIO }),
        ("Speex", "bf", AudioHeader { codec: FourCc(*b"fa11"), ..AUDIO }),
        ("Opus configuration", "90 4f707573", AudioHeader { kind: SequenceStart, ..opus }),
        ("Opus frame", "91 4f707573", opus),
        ("mp4a frame", "91 6d703461", AudioHeader { codec: FourCc::MP4A, ..opus }),
        ("end", "92 4f707573", AudioHeader { kind: SequenceEnd, ..opus }),
        ("channels", "94 4f707573", AudioHeader { kind: MultichannelConfig, ..opus }),
        ("packet type 3", "93 4f707573", AudioHeader { kind: Unknown(3), ..opus }),
        ("one track of many", "95 01 4f707573 02", AudioHeader { track_id: Some(2), ..opus }),
    ]
}

#[test]
fn reads_and_writes_video_headers() {
    for (name, hex, header) in video_headers() {
        let header_bytes = bytes(hex);
        let body = [header_bytes.as_slice(), &[0xaa, 0xbb]].concat();
        let payload = header_bytes.len()..body.len();

        assert_eq!(VideoTag::parse(&body), Ok(VideoTag { header, payload }), "{name}");
        assert_eq!(header.write().as_deref(), Some(header_bytes.as_slice()), "{name}");
    }
}

#[test]
fn reads_and_writes_audio_headers() {
    for (name, hex, header) in audio_headers() {
        let header_bytes = bytes(hex);
        let body = [header_bytes.as_slice(), &[0xaa, 0xbb]].concat();
        let payload = header_bytes.len()..body.len();

        assert_eq!(AudioTag::parse(&body), Ok(AudioTag { header, payload }), "{name}");
        assert_eq!(header.write().as_deref(), Some(header_bytes.as_slice()), "{name}");
    }
}

#[test]
fn refuses_every_truncation_of_a_header() {
    for (name, hex, _) in video_headers() {
        // What an end of sequence lacks is forgiven from its packet type on.
        let whole = if name == "AVC end" { 2 } else { bytes(hex).len() };
        each_truncation(&bytes(hex), |cut| {
            let refused = matches!(VideoTag::parse(cut), Err(Error::Truncated { .. }));
            assert_eq!(refused, cut.len() < whole, "{name} cut to {} bytes", cut.len());
        });
    }
    for (name, hex, _) in audio_headers() {
        each_truncation(&bytes(hex), |cut| {
            let tag = AudioTag::parse(cut);
            assert!(matches!(tag, Err(Error::Truncated { .. })), "{name}: {tag:?}");
        });
    }
}

#[test]
fn reads_the_nanoseconds_of_mod_ex() {
    // Size 3, the offset, type 0, then the packet type.
    let video = VideoTag::parse(&bytes("97 02 0f423f 03 68766331 aa")).unwrap();
    assert_eq!(video.header.timestamp_offset_nanos, 999_999);
    assert_eq!(video.header.kind, VideoKind::CodedFramesX);
    assert_eq!(video.payload, 10..11);

    // A long size, a type that nobody knows, then a second ModEx.
    let long = "97 ff 0002 123456 57  02 000001 01 4f707573";
    let audio = AudioTag::parse(&bytes(long)).unwrap();
    assert_eq!(audio.header.timestamp_offset_nanos, 1);
    assert_eq!(audio.header.kind, AudioKind::CodedFrames);
    assert_eq!(audio.payload, 17..17);
}

#[test]
fn reads_many_tracks_of_one_codec() {
    let body = bytes("96 11 68766331  00 000004 000005 aa  01 000003 fffffe");
    let tracks: Result<Vec<_>, _> = VideoTag::parse_tracks(&body).unwrap().collect();
    let tracks = tracks.unwrap();

    let facts: Vec<_> = tracks
        .iter()
        .map(|tag| (tag.header.track_id, tag.header.composition_offset_ms, tag.payload.clone()))
        .collect();
    assert_eq!(facts, [(Some(0), 5, 13..14), (Some(1), -2, 21..21)]);
    assert_eq!(VideoTag::parse(&body), Err(Error::ManyTracks { offset: 14 }));
}

#[test]
fn reads_many_tracks_of_many_codecs() {
    let body = bytes("95 21  4f707573 00 000001 aa  6d703461 05 000002 bbbb");
    let tracks: Result<Vec<_>, _> = AudioTag::parse_tracks(&body).unwrap().collect();
    let tracks = tracks.unwrap();

    let facts: Vec<_> = tracks
        .iter()
        .map(|tag| (tag.header.codec, tag.header.track_id, tag.payload.clone()))
        .collect();
    assert_eq!(facts, [(FourCc::OPUS, Some(0), 10..11), (FourCc::MP4A, Some(5), 19..21)]);
}

#[test]
fn ends_after_the_first_bad_track() {
    let body = bytes("96 11 68766331  00 000000  01 ffffff");

    let tracks: Vec<_> = VideoTag::parse_tracks(&body).unwrap().collect();

    let truncated = Err(Error::Truncated { offset: 10, expected: "compositionTimeOffset" });
    assert_eq!(tracks, [truncated]);
}

#[test]
fn refuses_malformed_multitrack() {
    let cases = [
        ("96 06 68766331 00", Error::NestedMultitrack { offset: 1 }),
        ("96 31 68766331 00", Error::UnknownMultitrackType { kind: 3, offset: 1 }),
        ("96 11 68766331", Error::Truncated { offset: 6, expected: "track" }),
    ];
    for (hex, error) in cases {
        assert_eq!(VideoTag::parse(&bytes(hex)), Err(error), "{hex}");
    }
}

#[test]
fn writes_the_shortest_form_of_a_frame() {
    let header = |form, codec, offset| {
        VideoHeader::coded_frames(form, codec, FrameType::Key, offset).write().unwrap().to_vec()
    };

    assert_eq!(header(Form::Enhanced, FourCc::HVC1, 0), bytes("93 68766331"));
    assert_eq!(header(Form::Enhanced, FourCc::HVC1, 1), bytes("91 68766331 000001"));
    assert_eq!(header(Form::Enhanced, FourCc::AV01, 0), bytes("91 61763031"));
    assert_eq!(header(Form::Legacy, FourCc::AVC1, 0), bytes("17 01 000000"));
    assert_eq!(header(Form::Legacy, FourCc::AVC1, i32::MAX), bytes("17 01 7fffff"));
    assert_eq!(header(Form::Legacy, FourCc::AVC1, i32::MIN), bytes("17 01 800000"));
}

#[test]
fn has_no_legacy_word_for_new_codecs() {
    assert_eq!(VideoHeader::sequence_start(Form::Legacy, FourCc::AV01).write(), None);
    assert_eq!(AudioHeader { codec: FourCc::OPUS, ..AUDIO }.write(), None);
    assert_eq!(AudioHeader { kind: AudioKind::SequenceEnd, ..AUDIO }.write(), None);
    assert_eq!(VideoHeader { kind: VideoKind::Metadata, ..VIDEO }.write(), None);
}

#[test]
fn takes_only_frames_for_keyframes() {
    assert!(VIDEO.is_keyframe());
    assert!(!VideoHeader { frame_type: FrameType::Inter, ..VIDEO }.is_keyframe());
    assert!(!VideoHeader::sequence_start(Form::Legacy, FourCc::AVC1).is_keyframe());
}
