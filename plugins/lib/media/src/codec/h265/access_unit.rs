//! What one frame is, from its NAL headers and short messages; slices are not read.

use std::ops::Range;

use super::{NAL_HEADER_LEN, layer_id, nal_type, nal_unit_type};
use crate::codec::Error;
use crate::codec::nal::{LengthSize, has_recovery_point, units};

/// How many parameter sets of one frame are listed: 32. Encoders send three or four; more are left
/// out, which a hostile frame made of nothing else deserves.
const PARAMETER_SETS_MAX: usize = 32;

/// The facts of a frame. Layers above the base are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// Is an IDR picture: a player can begin here, and nothing before is referred to.
    pub is_idr: bool,
    /// Is any picture at which a player can begin: IDR, CRA or BLA.
    pub is_irap: bool,
    /// Is a clean random access picture. Leading pictures that follow it may refer to what came
    /// before, see [`Self::is_rasl`].
    pub is_cra: bool,
    /// Is a broken link picture.
    pub is_bla: bool,
    /// Is a leading picture that a player which begins at the CRA before it cannot decode.
    pub is_rasl: bool,
    /// Has a recovery point message: a player can begin here, though with intra refresh it may
    /// take some frames until the picture is whole (ITU-T H.265, section D.3.8).
    pub has_recovery_point: bool,
    /// Has an access unit delimiter.
    pub has_aud: bool,
    /// Where VPS, SPS and PPS lie in the frame, in order.
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
            if layer_id(unit.data) != 0 {
                continue;
            }
            match nal_unit_type(unit.data) {
                Some(nal_type::RASL_N | nal_type::RASL_R) => facts.is_rasl = true,
                Some(kind @ nal_type::BLA_W_LP..=nal_type::RESERVED_IRAP_LAST) => {
                    facts.is_irap = true;
                    facts.is_bla |= kind <= nal_type::BLA_N_LP;
                    facts.is_idr |= matches!(kind, nal_type::IDR_W_RADL | nal_type::IDR_N_LP);
                    facts.is_cra |= kind == nal_type::CRA;
                }
                Some(nal_type::VPS..=nal_type::PPS)
                    if facts.parameter_sets.len() < PARAMETER_SETS_MAX =>
                {
                    facts.parameter_sets.push(unit.range());
                }
                Some(nal_type::AUD) => facts.has_aud = true,
                Some(nal_type::PREFIX_SEI) => {
                    facts.has_recovery_point |= has_recovery_point(unit.data, NAL_HEADER_LEN);
                }
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
