//! Hand-made parameter sets and frames, and every refusal. Records of real encoders are compared
//! with an independent dump in `tests/samples.rs`.

use super::*;
use crate::bits::BitWriter;
use crate::codec::Error;
use crate::codec::nal::LengthSize;
use crate::testing::{bytes, each_truncation};

/// In the form of x264: 1920x1080 cropped from 1088 lines, High, 25 fps, two B-frames.
const SPS_1080: &str = "67 640028 acd940780227e5c0440000030004000003 00c83c60c658";
const PPS: &str = "68 ebe3cb22c0";

#[test]
fn reads_size_and_rate() {
    let sps = Sps::parse(&bytes(SPS_1080)).unwrap();

    assert_eq!((sps.width, sps.height), (1920, 1080));
    assert_eq!((sps.profile_idc, sps.level_idc, sps.id), (100, 40, 0));
    assert_eq!(sps.frame_rate.unwrap().as_f64(), 25.0);
    assert_eq!(sps.reorder_frames, Some(2));
    assert!(sps.is_frame_only);
}

/// All that may stand before the end of an SPS, written by hand: order type 1, a scaling list that
/// ends early and two whole ones, an aspect ratio, both HRDs. ffmpeg's `trace_headers` reads it to
/// the stop bit, with the values below.
const SPS_WITH_ALL: &str = "\
    6764001f32d8930fa492492492490534d34d34d34d34d34d34d34d34d34d34d34d34d34d34d34d42a663940b\
    033bff004d0035b5010101b700000303e90000bb80d11819406480cc032b7bdf1446065019203300cadef7c3\
    e2c590b0";

#[test]
fn walks_over_all_that_precedes_the_end() {
    let sps = Sps::parse(&bytes(SPS_WITH_ALL)).unwrap();

    assert_eq!((sps.id, sps.width, sps.height), (5, 704, 400));
    assert_eq!(sps.frame_rate, crate::codec::FrameRate::new(24_000, 1001));
    assert_eq!(sps.reorder_frames, Some(3));
}

#[test]
fn takes_a_vui_cut_short_for_unknown() {
    let whole = bytes(SPS_1080);
    // The VUI begins in byte 13: what comes before is required, what comes after is not.
    each_truncation(&whole, |cut| match Sps::parse(cut) {
        Ok(sps) => assert_eq!((sps.width, sps.height), (1920, 1080), "{} bytes", cut.len()),
        Err(error) => assert!(cut.len() < 14, "{} bytes: {error}", cut.len()),
    });
}

/// A Baseline SPS without VUI, from the bits of width, height and cropping.
fn baseline_sps(size: &[(usize, u32)], cropping: &[(usize, u32)]) -> Vec<u8> {
    // Profile, constraints, level, id 0, log2_max_frame_num 4, order type 2, no references, no gaps.
    let start = [(8, 66), (8, 0), (8, 30), (1, 1), (1, 1), (3, 0b011), (1, 1), (1, 0)];
    // Frames only, direct_8x8_inference.
    let middle = [(1, 1), (1, 1)];
    // No VUI, stop bit.
    let end = [(1, 0), (1, 1)];
    let mut bits = BitWriter::new();
    for (width, value) in [&start, size, &middle, cropping, &end].into_iter().flatten() {
        bits.u(*width, *value);
    }
    [vec![0x67], bits.finish()].concat()
}

#[test]
fn refuses_sizes_that_no_level_has() {
    let no_cropping = [(1, 0)];
    let smallest = baseline_sps(&[(1, 1), (1, 1)], &no_cropping);
    let sps = Sps::parse(&smallest).unwrap();
    assert_eq!((sps.width, sps.height, sps.reorder_frames), (16, 16, Some(0)));

    // 2^32 - 1 macroblocks.
    let huge = baseline_sps(&[(31, 0), (32, u32::MAX), (1, 1)], &no_cropping);
    // 8 units of two pixels on the left leave nothing.
    let nothing = baseline_sps(&[(1, 1), (1, 1)], &[(1, 1), (7, 9), (1, 1), (1, 1), (1, 1)]);
    for unit in [huge, nothing] {
        let error = Sps::parse(&unit).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "width in pixels", .. }), "{error}");
    }
}

#[test]
fn builds_a_record_and_reads_it_back() {
    let (sps, pps) = (bytes(SPS_1080), bytes(PPS));
    let record = Avcc::from_parameter_sets([sps.as_slice(), &pps]).unwrap();
    let mut out = Vec::new();
    record.write(&mut out);

    assert_eq!(Avcc::parse(&out), Ok(record.clone()));
    assert_eq!((record.profile_idc, record.constraint_flags, record.level_idc), (100, 0, 40));
    // High: 4:2:0, 8 bits, no extensions.
    assert!(out.ends_with(&[0xfd, 0xf8, 0xf8, 0]));
    each_truncation(&out, |cut| {
        // The part for High profiles is optional.
        assert_eq!(Avcc::parse(cut).is_ok(), cut.len() >= out.len() - 4, "{} bytes", cut.len());
    });
}

#[test]
fn builds_no_record_without_both_sets() {
    let (sps, pps) = (bytes(SPS_1080), bytes(PPS));
    assert_eq!(Avcc::from_parameter_sets([sps.as_slice()]), None);
    assert_eq!(Avcc::from_parameter_sets([pps.as_slice()]), None);
    assert_eq!(Avcc::from_parameter_sets([&[0x67][..], &[0x68]]), None);
}

#[test]
fn takes_changed_sets_in() {
    let (sps, pps) = (bytes(SPS_1080), bytes(PPS));
    let record = Avcc::from_parameter_sets([sps.as_slice(), &pps]).unwrap();
    let mut changed_sps = sps.clone();
    changed_sps[3] = 31;
    // pic_parameter_set_id 1.
    let second_pps = bytes("68 4b");

    assert_eq!(record.updated([sps.as_slice(), &pps]), None);
    assert_eq!(record.updated([&[][..], &[0x67], &[0x09, 0xf0]]), None);
    let changed = record.updated([changed_sps.as_slice(), &pps]).unwrap();
    assert_eq!((changed.level_idc, &changed.sps), (31, &vec![changed_sps]));
    let grown = record.updated([second_pps.as_slice()]).unwrap();
    assert_eq!(grown.pps, [pps, second_pps]);
}

#[test]
fn refuses_records_of_another_version() {
    let error = Avcc::parse(&bytes("00000001 67")).unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "configurationVersion", .. }), "{error}");
}

#[test]
fn reads_records_without_sets() {
    let record = Avcc::parse(&bytes("01 42001e fd e0 00")).unwrap();
    assert_eq!((record.sps.len(), record.length_size), (0, LengthSize::Two));
}

#[test]
fn classifies_frames() {
    let cases: &[(&str, &str, AccessUnit)] = &[
        (
            "IDR with delimiter and sets",
            { "00000002 0910  00000002 6764  00000002 68eb  00000002 6588" },
            AccessUnit {
                is_idr: true,
                has_recovery_point: false,
                has_aud: true,
                parameter_sets: vec![10..12, 16..18],
            },
        ),
        (
            "recovery point",
            "00000004 060601c4  00000002 419a",
            AccessUnit { has_recovery_point: true, ..AccessUnit::default() },
        ),
        ("inter", "00000002 419a", AccessUnit::default()),
        ("empty", "", AccessUnit::default()),
    ];
    for (name, hex, facts) in cases {
        assert_eq!(AccessUnit::parse(&bytes(hex), LengthSize::Four).as_ref(), Ok(facts), "{name}");
    }
    assert!(AccessUnit::parse(&bytes("00000009 65"), LengthSize::Four).is_err());
}

#[test]
fn lists_no_more_parameter_sets_than_the_limit() {
    let frame = bytes("01 68").repeat(1000);
    let facts = AccessUnit::parse(&frame, LengthSize::One).unwrap();
    assert_eq!(facts.parameter_sets.len(), 32);
}
