//! AMF0 values: no panic, and what is written reads back as the same bytes.
#![cfg_attr(fuzzing, no_main)]

use media::container::flv::amf0;
use media::container::flv::metadata::Metadata;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// Text that is not UTF-8 triples when it is read, so that longer input may come to be refused.
const LENGTH_MAX: usize = 16 * 1024;

pub fn run(data: &[u8]) {
    let Ok(values) = amf0::parse_all(data) else { return };
    let _ = Metadata::from_message(&values);
    if data.len() > LENGTH_MAX {
        return;
    }

    let mut once = Vec::new();
    values.iter().for_each(|value| amf0::write(value, &mut once));
    let mut twice = Vec::new();
    let again = amf0::parse_all(&once).expect("what was written can be read");
    again.iter().for_each(|value| amf0::write(value, &mut twice));

    // Bytes, not values, because a number may be NaN.
    assert_eq!(once, twice);
}
