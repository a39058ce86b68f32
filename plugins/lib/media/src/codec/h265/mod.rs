//! H.265 (ITU-T H.265, ISO/IEC 23008-2), as far as a server must look into it: the size and rate
//! in SPS and VPS, the decoder configuration record, and at which frames a player can begin.

mod access_unit;
mod hvcc;
mod profile;
mod sps;
mod vps;

pub use access_unit::AccessUnit;
pub use hvcc::{Array, Hvcc};
pub use profile::ProfileTierLevel;
pub use sps::Sps;
pub use vps::Vps;

/// nal_unit_type (ITU-T H.265, section 7.4.2.2, table 7-1), as far as it is named here.
pub mod nal_type {
    /// RASL_N and RASL_R: skipped leading pictures, not decodable after a start at their CRA.
    pub const RASL_N: u8 = 8;
    /// See [`RASL_N`].
    pub const RASL_R: u8 = 9;
    /// BLA_W_LP, the first of the broken link pictures.
    pub const BLA_W_LP: u8 = 16;
    /// BLA_N_LP, the last of them.
    pub const BLA_N_LP: u8 = 18;
    /// IDR_W_RADL.
    pub const IDR_W_RADL: u8 = 19;
    /// IDR_N_LP.
    pub const IDR_N_LP: u8 = 20;
    /// Clean random access picture.
    pub const CRA: u8 = 21;
    /// The last type reserved for pictures at which decoding can begin.
    pub const RESERVED_IRAP_LAST: u8 = 23;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
    /// Supplemental enhancement information before the picture.
    pub const PREFIX_SEI: u8 = 39;
}

/// The NAL header: forbidden_zero_bit, nal_unit_type, nuh_layer_id, nuh_temporal_id_plus1
/// (section 7.3.1.2).
const NAL_HEADER_LEN: usize = 2;

/// nal_unit_type of a NAL unit; `None` when the header is not whole.
pub fn nal_unit_type(unit: &[u8]) -> Option<u8> {
    unit.first_chunk::<NAL_HEADER_LEN>().map(|[first, _]| first >> 1 & 0x3f)
}

/// nuh_layer_id, 0 for all but scalable and multi-view streams.
fn layer_id(unit: &[u8]) -> u8 {
    unit.first_chunk::<NAL_HEADER_LEN>().map_or(0, |[first, second]| (first & 1) << 5 | second >> 3)
}

#[cfg(test)]
mod tests;
