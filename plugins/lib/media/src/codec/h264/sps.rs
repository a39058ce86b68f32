//! Sequence parameter set: size and rate (ITU-T H.264, sections 7.3.2.1.1 and E.1.1).

use super::NAL_HEADER_LEN;
use crate::bits::BitReader;
use crate::codec::nal::unescape_parameter_set;
use crate::codec::{DIMENSION_MAX, Error, FrameRate};

/// Profiles whose SPS has chroma format and scaling lists (section 7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// profile_idc of Baseline, which has no B slices (section A.2.1).
const PROFILE_BASELINE: u8 = 66;

/// seq_parameter_set_id (section 7.4.2.1.1).
const SPS_ID_MAX: u32 = 31;

/// num_ref_frames_in_pic_order_cnt_cycle (section 7.4.2.1.1).
const POC_CYCLE_MAX: u32 = 255;

/// cpb_cnt_minus1 (section E.2.2).
const CPB_COUNT_MINUS_1_MAX: u32 = 31;

/// aspect_ratio_idc that is followed by a ratio (section E.2.1, table E-1).
const EXTENDED_SAR: u8 = 255;

/// The facts of a sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// profile_idc: 66 Baseline, 77 Main, 100 High.
    pub profile_idc: u8,
    /// constraint_set flags and two reserved bits, as on the wire.
    pub constraint_flags: u8,
    /// Ten times the level.
    pub level_idc: u8,
    /// seq_parameter_set_id.
    pub id: u8,
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
    /// Pictures are always frames, never fields.
    pub is_frame_only: bool,
    /// From the timing in the VUI, for frames of two fields each. Encoders lie in it.
    pub frame_rate: Option<FrameRate>,
    /// By how many frames the order of presentation may differ from the order of decoding. 0 means
    /// that there are no B-frames in the way of WebRTC; `None` that the SPS does not tell.
    pub reorder_frames: Option<u32>,
}

/// What chroma and separate planes do to the unit of cropping.
struct Chroma {
    format_idc: u8,
    is_separate: bool,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
}

impl Sps {
    /// Parses a SPS NAL unit, header included.
    ///
    /// What the VUI lacks or gets wrong reads as unknown: some encoders cut it short, and the
    /// picture needs none of it.
    ///
    /// # Errors
    ///
    /// When the part before the VUI is cut short or has values beyond the specification.
    pub fn parse(unit: &[u8]) -> Result<Self, Error> {
        let rbsp = unescape_parameter_set(unit, NAL_HEADER_LEN);
        let mut bits = BitReader::new(&rbsp);
        let profile_idc = bits.u8(8, "profile_idc")?;
        let constraint_flags = bits.u8(8, "constraint_set_flags")?;
        let level_idc = bits.u8(8, "level_idc")?;
        let id = at_most(&mut bits, "seq_parameter_set_id", SPS_ID_MAX)?;
        let chroma = read_chroma(&mut bits, profile_idc)?;
        bits.ue("log2_max_frame_num_minus4")?;
        let order_type = read_picture_order(&mut bits)?;
        bits.ue("max_num_ref_frames")?;
        bits.flag("gaps_in_frame_num_value_allowed_flag")?;
        let size = read_size(&mut bits, &chroma)?;
        let vui = match bits.flag("vui_parameters_present_flag")? {
            true => Vui::read(&mut bits),
            false => Vui::default(),
        };
        // Without B slices or with decoding order as output order (type 2) nothing is reordered.
        let is_in_order = order_type == 2 || profile_idc == PROFILE_BASELINE;
        Ok(Self {
            profile_idc,
            constraint_flags,
            level_idc,
            id,
            chroma_format_idc: chroma.format_idc,
            bit_depth_luma: chroma.bit_depth_luma,
            bit_depth_chroma: chroma.bit_depth_chroma,
            width: size.width,
            height: size.height,
            is_frame_only: size.is_frame_only,
            frame_rate: vui.frame_rate,
            reorder_frames: vui.reorder_frames.or_else(|| is_in_order.then_some(0)),
        })
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
    let section = "ITU-T H.264, section 7.4.2.1.1";
    Error::Invalid { field, value, offset: bits.offset(), section }
}

fn read_chroma(bits: &mut BitReader<'_>, profile_idc: u8) -> Result<Chroma, Error> {
    let mut chroma =
        Chroma { format_idc: 1, is_separate: false, bit_depth_luma: 8, bit_depth_chroma: 8 };
    if !HIGH_PROFILES.contains(&profile_idc) {
        return Ok(chroma);
    }
    chroma.format_idc = at_most(bits, "chroma_format_idc", 3)?;
    if chroma.format_idc == 3 {
        chroma.is_separate = bits.flag("separate_colour_plane_flag")?;
    }
    chroma.bit_depth_luma = 8 + at_most(bits, "bit_depth_luma_minus8", 6)?;
    chroma.bit_depth_chroma = 8 + at_most(bits, "bit_depth_chroma_minus8", 6)?;
    bits.flag("qpprime_y_zero_transform_bypass_flag")?;
    if bits.flag("seq_scaling_matrix_present_flag")? {
        let lists = if chroma.format_idc == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.flag("seq_scaling_list_present_flag")? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(chroma)
}

/// scaling_list (section 7.3.2.1.1.1): a list ends early when a scale becomes 0.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Result<(), Error> {
    let mut scale = 8;
    for _ in 0..size {
        // Scales are modulo 256.
        scale = (scale + bits.se("delta_scale")?.rem_euclid(256)) % 256;
        if scale == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads what tells picture order (section 7.3.2.1.1) and gives pic_order_cnt_type.
fn read_picture_order(bits: &mut BitReader<'_>) -> Result<u8, Error> {
    let order_type = at_most(bits, "pic_order_cnt_type", 2)?;
    match order_type {
        0 => {
            bits.ue("log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            bits.flag("delta_pic_order_always_zero_flag")?;
            bits.se("offset_for_non_ref_pic")?;
            bits.se("offset_for_top_to_bottom_field")?;
            let cycle = at_most(bits, "num_ref_frames_in_pic_order_cnt_cycle", POC_CYCLE_MAX)?;
            for _ in 0..cycle {
                bits.se("offset_for_ref_frame")?;
            }
        }
        _ => {}
    }
    Ok(order_type)
}

struct Size {
    width: u32,
    height: u32,
    is_frame_only: bool,
}

/// Size in macroblocks less cropping (section 7.4.2.1.1, frame_crop_left_offset).
fn read_size(bits: &mut BitReader<'_>, chroma: &Chroma) -> Result<Size, Error> {
    let width_in_mbs = u64::from(bits.ue("pic_width_in_mbs_minus1")?) + 1;
    let height_in_map_units = u64::from(bits.ue("pic_height_in_map_units_minus1")?) + 1;
    let is_frame_only = bits.flag("frame_mbs_only_flag")?;
    if !is_frame_only {
        bits.flag("mb_adaptive_frame_field_flag")?;
    }
    bits.flag("direct_8x8_inference_flag")?;
    let mut crop = [0; 4];
    if bits.flag("frame_cropping_flag")? {
        for (slot, field) in crop.iter_mut().zip([
            "frame_crop_left_offset",
            "frame_crop_right_offset",
            "frame_crop_top_offset",
            "frame_crop_bottom_offset",
        ]) {
            *slot = u64::from(bits.ue(field)?);
        }
    }
    let [left, right, top, bottom] = crop;
    // SubWidthC and SubHeightC; separate planes are cropped as monochrome (table 6-1).
    let (sub_width, sub_height) = match chroma.format_idc {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    debug_assert!(!chroma.is_separate || (sub_width, sub_height) == (1, 1));
    let fields = if is_frame_only { 1 } else { 2 };
    let shown = |blocks: u64, cropped: u64, field| {
        let pixels = (blocks * 16).saturating_sub(cropped);
        match u32::try_from(pixels) {
            Ok(pixels) if (1..=DIMENSION_MAX).contains(&pixels) => Ok(pixels),
            _ => Err(invalid(bits, field, pixels)),
        }
    };
    Ok(Size {
        width: shown(width_in_mbs, (left + right) * sub_width, "width in pixels")?,
        height: shown(
            height_in_map_units * fields,
            (top + bottom) * sub_height * fields,
            "height in pixels",
        )?,
        is_frame_only,
    })
}

/// What the video usability information tells (section E.1.1).
#[derive(Default)]
struct Vui {
    frame_rate: Option<FrameRate>,
    reorder_frames: Option<u32>,
}

impl Vui {
    /// Reads as far as it goes.
    fn read(bits: &mut BitReader<'_>) -> Self {
        let mut vui = Self::default();
        // What was read before an error stays.
        let _ = vui.fill(bits);
        vui
    }

    fn fill(&mut self, bits: &mut BitReader<'_>) -> Result<(), Error> {
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
        if bits.flag("timing_info_present_flag")? {
            let num_units_in_tick = u64::from(bits.u(32, "num_units_in_tick")?);
            let time_scale = u64::from(bits.u(32, "time_scale")?);
            bits.flag("fixed_frame_rate_flag")?;
            // A tick is a field, so a frame takes two (section E.2.1).
            self.frame_rate = match time_scale % 2 {
                0 => FrameRate::new(time_scale / 2, num_units_in_tick),
                _ => FrameRate::new(time_scale, num_units_in_tick * 2),
            };
        }
        let has_nal_hrd = bits.flag("nal_hrd_parameters_present_flag")?;
        if has_nal_hrd {
            skip_hrd(bits)?;
        }
        let has_vcl_hrd = bits.flag("vcl_hrd_parameters_present_flag")?;
        if has_vcl_hrd {
            skip_hrd(bits)?;
        }
        if has_nal_hrd || has_vcl_hrd {
            bits.flag("low_delay_hrd_flag")?;
        }
        bits.flag("pic_struct_present_flag")?;
        if bits.flag("bitstream_restriction_flag")? {
            bits.flag("motion_vectors_over_pic_boundaries_flag")?;
            for field in [
                "max_bytes_per_pic_denom",
                "max_bits_per_mb_denom",
                "log2_max_mv_length_horizontal",
                "log2_max_mv_length_vertical",
            ] {
                bits.ue(field)?;
            }
            self.reorder_frames = Some(bits.ue("max_num_reorder_frames")?);
        }
        Ok(())
    }
}

/// hrd_parameters (section E.1.2).
fn skip_hrd(bits: &mut BitReader<'_>) -> Result<(), Error> {
    let count = at_most(bits, "cpb_cnt_minus1", CPB_COUNT_MINUS_1_MAX)?;
    bits.skip(4 + 4, "bit_rate_scale, cpb_size_scale")?;
    for _ in 0..=count {
        bits.ue("bit_rate_value_minus1")?;
        bits.ue("cpb_size_value_minus1")?;
        bits.flag("cbr_flag")?;
    }
    bits.skip(5 + 5 + 5 + 5, "delay lengths")?;
    Ok(())
}
