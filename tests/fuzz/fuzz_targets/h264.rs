//! H.264 and the framing of NAL units: no panic, and records that read back the same.
#![cfg_attr(fuzzing, no_main)]

use media::codec::codec_string;
use media::codec::h264::{AccessUnit, Avcc, Sps};
use media::codec::nal::{self, LengthSize};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if let Ok(sps) = Sps::parse(data) {
        assert!(sps.width > 0 && sps.height > 0);
    }

    if let Ok(record) = Avcc::parse(data) {
        let mut written = Vec::new();
        record.write(&mut written);
        let again = Avcc::parse(&written).expect("what was written can be read");
        // Extensions are lost when the SPS that decides on their place cannot be read.
        assert_eq!((&again.sps, &again.pps), (&record.sps, &record.pps));
        let _ = codec_string::avc1(&record);
        let _ = record.updated([data]);
    }

    for length_size in [LengthSize::One, LengthSize::Two, LengthSize::Three, LengthSize::Four] {
        if let Ok(facts) = AccessUnit::parse(data, length_size) {
            let sets = facts.parameter_sets.into_iter().map(|range| &data[range]);
            let _ = Avcc::from_parameter_sets(sets);
        }
        let mut rewritten = Vec::new();
        if nal::rewrite_lengths(data, length_size, &mut rewritten).is_ok() {
            let before = nal::units(data, length_size).flatten().map(|unit| unit.data);
            let after = nal::units(&rewritten, LengthSize::Four).flatten().map(|unit| unit.data);
            assert!(before.eq(after));
        }
    }

    let _ = nal::is_annex_b(data);
    let units: Vec<_> = nal::annex_b_units(data).collect();
    for unit in &units {
        assert_eq!(data.get(unit.range()), Some(unit.data));
    }
    let record = Avcc::from_parameter_sets(units.iter().map(|unit| unit.data));
    if let Some(record) = record {
        assert_eq!(record.updated(record.sps.iter().map(Vec::as_slice)), None);
    }
}
