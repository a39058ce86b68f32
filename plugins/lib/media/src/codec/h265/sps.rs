//! Sequence parameter set: size and rate (ITU-T H.265, sections 7.3.2.2 and E.2.1).
//!
//! The rate stands near the end, behind lists whose lengths depend on each other, so all of them
//! must be walked. What is behind the size reads as unknown when it is malformed.

use super::vps::skip_ordering_info;
use super::{NAL_HEADER_LEN, ProfileTierLevel, layer_id};
use crate::bits::BitReader;
use crate::codec::nal::unescape_parameter_set;
use crate::codec::{DIMENSION_MAX, Error, FrameRate};

/// sps_seq_parameter_set_id (section 7.4.3.2.1).
const SPS_ID_MAX: u32 = 15;

/// log2_max_pic_order_cnt_lsb_minus4 (section 7.4.3.2.1).
const LOG2_MAX_POC_LSB_MINUS_4_MAX: u32 = 12;

/// num_short_term_ref_pic_sets (section 7.4.3.2.1).
const SHORT_TERM_SETS_MAX: u32 = 64;

/// num_negative_pics and num_positive_pics are at most the size of the picture buffer, 16
/// (sections 7.4.8 and A.4.2).
const REFERENCE_PICTURES_MAX: u32 = 16;

/// num_long_term_ref_pics_sps (section 7.4.3.2.1).
const LONG_TERM_PICTURES_MAX: u32 = 32;

/// cpb_cnt_minus1 (section E.3.2).
const CPB_COUNT_MINUS_1_MAX: u32 = 31;

/// aspect_ratio_idc that is followed by a ratio (section E.3.1, table E.1).
const EXTENDED_SAR: u8 = 255;

/// The facts of a sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// sps_seq_parameter_set_id.
    pub id: u8,
    /// sps_max_sub_layers_minus1 + 1.
    pub temporal_layers: u8,
    /// sps_temporal_id_nesting_flag: players may switch up between temporal layers anywhere.
    pub is_temporal_id_nested: bool,
    /// Profile, tier and level.
    pub profile_tier_level: ProfileTierLevel,
    /// 0 monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format_idc: u8,
    /// Of luma samples.
    pub bit_depth_luma: u8,
    /// Of chroma samples.
    pub bit_depth_chroma: u8,
    /// Of the picture to show, in pixels.
    pub width: u32,
    /// Of the picture to show, in pixels.
    pub height: u32,
    /// By how many frames the order of presentation may differ from the order of decoding.
    pub reorder_frames: u32,
    /// From the timing in the VUI. Encoders lie in it.
    pub frame_rate: Option<FrameRate>,
    /// min_spatial_segmentation_idc of the VUI, which hvcC repeats.
    pub min_spatial_segmentation_idc: u16,
}

impl Sps {
    /// Parses a SPS NAL unit of the base layer, header included.
    ///
    /// # Errors
    ///
    /// When the part up to the reordering is cut short or has values beyond the specification.
    pub fn parse(unit: &[u8]) -> Result<Self, Error> {
        let rbsp = unescape_parameter_set(unit, NAL_HEADER_LEN);
        let mut bits = BitReader::new(&rbsp);
        // Above the base layer the syntax differs (annex F).
        let layer = layer_id(unit);
        if layer != 0 {
            return Err(invalid(&bits, "nuh_layer_id", u64::from(layer)));
        }
        bits.skip(4, "sps_video_parameter_set_id")?;
        let sub_layers_minus1 = bits.u8(3, "sps_max_sub_layers_minus1")?;
        let is_temporal_id_nested = bits.flag("sps_temporal_id_nesting_flag")?;
        let profile_tier_level = ProfileTierLevel::parse(&mut bits, sub_layers_minus1)?;
        let id = at_most(&mut bits, "sps_seq_parameter_set_id", SPS_ID_MAX)?;
        let chroma_format_idc = at_most(&mut bits, "chroma_format_idc", 3)?;
        if chroma_format_idc == 3 {
            bits.flag("separate_colour_plane_flag")?;
        }
        let (width, height) = read_size(&mut bits, chroma_format_idc)?;
        let bit_depth_luma = 8 + at_most(&mut bits, "bit_depth_luma_minus8", 8)?;
        let bit_depth_chroma = 8 + at_most(&mut bits, "bit_depth_chroma_minus8", 8)?;
        let poc_lsb_bits = 4 + at_most(
            &mut bits,
            "log2_max_pic_order_cnt_lsb_minus4",
            LOG2_MAX_POC_LSB_MINUS_4_MAX,
        )?;
        let reorder_frames = skip_ordering_info(&mut bits, sub_layers_minus1)?;
        let mut sps = Self {
            id,
            temporal_layers: sub_layers_minus1 + 1,
            is_temporal_id_nested,
            profile_tier_level,
            chroma_format_idc,
            bit_depth_luma,
            bit_depth_chroma,
            width,
            height,
            reorder_frames,
            frame_rate: None,
            min_spatial_segmentation_idc: 0,
        };
        // What was read before an error stays.
        let _ = sps.read_tools(&mut bits, poc_lsb_bits, sub_layers_minus1);
        Ok(sps)
    }

    /// Walks over the coding tools to the VUI.
    fn read_tools(
        &mut self,
        bits: &mut BitReader<'_>,
        poc_lsb_bits: u8,
        sub_layers_minus1: u8,
    ) -> Result<(), Error> {
        for field in [
            "log2_min_luma_coding_block_size_minus3",
            "log2_diff_max_min_luma_coding_block_size",
            "log2_min_luma_transform_block_size_minus2",
            "log2_diff_max_min_luma_transform_block_size",
            "max_transform_hierarchy_depth_inter",
            "max_transform_hierarchy_depth_intra",
        ] {
            bits.ue(field)?;
        }
        if bits.flag("scaling_list_enabled_flag")?
            && bits.flag("sps_scaling_list_data_present_flag")?
        {
            skip_scaling_lists(bits)?;
        }
        bits.skip(2, "amp_enabled_flag, sample_adaptive_offset_enabled_flag")?;
        if bits.flag("pcm_enabled_flag")? {
            bits.skip(4 + 4, "pcm_sample_bit_depth")?;
            bits.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
            bits.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
            bits.flag("pcm_loop_filter_disabled_flag")?;
        }
        skip_short_term_sets(bits)?;
        if bits.flag("long_term_ref_pics_present_flag")? {
            let count = at_most(bits, "num_long_term_ref_pics_sps", LONG_TERM_PICTURES_MAX)?;
            for _ in 0..count {
                bits.skip(usize::from(poc_lsb_bits) + 1, "lt_ref_pic_poc_lsb_sps")?;
            }
        }
        bits.skip(2, "sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag")?;
        if bits.flag("vui_parameters_present_flag")? {
            self.read_vui(bits, sub_layers_minus1)?;
        }
        Ok(())
    }

    /// vui_parameters (section E.2.1).
    fn read_vui(&mut self, bits: &mut BitReader<'_>, sub_layers_minus1: u8) -> Result<(), Error> {
        if bits.flag("aspect_ratio_info_present_flag")?
            && bits.u8(8, "aspect_ratio_idc")? == EXTENDED_SAR
        {
            bits.skip(32, "sar_width, sar_height")?;
        }
        if bits.flag("overscan_info_present_flag")? {
            bits.flag("overscan_appropriate_flag")?;
        }
        if bits.flag("video_signal_type_present_flag")? {
            bits.skip(3 + 1, "video_format, video_full_range_flag")?;
            if bits.flag("colour_description_present_flag")? {
                bits.skip(24, "colour_primaries and others")?;
            }
        }
        if bits.flag("chroma_loc_info_present_flag")? {
            bits.ue("chroma_sample_loc_type_top_field")?;
            bits.ue("chroma_sample_loc_type_bottom_field")?;
        }
        bits.skip(3, "neutral_chroma, field_seq and frame_field_info flags")?;
        // The default display window is advice for a cropped presentation: the size stays.
        if bits.flag("default_display_window_flag")? {
            for _ in 0..4 {
                bits.ue("def_disp_win_offset")?;
            }
        }
        if bits.flag("vui_timing_info_present_flag")? {
            let num_units_in_tick = u64::from(bits.u(32, "vui_num_units_in_tick")?);
            let time_scale = u64::from(bits.u(32, "vui_time_scale")?);
            self.frame_rate = FrameRate::new(time_scale, num_units_in_tick);
            if bits.flag("vui_poc_proportional_to_timing_flag")? {
                bits.ue("vui_num_ticks_poc_diff_one_minus1")?;
            }
            if bits.flag("vui_hrd_parameters_present_flag")? {
                skip_hrd(bits, sub_layers_minus1)?;
            }
        }
        if bits.flag("bitstream_restriction_flag")? {
            bits.skip(3, "tiles_fixed_structure_flag and others")?;
            let segmentation = bits.ue("min_spatial_segmentation_idc")?;
            // At most 4095 (section E.3.1).
            self.min_spatial_segmentation_idc =
                u16::try_from(segmentation).map_or(0, |value| value.min(4095));
        }
        Ok(())
    }
}

/// Reads `ue(v)` and refuses more than `max`, which is at most 255.
fn at_most(bits: &mut BitReader<'_>, field: &'static str, max: u32) -> Result<u8, Error> {
    let value = bits.ue(field)?;
    match u8::try_from(value) {
        Ok(small) if value <= max => Ok(small),
        _ => Err(invalid(bits, field, u64::from(value))),
    }
}

fn invalid(bits: &BitReader<'_>, field: &'static str, value: u64) -> Error {
    let section = "ITU-T H.265, section 7.4.3.2.1";
    Error::Invalid { field, value, offset: bits.offset(), section }
}

/// Size less the conformance window, whose unit is that of chroma (section 7.4.3.2.1).
fn read_size(bits: &mut BitReader<'_>, chroma_format_idc: u8) -> Result<(u32, u32), Error> {
    let width = u64::from(bits.ue("pic_width_in_luma_samples")?);
    let height = u64::from(bits.ue("pic_height_in_luma_samples")?);
    let mut window = [0; 4];
    if bits.flag("conformance_window_flag")? {
        for (slot, field) in window.iter_mut().zip([
            "conf_win_left_offset",
            "conf_win_right_offset",
            "conf_win_top_offset",
            "conf_win_bottom_offset",
        ]) {
            *slot = u64::from(bits.ue(field)?);
        }
    }
    let [left, right, top, bottom] = window;
    // SubWidthC and SubHeightC (table 6-1).
    let (sub_width, sub_height) = match chroma_format_idc {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let shown = |pixels: u64, cropped: u64, field| {
        let pixels = pixels.saturating_sub(cropped);
        match u32::try_from(pixels) {
            Ok(pixels) if (1..=DIMENSION_MAX).contains(&pixels) => Ok(pixels),
            _ => Err(invalid(bits, field, pixels)),
        }
    };
    Ok((
        shown(width, (left + right) * sub_width, "width in pixels")?,
        shown(height, (top + bottom) * sub_height, "height in pixels")?,
    ))
}

/// scaling_list_data (section 7.3.4): of the largest size, only two of six lists are told.
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Result<(), Error> {
    for (lists, coefficients, has_dc) in
        [(6, 16, false), (6, 64, false), (6, 64, true), (2, 64, true)]
    {
        for _ in 0..lists {
            if !bits.flag("scaling_list_pred_mode_flag")? {
                bits.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if has_dc {
                bits.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..coefficients {
                bits.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// One st_ref_pic_set after the other; each may be told as a change of the one before
/// (section 7.3.7).
fn skip_short_term_sets(bits: &mut BitReader<'_>) -> Result<(), Error> {
    let count = at_most(bits, "num_short_term_ref_pic_sets", SHORT_TERM_SETS_MAX)?;
    let mut pictures = 0;
    for index in 0..count {
        pictures = if index > 0 && bits.flag("inter_ref_pic_set_prediction_flag")? {
            predicted_set(bits, pictures)?
        } else {
            explicit_set(bits)?
        };
    }
    Ok(())
}

/// NumDeltaPocs of a set that changes one of `reference` pictures (equations 7-61 and 7-62). A
/// picture that would come to a distance of zero counts here and not there: no encoder keeps one.
fn predicted_set(bits: &mut BitReader<'_>, reference: u32) -> Result<u32, Error> {
    bits.flag("delta_rps_sign")?;
    bits.ue("abs_delta_rps_minus1")?;
    let mut pictures = 0;
    for _ in 0..=reference {
        let is_used = bits.flag("used_by_curr_pic_flag")?;
        if is_used || bits.flag("use_delta_flag")? {
            pictures += 1;
        }
    }
    Ok(pictures)
}

/// NumDeltaPocs of a set that lists its pictures.
fn explicit_set(bits: &mut BitReader<'_>) -> Result<u32, Error> {
    let negative = at_most(bits, "num_negative_pics", REFERENCE_PICTURES_MAX)?;
    let positive = at_most(bits, "num_positive_pics", REFERENCE_PICTURES_MAX)?;
    let pictures = u32::from(negative) + u32::from(positive);
    for _ in 0..pictures {
        bits.ue("delta_poc_minus1")?;
        bits.flag("used_by_curr_pic_flag")?;
    }
    Ok(pictures)
}

/// hrd_parameters with commonInfPresentFlag set (section E.2.2).
fn skip_hrd(bits: &mut BitReader<'_>, sub_layers_minus1: u8) -> Result<(), Error> {
    let has_nal = bits.flag("nal_hrd_parameters_present_flag")?;
    let has_vcl = bits.flag("vcl_hrd_parameters_present_flag")?;
    let mut has_sub_picture = false;
    if has_nal || has_vcl {
        has_sub_picture = bits.flag("sub_pic_hrd_params_present_flag")?;
        if has_sub_picture {
            bits.skip(8 + 5 + 1 + 5, "sub-picture delays")?;
        }
        bits.skip(4 + 4, "bit_rate_scale, cpb_size_scale")?;
        if has_sub_picture {
            bits.skip(4, "cpb_size_du_scale")?;
        }
        bits.skip(5 + 5 + 5, "delay lengths")?;
    }
    for _ in 0..=sub_layers_minus1 {
        let is_fixed_general = bits.flag("fixed_pic_rate_general_flag")?;
        let is_fixed = is_fixed_general || bits.flag("fixed_pic_rate_within_cvs_flag")?;
        let is_low_delay = if is_fixed {
            bits.ue("elemental_duration_in_tc_minus1")?;
            false
        } else {
            bits.flag("low_delay_hrd_flag")?
        };
        let count = match is_low_delay {
            true => 0,
            false => at_most(bits, "cpb_cnt_minus1", CPB_COUNT_MINUS_1_MAX)?,
        };
        for _ in 0..u8::from(has_nal) + u8::from(has_vcl) {
            skip_sub_layer_hrd(bits, count, has_sub_picture)?;
        }
    }
    Ok(())
}

/// sub_layer_hrd_parameters (section E.2.3).
fn skip_sub_layer_hrd(
    bits: &mut BitReader<'_>,
    count_minus1: u8,
    has_sub_picture: bool,
) -> Result<(), Error> {
    for _ in 0..=count_minus1 {
        bits.ue("bit_rate_value_minus1")?;
        bits.ue("cpb_size_value_minus1")?;
        if has_sub_picture {
            bits.ue("cpb_size_du_value_minus1")?;
            bits.ue("bit_rate_du_value_minus1")?;
        }
        bits.flag("cbr_flag")?;
    }
    Ok(())
}
