//! profile_tier_level (ITU-T H.265, section 7.3.3): the same bytes in VPS, SPS and hvcC.

use crate::bits::BitReader;
use crate::codec::Error;

/// Profile, tier and level of the whole stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// general_profile_space, 0 in every stream that follows the specification.
    pub profile_space: u8,
    /// general_tier_flag: High tier, else Main tier.
    pub is_high_tier: bool,
    /// general_profile_idc: 1 Main, 2 Main 10.
    pub profile_idc: u8,
    /// general_profile_compatibility_flag, the first in the highest bit.
    pub compatibility_flags: u32,
    /// The 48 bits of general_progressive_source_flag and those behind it.
    pub constraint_flags: [u8; 6],
    /// Thirty times the level.
    pub level_idc: u8,
}

impl ProfileTierLevel {
    /// The part that hvcC has too, up to and without the level.
    pub(super) fn parse_profile(bits: &mut BitReader<'_>) -> Result<Self, Error> {
        let mut parsed = Self {
            profile_space: bits.u8(2, "general_profile_space")?,
            is_high_tier: bits.flag("general_tier_flag")?,
            profile_idc: bits.u8(5, "general_profile_idc")?,
            compatibility_flags: bits.u(32, "general_profile_compatibility_flag")?,
            ..Self::default()
        };
        for byte in &mut parsed.constraint_flags {
            *byte = bits.u8(8, "general_constraint_flags")?;
        }
        Ok(parsed)
    }

    /// Reads the structure with profilePresentFlag set, and skips the sub-layers.
    pub(super) fn parse(bits: &mut BitReader<'_>, sub_layers_minus1: u8) -> Result<Self, Error> {
        let mut parsed = Self::parse_profile(bits)?;
        parsed.level_idc = bits.u8(8, "general_level_idc")?;
        let mut skipped = 0;
        for _ in 0..sub_layers_minus1 {
            // 2 + 1 + 5 + 32 + 48 bits of profile, 8 of level.
            skipped += if bits.flag("sub_layer_profile_present_flag")? { 88 } else { 0 };
            skipped += if bits.flag("sub_layer_level_present_flag")? { 8 } else { 0 };
        }
        if sub_layers_minus1 > 0 {
            bits.skip(2 * usize::from(8 - sub_layers_minus1), "reserved_zero_2bits")?;
        }
        bits.skip(skipped, "sub-layer profile and level")?;
        Ok(parsed)
    }

    /// The bytes as in hvcC, level included.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let tier = u8::from(self.is_high_tier) << 5;
        out.push(self.profile_space << 6 | tier | self.profile_idc & 0x1f);
        out.extend(self.compatibility_flags.to_be_bytes());
        out.extend(self.constraint_flags);
        out.push(self.level_idc);
    }
}
