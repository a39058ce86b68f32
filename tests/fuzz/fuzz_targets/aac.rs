//! AudioSpecificConfig: no panic, and what is written reads back the same.
#![cfg_attr(fuzzing, no_main)]

use media::codec::aac::AudioSpecificConfig;
use media::codec::codec_string;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let Ok(config) = AudioSpecificConfig::parse(data) else { return };
    assert!(config.sample_rate > 0 && config.channels > 0 && config.frame_samples > 0);
    let _ = codec_string::mp4a(&config);
    if let Some(written) = config.write() {
        assert_eq!(AudioSpecificConfig::parse(&written), Ok(config));
    }
}
