//! H.265: no panic, and records that read back the same.
#![cfg_attr(fuzzing, no_main)]

use media::codec::codec_string;
use media::codec::h265::{AccessUnit, Hvcc, Sps, Vps};
use media::codec::nal::{self, LengthSize};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if let Ok(sps) = Sps::parse(data) {
        assert!(sps.width > 0 && sps.height > 0);
        let _ = codec_string::hvc1(&sps.profile_tier_level);
    }
    let _ = Vps::parse(data);

    if let Ok(record) = Hvcc::parse(data) {
        let mut written = Vec::new();
        record.write(&mut written);
        assert_eq!(Hvcc::parse(&written).as_ref(), Ok(&record));
        let units = record.arrays.iter().flat_map(|array| &array.units).map(Vec::as_slice);
        let _ = (Hvcc::from_parameter_sets(units), record.updated([data]));
    }

    for length_size in [LengthSize::One, LengthSize::Two, LengthSize::Three, LengthSize::Four] {
        if let Ok(facts) = AccessUnit::parse(data, length_size) {
            let sets = facts.parameter_sets.into_iter().map(|range| &data[range]);
            let _ = Hvcc::from_parameter_sets(sets);
        }
    }

    let units = nal::annex_b_units(data).map(|unit| unit.data);
    if let Some(record) = Hvcc::from_parameter_sets(units) {
        let sets = record.arrays.iter().flat_map(|array| &array.units).map(Vec::as_slice);
        assert_eq!(record.updated(sets), None);
    }
}
