//! What one frame is, from its NAL headers and short messages; slices are not read.

use std::ops::Range;

use super::{NAL_HEADER_LEN, nal_type, nal_unit_type};
use crate::codec::Error;
use crate::codec::nal::{LengthSize, has_recovery_point, units};

/// How many parameter sets of one frame are listed: 32. Encoders send two or three; more are left
/// out, which a hostile frame made of nothing else deserves.
const PARAMETER_SETS_MAX: usize = 32;

/// The facts of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// Has an IDR slice: a player can begin here, and nothing before is referred to.
    pub is_idr: bool,
    /// Has a recovery point message: a player can begin here, though with intra refresh it may
    /// take some frames until the picture is whole (ITU-T H.264, section D.2.8).
    pub has_recovery_point: bool,
    /// Has an access unit delimiter.
    pub has_aud: bool,
    /// Where SPS, SPS extension and PPS lie in the frame, in order.
    pub parameter_sets: Vec<Range<usize>>,
}

impl AccessUnit {
    /// Looks through the NAL units of a frame.
    ///
    /// # Errors
    ///
    /// When a length goes beyond the frame.
    pub fn parse(frame: &[u8], length_size: LengthSize) -> Result<Self, Error> {
        let mut facts = Self::default();
        for unit in units(frame, length_size) {
            let unit = unit?;
            match nal_unit_type(unit.data) {
                nal_type::IDR_SLICE => facts.is_idr = true,
                nal_type::SEI => {
                    facts.has_recovery_point |= has_recovery_point(unit.data, NAL_HEADER_LEN);
                }
                nal_type::SPS | nal_type::SPS_EXT | nal_type::PPS
                    if facts.parameter_sets.len() < PARAMETER_SETS_MAX =>
                {
                    facts.parameter_sets.push(unit.range());
                }
                nal_type::AUD => facts.has_aud = true,
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Whether parameter sets come in band.
    pub fn has_parameter_sets(&self) -> bool {
        !self.parameter_sets.is_empty()
    }
}
