//! Video parameter set: the frame rate, which some encoders tell here and not in the SPS
//! (ITU-T H.265, section 7.3.2.1).

use super::{NAL_HEADER_LEN, ProfileTierLevel};
use crate::bits::BitReader;
use crate::codec::nal::unescape_parameter_set;
use crate::codec::{Error, FrameRate};

/// vps_num_layer_sets_minus1 (section 7.4.3.1).
const LAYER_SETS_MINUS_1_MAX: u32 = 1023;

/// The facts of a video parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vps {
    /// vps_video_parameter_set_id.
    pub id: u8,
    /// Of the base layer.
    pub profile_tier_level: ProfileTierLevel,
    /// From vps_timing_info, when it is there and whole.
    pub frame_rate: Option<FrameRate>,
}

impl Vps {
    /// Parses a VPS NAL unit, header included.
    ///
    /// # Errors
    ///
    /// When it is cut short before the timing, or has values beyond the specification.
    pub fn parse(unit: &[u8]) -> Result<Self, Error> {
        let rbsp = unescape_parameter_set(unit, NAL_HEADER_LEN);
        let mut bits = BitReader::new(&rbsp);
        let id = bits.u8(4, "vps_video_parameter_set_id")?;
        bits.skip(2 + 6, "vps_base_layer flags, vps_max_layers_minus1")?;
        let sub_layers_minus1 = bits.u8(3, "vps_max_sub_layers_minus1")?;
        bits.skip(1 + 16, "vps_temporal_id_nesting_flag, vps_reserved_0xffff_16bits")?;
        let profile_tier_level = ProfileTierLevel::parse(&mut bits, sub_layers_minus1)?;
        skip_ordering_info(&mut bits, sub_layers_minus1)?;
        let layer_id_max = usize::from(bits.u8(6, "vps_max_layer_id")?);
        let layer_sets = bits.ue("vps_num_layer_sets_minus1")?;
        if layer_sets > LAYER_SETS_MINUS_1_MAX {
            return Err(Error::Invalid {
                field: "vps_num_layer_sets_minus1",
                value: u64::from(layer_sets),
                offset: bits.offset(),
                section: "ITU-T H.265, section 7.4.3.1",
            });
        }
        for _ in 0..layer_sets {
            bits.skip(layer_id_max + 1, "layer_id_included_flag")?;
        }
        let mut frame_rate = None;
        if bits.flag("vps_timing_info_present_flag")? {
            let num_units_in_tick = u64::from(bits.u(32, "vps_num_units_in_tick")?);
            let time_scale = u64::from(bits.u(32, "vps_time_scale")?);
            frame_rate = FrameRate::new(time_scale, num_units_in_tick);
        }
        Ok(Self { id, profile_tier_level, frame_rate })
    }
}

/// The buffering of each sub-layer; gives the reordering of the highest, which is that of the
/// stream. The same in VPS and SPS.
pub(super) fn skip_ordering_info(
    bits: &mut BitReader<'_>,
    sub_layers_minus1: u8,
) -> Result<u32, Error> {
    let is_for_each = bits.flag("sub_layer_ordering_info_present_flag")?;
    let mut reorder = 0;
    for _ in 0..=if is_for_each { sub_layers_minus1 } else { 0 } {
        bits.ue("max_dec_pic_buffering_minus1")?;
        reorder = bits.ue("max_num_reorder_pics")?;
        bits.ue("max_latency_increase_plus1")?;
    }
    Ok(reorder)
}
