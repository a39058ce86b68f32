//! Codec strings as browsers and playlists want them (RFC 6381, section 3.3; ISO/IEC 14496-15,
//! annex E).

use std::fmt::Write;

use super::aac::{AudioSpecificConfig, SbrSignalling};
use super::h264::Avcc;
use super::h265::ProfileTierLevel;

/// `avc1.64001f`: profile, constraint flags and level in hex.
pub fn avc1(record: &Avcc) -> String {
    let Avcc { profile_idc, constraint_flags, level_idc, .. } = record;
    format!("avc1.{profile_idc:02x}{constraint_flags:02x}{level_idc:02x}")
}

/// `hvc1.1.6.L93.B0`: profile, compatibility with the first flag in the lowest bit, tier and level,
/// constraint bytes without the zeros at the end.
pub fn hvc1(profile: &ProfileTierLevel) -> String {
    let space = match profile.profile_space {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let tier = if profile.is_high_tier { 'H' } else { 'L' };
    let mut text = format!(
        "hvc1.{space}{}.{:X}.{tier}{}",
        profile.profile_idc,
        profile.compatibility_flags.reverse_bits(),
        profile.level_idc,
    );
    let zeros = profile.constraint_flags.iter().rev().take_while(|byte| **byte == 0).count();
    for byte in profile.constraint_flags.iter().take(profile.constraint_flags.len() - zeros) {
        // Writing to a string cannot fail.
        let _ = write!(text, ".{byte:X}");
    }
    text
}

/// `mp4a.40.2`: the object type, that of SBR or PS when the config begins with it.
pub fn mp4a(config: &AudioSpecificConfig) -> String {
    let object_type = match config.sbr {
        Some(sbr) if sbr.signalling == SbrSignalling::Hierarchical => {
            if sbr.has_ps {
                29
            } else {
                5
            }
        }
        _ => config.object_type,
    };
    format!("mp4a.40.{object_type}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bytes;

    #[test]
    fn names_codecs_as_browsers_do() {
        let avcc = Avcc::parse(&bytes("01 64001f ff e0 00")).unwrap();
        assert_eq!(avc1(&avcc), "avc1.64001f");

        let main = ProfileTierLevel {
            profile_idc: 1,
            compatibility_flags: 0x6000_0000,
            constraint_flags: [0xb0, 0, 0, 0, 0, 0],
            level_idc: 93,
            ..ProfileTierLevel::default()
        };
        assert_eq!(hvc1(&main), "hvc1.1.6.L93.B0");
        let range_extensions = ProfileTierLevel {
            profile_space: 1,
            is_high_tier: true,
            profile_idc: 4,
            compatibility_flags: 0x0800_0000,
            constraint_flags: [0x9d, 0, 8, 0, 0, 0],
            level_idc: 120,
        };
        assert_eq!(hvc1(&range_extensions), "hvc1.A4.10.H120.9D.0.8");

        for (hex, text) in
            [("1210", "mp4a.40.2"), ("2b920800", "mp4a.40.5"), ("eb8a0800", "mp4a.40.29")]
        {
            assert_eq!(mp4a(&AudioSpecificConfig::parse(&bytes(hex)).unwrap()), text);
        }
    }
}
