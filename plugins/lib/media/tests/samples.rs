//! Real encoders' output against what independent tools read in it; see `testdata/README.md`.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use media::codec::h264::{self, Avcc};
use media::codec::h265::{self, Hvcc, Vps};
use media::codec::nal::LengthSize;
use media::codec::{FourCc, FrameRate};
use media::container::flv::amf0;
use media::container::flv::metadata::Metadata;
use media::container::flv::tag::{AudioKind, AudioTag, VideoKind, VideoTag};

fn testdata(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata", name].iter().collect()
}

fn read(name: &str) -> Vec<u8> {
    fs::read(testdata(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The samples with an extension, without it, sorted.
fn names(extension: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(testdata(""))
        .expect("testdata exists")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The fields of an ffprobe dump that every parameter set tells.
#[derive(Debug, PartialEq)]
struct Facts {
    width: u32,
    height: u32,
    level: u8,
    frame_rate: FrameRate,
    reorder_frames: u32,
    is_10_bit: bool,
    chroma_format_idc: u8,
}

fn facts(name: &str) -> Facts {
    let text = fs::read_to_string(testdata(&format!("{name}.ffprobe"))).expect("a dump");
    let fields: HashMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let number = |field: &str| fields[field].parse().expect("a number");
    let (numerator, denominator) = fields["avg_frame_rate"].split_once('/').expect("a ratio");
    let pixels = fields["pix_fmt"];
    let chroma = [("gray", 0), ("420", 1), ("422", 2), ("444", 3)];
    Facts {
        width: number("width"),
        height: number("height"),
        level: u8::try_from(number("level")).expect("a level"),
        frame_rate: FrameRate {
            numerator: numerator.parse().expect("a number"),
            denominator: denominator.parse().expect("a number"),
        },
        reorder_frames: number("has_b_frames"),
        is_10_bit: pixels.contains("10"),
        chroma_format_idc: chroma
            .into_iter()
            .find_map(|(part, format)| pixels.contains(part).then_some(format))
            .expect("a known pixel format"),
    }
}

/// A ratio as ffprobe prints it.
fn reduced(rate: FrameRate) -> FrameRate {
    let (mut a, mut b) = (rate.numerator, rate.denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    FrameRate { numerator: rate.numerator / a, denominator: rate.denominator / a }
}

#[test]
fn reads_what_ffprobe_reads_in_avc_records() {
    let names = names("avcc");
    assert_eq!(names.len(), 8);
    for name in names {
        let record = Avcc::parse(&read(&format!("{name}.avcc"))).expect(&name);
        let sps = h264::Sps::parse(&record.sps[0]).expect(&name);

        let found = Facts {
            width: sps.width,
            height: sps.height,
            level: sps.level_idc,
            frame_rate: reduced(sps.frame_rate.expect(&name)),
            reorder_frames: sps.reorder_frames.expect(&name),
            is_10_bit: sps.bit_depth_luma == 10,
            chroma_format_idc: sps.chroma_format_idc,
        };
        let mut expected = facts(&name);
        if name.contains("gray") {
            // ffmpeg shows monochrome as 4:2:0. The record, which x264's SPS made, says 0.
            assert_eq!(expected.chroma_format_idc, 1);
            expected.chroma_format_idc = 0;
        }
        assert_eq!(found, expected, "{name}");
        assert_eq!(sps.is_frame_only, !name.contains("interlaced"), "{name}");
    }
}

#[test]
fn reads_what_ffprobe_reads_in_hevc_records() {
    let names = names("hvcc");
    assert_eq!(names.len(), 6);
    for name in names {
        let record = Hvcc::parse(&read(&format!("{name}.hvcc"))).expect(&name);
        let unit = record.units(h265::nal_type::SPS).next().expect(&name);
        let sps = h265::Sps::parse(unit).expect(&name);

        let found = Facts {
            width: sps.width,
            height: sps.height,
            level: sps.profile_tier_level.level_idc,
            frame_rate: reduced(sps.frame_rate.expect(&name)),
            reorder_frames: sps.reorder_frames,
            is_10_bit: sps.bit_depth_luma == 10,
            chroma_format_idc: sps.chroma_format_idc,
        };
        assert_eq!(found, facts(&name), "{name}");
        assert_eq!(sps.profile_tier_level, record.profile_tier_level, "{name}");
        let vps = record.units(h265::nal_type::VPS).next().expect(&name);
        let vps = Vps::parse(vps).expect(&name);
        assert_eq!(vps.profile_tier_level, record.profile_tier_level, "{name}");
    }
}

#[test]
fn writes_records_as_ffmpeg_does() {
    for name in names("avcc") {
        let sample = read(&format!("{name}.avcc"));
        let record = Avcc::parse(&sample).expect(&name);
        let sets = [&record.sps, &record.pps].into_iter().flatten().map(Vec::as_slice);
        let rebuilt = Avcc::from_parameter_sets(sets).expect(&name);

        for record in [record.clone(), rebuilt] {
            let mut out = Vec::new();
            record.write(&mut out);
            assert_eq!(out, sample, "{name}");
        }
    }
    for name in names("hvcc") {
        let sample = read(&format!("{name}.hvcc"));
        let record = Hvcc::parse(&sample).expect(&name);
        let mut out = Vec::new();
        record.write(&mut out);
        assert_eq!(out, sample, "{name}");

        let sets = record.arrays.iter().flat_map(|array| &array.units).map(Vec::as_slice);
        let mut rebuilt = Hvcc::from_parameter_sets(sets).expect(&name);
        // ffmpeg loses its way in HRD parameters and makes up a segmentation; its own
        // `trace_headers` shows bitstream_restriction_flag 0, see `testdata/README.md`.
        if name.contains("hrd") {
            assert_eq!(rebuilt.min_spatial_segmentation_idc, 0);
            rebuilt.min_spatial_segmentation_idc = record.min_spatial_segmentation_idc;
        }
        // ffmpeg tells more of parallelism and completeness than parameter sets alone can.
        rebuilt.parallelism_type = record.parallelism_type;
        rebuilt.arrays.clone_from(&record.arrays);
        assert_eq!(rebuilt, record, "{name}");
    }
}

#[test]
fn refuses_every_truncation_of_a_record() {
    for name in names("avcc") {
        let sample = read(&format!("{name}.avcc"));
        let whole = Avcc::parse(&sample).expect(&name);
        for cut in (0..sample.len()).map(|end| &sample[..end]) {
            // Only what follows the parameter sets may be missing.
            assert!(Avcc::parse(cut).is_err() || Avcc::parse(cut).as_ref() == Ok(&whole), "{name}");
        }
    }
    for name in names("hvcc") {
        let sample = read(&format!("{name}.hvcc"));
        for cut in (0..sample.len()).map(|end| &sample[..end]) {
            assert!(Hvcc::parse(cut).is_err(), "{name} cut to {}", cut.len());
        }
    }
}

#[test]
fn reads_no_wrong_size_in_a_parameter_set_cut_short() {
    for name in names("hvcc") {
        let record = Hvcc::parse(&read(&format!("{name}.hvcc"))).expect(&name);
        let whole = record.units(h265::nal_type::SPS).next().expect(&name);
        for cut in (0..whole.len()).map(|end| &whole[..end]) {
            if let Ok(sps) = h265::Sps::parse(cut) {
                assert_eq!(sps.width, facts(&name).width, "{name} cut to {}", cut.len());
            }
        }
        let whole = record.units(h265::nal_type::VPS).next().expect(&name);
        for cut in (0..whole.len()).map(|end| &whole[..end]) {
            if let Ok(vps) = Vps::parse(cut) {
                assert_eq!(vps.profile_tier_level, record.profile_tier_level, "{name}");
            }
        }
    }
}

/// The tags of an FLV file: type and body (FLV 10.1, sections E.2 and E.4.1).
fn tags(name: &str) -> Vec<(u8, Vec<u8>)> {
    let file = read(&format!("{name}.flv"));
    let mut tags = Vec::new();
    // Header of 9 bytes, then a size before each tag of 4.
    let mut rest = &file[13..];
    while let Some((header, behind)) = rest.split_at_checked(11) {
        let size = header[1..4].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        tags.push((header[0], behind[..size].to_vec()));
        rest = &behind[size + 4..];
    }
    tags
}

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

/// What ffmpeg's framecrc tells of a frame.
#[derive(Debug, PartialEq)]
struct Frame {
    track: u8,
    composition_offset_ms: i32,
    size: usize,
    checksum: u32,
    is_keyframe: bool,
}

/// The lines `stream, dts, pts, duration, size, Adler-32, flags`.
fn framecrc(name: &str) -> Vec<Frame> {
    let text = fs::read_to_string(testdata(&format!("{name}.framecrc"))).expect("a dump");
    let frames = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let number = |at: usize| fields[at].parse::<i32>().expect("a number");
        Frame {
            track: fields[0].parse().expect("a stream"),
            composition_offset_ms: number(2) - number(1),
            size: fields[4].parse().expect("a size"),
            checksum: u32::from_str_radix(&fields[5][2..], 16).expect("a checksum"),
            is_keyframe: !fields.contains(&"F=0x0"),
        }
    });
    frames.collect()
}

/// Adler-32 that begins with 0, as in framecrc.
fn checksum(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (0, 0);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// The frames of a file as this crate reads them; audio tracks count from `first_audio`.
fn frames(name: &str, first_audio: u8) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (kind, body) in tags(name) {
        let (track, composition_offset_ms, is_keyframe, payload) = match kind {
            VIDEO => {
                let VideoTag { header, payload } = VideoTag::parse(&body).expect(name);
                if !header.is_coded() {
                    continue;
                }
                (0, header.composition_offset_ms, header.is_keyframe(), payload)
            }
            AUDIO => {
                let AudioTag { header, payload } = AudioTag::parse(&body).expect(name);
                if header.kind != AudioKind::CodedFrames {
                    continue;
                }
                (first_audio + header.track_id.unwrap_or(0), 0, true, payload)
            }
            _ => continue,
        };
        let bytes = &body[payload];
        frames.push(Frame {
            track,
            composition_offset_ms,
            size: bytes.len(),
            checksum: checksum(bytes),
            is_keyframe,
        });
    }
    frames
}

#[test]
fn finds_the_frames_that_ffmpeg_finds() {
    for (name, first_audio) in [
        ("ffmpeg5_avc_aac", 1),
        ("ffmpeg9_hvc1_aac", 1),
        ("ffmpeg9_vp09_opus", 1),
        ("ffmpeg9_avc_two_audio", 1),
        ("ffmpeg5_alaw", 0),
    ] {
        // framecrc interleaves by its own rule: the order within a track is what counts.
        let by_track = |mut frames: Vec<Frame>| {
            frames.sort_by_key(|frame| frame.track);
            frames
        };
        let found = by_track(frames(name, first_audio));

        assert!(!found.is_empty(), "{name}");
        assert_eq!(found, by_track(framecrc(name)), "{name}");
    }
}

#[test]
fn names_the_codecs_of_a_publication() {
    let codecs = |name: &str| {
        let mut found = Vec::new();
        for (kind, body) in tags(name) {
            let codec = match kind {
                AUDIO => AudioTag::parse(&body).expect(name).header.codec,
                VIDEO => VideoTag::parse(&body).expect(name).header.codec,
                _ => continue,
            };
            if !found.contains(&codec) {
                found.push(codec);
            }
        }
        found
    };

    assert_eq!(codecs("ffmpeg5_avc_aac"), [FourCc::AVC1, FourCc::MP4A]);
    assert_eq!(codecs("ffmpeg9_hvc1_aac"), [FourCc::HVC1, FourCc::MP4A]);
    assert_eq!(codecs("ffmpeg9_vp09_opus"), [FourCc::VP09, FourCc::OPUS]);
    assert_eq!(codecs("ffmpeg5_alaw"), [FourCc::ALAW]);
}

#[test]
fn reads_the_metadata_of_a_publication() {
    let metadata = |name: &str| {
        let (_, body) = tags(name).into_iter().find(|(kind, _)| *kind == SCRIPT).expect(name);
        Metadata::from_message(&amf0::parse_all(&body).expect(name)).expect(name)
    };

    let avc = metadata("ffmpeg5_avc_aac");
    let video = avc.video.expect("video");
    assert_eq!((video.width, video.height, video.frame_rate), (Some(160), Some(90), Some(25.0)));
    assert_eq!(video.codec, Some(FourCc::AVC1));
    let audio = avc.audio.expect("audio");
    assert_eq!((audio.sample_rate, audio.channels), (Some(48_000), Some(2)));
    assert_eq!(audio.codec, Some(FourCc::MP4A));
    assert_eq!(avc.encoder.as_deref(), Some("Lavf59.27.100"));

    let hevc = metadata("ffmpeg9_hvc1_aac").video.expect("video");
    assert_eq!(hevc.codec, Some(FourCc::HVC1));
}

/// The headers and payloads of the video tags that hold frames.
fn coded_video(name: &str) -> Vec<(bool, Vec<u8>)> {
    let mut frames = Vec::new();
    for (_, body) in tags(name).into_iter().filter(|(kind, _)| *kind == VIDEO) {
        let VideoTag { header, payload } = VideoTag::parse(&body).expect(name);
        if header.is_coded() {
            frames.push((header.is_keyframe(), body[payload].to_vec()));
        } else {
            assert!(!matches!(header.kind, VideoKind::Unknown(_)), "{header:?}");
        }
    }
    frames
}

#[test]
fn agrees_with_the_flag_of_every_keyframe() {
    let frames = coded_video("ffmpeg5_avc_aac");
    assert_eq!(frames.len(), 8);
    for (is_keyframe, payload) in frames {
        let facts = h264::AccessUnit::parse(&payload, LengthSize::Four).expect("units");
        assert_eq!(facts.is_idr, is_keyframe);
    }

    let mut random_access = Vec::new();
    for (is_keyframe, payload) in coded_video("ffmpeg9_hvc1_aac") {
        let facts = h265::AccessUnit::parse(&payload, LengthSize::Four).expect("units");
        assert_eq!(facts.is_irap, is_keyframe);
        random_access.extend(facts.is_irap.then_some((facts.is_idr, facts.is_cra)));
    }
    assert_eq!(random_access, [(true, false), (false, true)]);
}

#[test]
fn finds_the_recovery_points_of_intra_refresh() {
    let points: Vec<_> = coded_video("x264_intra_refresh")
        .iter()
        .map(|(_, payload)| h264::AccessUnit::parse(payload, LengthSize::Four).expect("units"))
        .map(|facts| (facts.is_idr, facts.has_recovery_point))
        .collect();

    assert_eq!(points.len(), 12);
    assert!(points[0].0, "the first frame is an IDR picture");
    assert!(points[1..].contains(&(false, true)), "{points:?}");
}
