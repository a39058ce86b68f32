//! The configs that encoders send, there and back; program config elements; refusals.

use super::*;
use crate::bits::BitWriter;
use crate::codec::Error;
use crate::testing::{bytes, each_truncation};

fn sbr(sample_rate: u32, has_ps: bool, signalling: SbrSignalling) -> Option<Sbr> {
    Some(Sbr { sample_rate, has_ps, signalling })
}

fn config(object_type: u8, rate: u32, channels: u8, sbr: Option<Sbr>) -> AudioSpecificConfig {
    AudioSpecificConfig {
        sbr,
        ..AudioSpecificConfig::new(object_type, rate, channels).expect("a known layout")
    }
}

#[test]
fn reads_and_writes_configs() {
    use SbrSignalling::{BackwardCompatible, Hierarchical};
    let cases = [
        ("LC 44.1 kHz stereo", "1210", config(2, 44_100, 2, None)),
        ("LC 48 kHz mono", "1188", config(2, 48_000, 1, None)),
        ("LC 48 kHz 5.1", "11b0", config(2, 48_000, 6, None)),
        ("Main 8 kHz mono", "0d88", config(1, 8_000, 1, None)),
        ("LC 44.84 kHz mono", "1780579408", config(2, 44_840, 1, None)),
        ("HE-AAC in front", "2b920800", { config(2, 22_050, 2, sbr(44_100, false, Hierarchical)) }),
        ("HE-AAC v2 in front", "eb8a0800", config(2, 22_050, 1, sbr(44_100, true, Hierarchical))),
        ("HE-AAC behind", "139056e5a0", {
            config(2, 22_050, 2, sbr(44_100, false, BackwardCompatible))
        }),
        ("HE-AAC v2 behind", "138856e5a54880", {
            config(2, 22_050, 1, sbr(44_100, true, BackwardCompatible))
        }),
    ];
    for (name, hex, config) in cases {
        assert_eq!(AudioSpecificConfig::parse(&bytes(hex)), Ok(config.clone()), "{name}");
        assert_eq!(config.write(), Some(bytes(hex)), "{name}");
    }
}

#[test]
fn tells_what_comes_out_of_the_decoder() {
    for (hex, rate, channels) in [
        ("1210", 44_100, 2),
        ("2b920800", 44_100, 2),
        ("eb8a0800", 44_100, 2),
        ("138856e5a54880", 44_100, 2),
        ("139056e5a0", 44_100, 2),
    ] {
        let config = AudioSpecificConfig::parse(&bytes(hex)).unwrap();

        assert_eq!((config.output_sample_rate(), config.output_channels()), (rate, channels));
    }
}

#[test]
fn ignores_what_follows_a_config() {
    for (name, hex) in [
        ("SBR said to be absent", "119056e500"),
        ("zeros", "11900000000000"),
        ("half an extension", "119056e5"),
        ("other extension", "1190ffffffff"),
    ] {
        let config = AudioSpecificConfig::parse(&bytes(hex)).unwrap();

        assert_eq!(config, AudioSpecificConfig::new(2, 48_000, 2).unwrap(), "{name}");
    }
}

#[test]
fn counts_the_channels_of_a_program_config() {
    // LC 48 kHz, configuration 0, then: 1 single and 1 pair in front, 1 pair at the back, 1 LFE,
    // no mixdown, tags, alignment, comment "Lavc".
    let mut bits = BitWriter::new();
    for (width, value) in [(5, 2), (4, 3), (4, 0), (3, 0)] {
        bits.u(width, value);
    }
    for (width, value) in [(4, 0), (2, 1), (4, 3), (4, 2), (4, 0), (4, 1), (2, 1), (3, 0), (4, 0)] {
        bits.u(width, value);
    }
    bits.u(3, 0);
    for is_pair in [0, 1, 1] {
        bits.u(1, is_pair);
        bits.u(4, 0);
    }
    bits.u(4, 0);
    let mut sample = bits.finish();
    sample.extend(b"\x04Lavc");

    let config = AudioSpecificConfig::parse(&sample).unwrap();

    assert_eq!((config.channels, config.channel_configuration), (6, 0));
    assert_eq!(config.write(), None);
    each_truncation(&sample, |cut| {
        let result = AudioSpecificConfig::parse(cut);
        assert!(matches!(result, Err(Error::Truncated { .. })), "{cut:02x?}: {result:?}");
    });
}

#[test]
fn reads_object_types_beyond_31() {
    // 31 + 7 = 39, ER AAC ELD; 48 kHz; stereo.
    let config = AudioSpecificConfig::parse(&bytes("f8e640")).unwrap();

    assert_eq!((config.object_type, config.sample_rate, config.channels), (39, 48_000, 2));
    assert_eq!(config.write(), None);
}

#[test]
fn knows_the_frame_length_of_low_delay() {
    assert_eq!(AudioSpecificConfig::parse(&bytes("b990")).unwrap().frame_samples, 512);
    assert_eq!(AudioSpecificConfig::parse(&bytes("b994")).unwrap().frame_samples, 480);
    assert_eq!(AudioSpecificConfig::parse(&bytes("1214")).unwrap().frame_samples, 960);
}

#[test]
fn refuses_reserved_values() {
    for (hex, field) in [
        ("1690", "samplingFrequencyIndex"),
        ("1780000010", "samplingFrequencyIndex"),
        ("11c8", "channelConfiguration"),
        ("fbe700", "channelConfiguration"),
    ] {
        let result = AudioSpecificConfig::parse(&bytes(hex));

        assert!(
            matches!(result, Err(Error::Invalid { field: found, .. }) if found == field),
            "{hex}: {result:?}"
        );
    }
}

#[test]
fn refuses_every_truncation_of_a_core() {
    for hex in ["1210", "1780579408", "2b9208"] {
        each_truncation(&bytes(hex), |cut| {
            assert!(AudioSpecificConfig::parse(cut).is_err(), "{hex} cut to {}", cut.len());
        });
    }
}
