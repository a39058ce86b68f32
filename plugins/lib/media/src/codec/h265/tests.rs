//! Frames, records from parameter sets, refusals. Records of real encoders are compared with an
//! independent dump in `tests/samples.rs`.

use super::*;
use crate::codec::Error;
use crate::codec::nal::LengthSize;
use crate::testing::{bytes, each_truncation};

/// x265, 638x358 cropped from 640x360, Main, 30 fps.
const RECORD: &[u8] = include_bytes!("../../../testdata/hevc_main_638x358_30.hvcc");

fn record() -> Hvcc {
    Hvcc::parse(RECORD).unwrap()
}

fn sets(record: &Hvcc) -> Vec<&[u8]> {
    [nal_type::VPS, nal_type::SPS, nal_type::PPS]
        .into_iter()
        .flat_map(|kind| record.units(kind))
        .collect()
}

/// All that may stand before the end of an SPS, written by hand: two sub-layers with profiles,
/// scaling lists, PCM, predicted sets of references, long-term references, sub-picture HRD. ffmpeg's
/// `trace_headers` reads it to the stop bit, with the values below.
const SPS_WITH_ALL: &str = "\
    42010321600000030090000003000003007bc00021600000030090000003000003005d2200284802d9a24b96\
    55311c9225dd3a74e9d322222ba74e9d3a74e9d3a74e9d3a74e9d3a74e9d3a64444510e9d3a74e9d3a74e9d3\
    a74e9d3a74e9d3a74e991111443a74e9d3a74e9d3a74e9d3a74e9d3a74e9d3a710e9d3a74e9d3a74e9d3a74e\
    9d3a74e9d3a74e9f77b91affd33fb09857ffc0010000fdc2440278a49400000fa40003a983f0a20824777974\
    0cc1e811c0a20660f408e05103307a04702881983d023814441983d02381440cc1e811c0a2a027610082";

#[test]
fn walks_over_all_that_precedes_the_end() {
    let sps = Sps::parse(&bytes(SPS_WITH_ALL)).unwrap();

    assert_eq!((sps.id, sps.width, sps.height), (3, 1280, 720));
    assert_eq!((sps.temporal_layers, sps.profile_tier_level.level_idc), (2, 123));
    assert!(sps.profile_tier_level.is_high_tier);
    assert_eq!(sps.reorder_frames, 3);
    assert_eq!(sps.frame_rate, crate::codec::FrameRate::new(60_000, 1001));
    assert_eq!(sps.min_spatial_segmentation_idc, 77);
}

#[test]
fn classifies_frames() {
    let cases: &[(&str, &str, AccessUnit)] = &[
        (
            "IDR with delimiter and sets",
            "00000003 460150  00000003 40010c  00000003 420101  00000003 4401c1  00000003 2801af",
            AccessUnit {
                is_idr: true,
                is_irap: true,
                has_aud: true,
                parameter_sets: vec![11..14, 18..21, 25..28],
                ..AccessUnit::default()
            },
        ),
        (
            "CRA with recovery point",
            "00000005 4e010601c4  00000003 2a01ac",
            AccessUnit {
                is_irap: true,
                is_cra: true,
                has_recovery_point: true,
                ..AccessUnit::default()
            },
        ),
        (
            "BLA",
            "00000003 2001ac",
            AccessUnit { is_irap: true, is_bla: true, ..AccessUnit::default() },
        ),
        ("RASL", "00000003 1201ac", AccessUnit { is_rasl: true, ..AccessUnit::default() }),
        ("inter", "00000003 0201d0", AccessUnit::default()),
        ("IDR of the second layer", "00000003 2809af", AccessUnit::default()),
        ("half a header", "00000001 28", AccessUnit::default()),
        ("empty", "", AccessUnit::default()),
    ];
    for (name, hex, facts) in cases {
        assert_eq!(AccessUnit::parse(&bytes(hex), LengthSize::Four).as_ref(), Ok(facts), "{name}");
    }
    assert!(AccessUnit::parse(&bytes("00000009 2801"), LengthSize::Four).is_err());
}

#[test]
fn lists_no_more_parameter_sets_than_the_limit() {
    let frame = bytes("02 4401").repeat(1000);
    let facts = AccessUnit::parse(&frame, LengthSize::One).unwrap();
    assert_eq!(facts.parameter_sets.len(), 32);
}

#[test]
fn builds_no_record_without_all_sets() {
    let record = record();
    let all = sets(&record);
    assert_eq!(all.len(), 3);
    assert!(Hvcc::from_parameter_sets(all.iter().copied()).is_some());
    for missing in 0..3 {
        let some = all.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, set)| *set);
        assert_eq!(Hvcc::from_parameter_sets(some), None, "without set {missing}");
    }
}

#[test]
fn takes_changed_sets_in() {
    let record = record();
    let mut other_sps = sets(&record)[1].to_vec();
    // general_level_idc lies behind emulation prevention: 63 is level 2.1.
    let level = other_sps.iter().position(|byte| *byte == 63).unwrap();
    other_sps[level] = 90;

    assert_eq!(record.updated(sets(&record)), None);
    assert_eq!(record.updated([&[][..], &[0x42], &[0x46, 1, 0x50]]), None);
    let changed = record.updated([other_sps.as_slice()]).unwrap();
    assert_eq!(changed.profile_tier_level.level_idc, 90);
    assert_eq!(changed.units(nal_type::SPS).collect::<Vec<_>>(), [other_sps.as_slice()]);
}

#[test]
fn refuses_annex_b_and_later_versions() {
    for hex in ["00000001 4001", "000001 4001", "02 01"] {
        let error = Hvcc::parse(&bytes(hex)).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "configurationVersion", .. }), "{error}");
    }
}

#[test]
fn refuses_parameter_sets_of_other_layers() {
    let record = record();
    let mut unit = sets(&record)[1].to_vec();
    unit[1] |= 8;
    let error = Sps::parse(&unit).unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "nuh_layer_id", value: 1, .. }), "{error}");
}

#[test]
fn survives_every_truncation_and_flipped_bit_of_a_set() {
    let record = record();
    for unit in sets(&record) {
        each_truncation(unit, |cut| {
            let _ = (Sps::parse(cut), Vps::parse(cut), record.updated([cut]));
        });
        for bit in 0..unit.len() * 8 {
            let mut flipped = unit.to_vec();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            let _ = (Sps::parse(&flipped), Vps::parse(&flipped), record.updated([&*flipped]));
        }
    }
}
