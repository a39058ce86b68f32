//! H.264 (ITU-T H.264, ISO/IEC 14496-10), as far as a server must look into it: the size and rate
//! in the SPS, the decoder configuration record, and at which frames a player can begin.

mod access_unit;
mod avcc;
mod sps;

pub use access_unit::AccessUnit;
pub use avcc::Avcc;
pub use sps::Sps;

/// nal_unit_type (ITU-T H.264, section 7.4.1, table 7-1), as far as it is named here.
pub mod nal_type {
    /// Coded slice of an IDR picture.
    pub const IDR_SLICE: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
    /// Sequence parameter set extension.
    pub const SPS_EXT: u8 = 13;
}

/// The NAL header: forbidden_zero_bit, nal_ref_idc, nal_unit_type (section 7.3.1).
const NAL_HEADER_LEN: usize = 1;

/// nal_unit_type of a NAL unit; 0, which is unspecified, of an empty one.
pub fn nal_unit_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}

#[cfg(test)]
mod tests;
