//! Decoder configuration record hvcC (ISO/IEC 14496-15, section 8.3.3.1).

use super::{NAL_HEADER_LEN, ProfileTierLevel, Sps, nal_type, nal_unit_type};
use crate::bits::{BitReader, ByteReader};
use crate::codec::Error;
use crate::codec::error::need;
use crate::codec::nal::{LengthSize, unescape_parameter_set};

/// pps_pic_parameter_set_id (ITU-T H.265, section 7.4.3.3.1).
const PPS_ID_MAX: u32 = 63;

/// sps_seq_parameter_set_id (ITU-T H.265, section 7.4.3.2.1).
const SPS_ID_MAX: u32 = 15;

/// Where the bytes of [`ProfileTierLevel`] lie in the record.
const PROFILE_LEN: usize = 11;

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hvcc {
    /// Profile, tier and level of the stream.
    pub profile_tier_level: ProfileTierLevel,
    /// min_spatial_segmentation_idc, 12 bits.
    pub min_spatial_segmentation_idc: u16,
    /// parallelismType: 0 is mixed or unknown.
    pub parallelism_type: u8,
    /// As in the SPS.
    pub chroma_format_idc: u8,
    /// As in the SPS.
    pub bit_depth_luma: u8,
    /// As in the SPS.
    pub bit_depth_chroma: u8,
    /// avgFrameRate: frames in 256 seconds, 0 when unknown.
    pub average_frame_rate: u16,
    /// constantFrameRate: 0 is unknown.
    pub constant_frame_rate: u8,
    /// numTemporalLayers: 0 is unknown.
    pub temporal_layers: u8,
    /// temporalIdNested.
    pub is_temporal_id_nested: bool,
    /// Of the lengths before the NAL units of a frame.
    pub length_size: LengthSize,
    /// The parameter sets, and SEI that concern the whole stream.
    pub arrays: Vec<Array>,
}

/// NAL units of one type, headers included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// array_completeness: no more units of the type come in band.
    pub is_complete: bool,
    /// NAL_unit_type.
    pub nal_unit_type: u8,
    /// In order.
    pub units: Vec<Vec<u8>>,
}

impl Hvcc {
    /// Parses the record. Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// When the record is cut short or is of another version. Version 0 stands for 1: it is what
    /// encoders wrote before the specification was out.
    pub fn parse(input: &[u8]) -> Result<Self, Error> {
        let mut bytes = ByteReader::new(input);
        let version = need(&mut bytes, "configurationVersion", ByteReader::u8)?;
        // Some encoders send Annex B in place of a record, which begins with a zero too.
        if version > 1 || input.starts_with(&[0, 0, 0, 1]) || input.starts_with(&[0, 0, 1]) {
            return Err(Error::Invalid {
                field: "configurationVersion",
                value: u64::from(version),
                offset: bytes.offset(),
                section: "ISO/IEC 14496-15, section 8.3.3.1",
            });
        }
        let profile = need(&mut bytes, "profile and tier", |bytes| bytes.take(PROFILE_LEN))?;
        let mut profile_tier_level = ProfileTierLevel::parse_profile(&mut BitReader::new(profile))?;
        profile_tier_level.level_idc = need(&mut bytes, "general_level_idc", ByteReader::u8)?;
        let segmentation = need(&mut bytes, "min_spatial_segmentation_idc", ByteReader::u16)?;
        let [parallelism, chroma, luma_depth, chroma_depth] =
            need(&mut bytes, "parallelismType to bitDepthChromaMinus8", ByteReader::array)?;
        let average_frame_rate = need(&mut bytes, "avgFrameRate", ByteReader::u16)?;
        let layers = need(&mut bytes, "constantFrameRate to lengthSizeMinusOne", ByteReader::u8)?;
        let count = need(&mut bytes, "numOfArrays", ByteReader::u8)?;
        let mut arrays = Vec::new();
        for _ in 0..count {
            arrays.push(Array::parse(&mut bytes)?);
        }
        Ok(Self {
            profile_tier_level,
            min_spatial_segmentation_idc: segmentation & 0x0fff,
            parallelism_type: parallelism & 3,
            chroma_format_idc: chroma & 3,
            bit_depth_luma: 8 + (luma_depth & 7),
            bit_depth_chroma: 8 + (chroma_depth & 7),
            average_frame_rate,
            constant_frame_rate: layers >> 6,
            temporal_layers: layers >> 3 & 7,
            is_temporal_id_nested: layers & 4 != 0,
            length_size: LengthSize::from_minus_one(layers),
            arrays,
        })
    }

    /// Builds the record from parameter sets, for frames with lengths of four bytes. `None` without
    /// a VPS, an SPS that can be read, and a PPS.
    pub fn from_parameter_sets<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut record = Self {
            profile_tier_level: ProfileTierLevel::default(),
            min_spatial_segmentation_idc: 0,
            parallelism_type: 0,
            chroma_format_idc: 0,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            average_frame_rate: 0,
            constant_frame_rate: 0,
            temporal_layers: 0,
            is_temporal_id_nested: false,
            length_size: LengthSize::Four,
            arrays: Vec::new(),
        };
        for unit in units {
            record.put(unit);
        }
        let is_whole = record.units(nal_type::VPS).next().is_some()
            && record.units(nal_type::PPS).next().is_some()
            && record.take_facts_of_sps();
        is_whole.then_some(record)
    }

    /// The record after parameter sets that came in band: a set replaces the one of its id, or is
    /// added. `None` when nothing changes, which is the usual case. Malformed sets and other NAL
    /// units are passed over.
    pub fn updated<'a>(&self, units: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut record: Option<Self> = None;
        for unit in units {
            if !record.as_ref().unwrap_or(self).has(unit) {
                record.get_or_insert_with(|| self.clone()).put(unit);
            }
        }
        let mut record = record.filter(|record| record != self)?;
        record.take_facts_of_sps();
        Some(record)
    }

    /// Writes the record. Units longer than 64 KiB, which its lengths cannot say, are left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(1);
        self.profile_tier_level.write(out);
        out.extend((0xf000 | self.min_spatial_segmentation_idc).to_be_bytes());
        out.push(0xfc | self.parallelism_type);
        out.push(0xfc | self.chroma_format_idc);
        // Three bits, though the SPS has up to 16 bits a sample.
        out.push(0xf8 | self.bit_depth_luma.saturating_sub(8).min(7));
        out.push(0xf8 | self.bit_depth_chroma.saturating_sub(8).min(7));
        out.extend(self.average_frame_rate.to_be_bytes());
        out.push(
            self.constant_frame_rate << 6
                | (self.temporal_layers & 7) << 3
                | u8::from(self.is_temporal_id_nested) << 2
                | self.length_size.minus_one(),
        );
        let count = u8::try_from(self.arrays.len()).unwrap_or(u8::MAX);
        out.push(count);
        for array in self.arrays.iter().take(usize::from(count)) {
            array.write(out);
        }
    }

    /// The units of one type: parameter sets by [`nal_type`].
    pub fn units(&self, nal_unit_type: u8) -> impl Iterator<Item = &[u8]> {
        let arrays = self.arrays.iter().filter(move |array| array.nal_unit_type == nal_unit_type);
        arrays.flat_map(|array| array.units.iter().map(Vec::as_slice))
    }

    fn has(&self, unit: &[u8]) -> bool {
        self.arrays.iter().flat_map(|array| &array.units).any(|known| known == unit)
    }

    /// Takes a parameter set in. Ids are bounded, and so is the record.
    fn put(&mut self, unit: &[u8]) {
        let Some(id) = set_id(unit) else { return };
        let Some(kind) = nal_unit_type(unit) else { return };
        let same_type = self.arrays.iter_mut().filter(|array| array.nal_unit_type == kind);
        let mut known = same_type.flat_map(|array| &mut array.units);
        if let Some(set) = known.find(|set| set_id(set) == Some(id)) {
            *set = unit.to_vec();
        } else if let Some(array) = self.arrays.iter_mut().find(|array| array.nal_unit_type == kind)
        {
            array.units.push(unit.to_vec());
        } else {
            let units = vec![unit.to_vec()];
            self.arrays.push(Array { is_complete: false, nal_unit_type: kind, units });
        }
    }

    /// Repeats what the first SPS says; `false` when none can be read.
    fn take_facts_of_sps(&mut self) -> bool {
        let Some(Ok(sps)) = self.units(nal_type::SPS).next().map(Sps::parse) else {
            return false;
        };
        self.profile_tier_level = sps.profile_tier_level;
        self.min_spatial_segmentation_idc = sps.min_spatial_segmentation_idc;
        self.chroma_format_idc = sps.chroma_format_idc;
        self.bit_depth_luma = sps.bit_depth_luma;
        self.bit_depth_chroma = sps.bit_depth_chroma;
        self.temporal_layers = sps.temporal_layers;
        self.is_temporal_id_nested = sps.is_temporal_id_nested;
        true
    }
}

impl Array {
    fn parse(bytes: &mut ByteReader<'_>) -> Result<Self, Error> {
        let kind = need(bytes, "NAL_unit_type", ByteReader::u8)?;
        let count = need(bytes, "numNalus", ByteReader::u16)?;
        // The count is not trusted with memory.
        let mut units = Vec::new();
        for _ in 0..count {
            let length = need(bytes, "nalUnitLength", ByteReader::u16)?;
            let unit = need(bytes, "NAL unit", |bytes| bytes.take(usize::from(length)))?;
            units.push(unit.to_vec());
        }
        Ok(Self { is_complete: kind & 0x80 != 0, nal_unit_type: kind & 0x3f, units })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_complete) << 7 | self.nal_unit_type & 0x3f);
        let writable =
            self.units.iter().filter_map(|unit| Some((unit, u16::try_from(unit.len()).ok()?)));
        let count = u16::try_from(writable.clone().count()).unwrap_or(u16::MAX);
        out.extend(count.to_be_bytes());
        for (unit, length) in writable.take(usize::from(count)) {
            out.extend(length.to_be_bytes());
            out.extend(unit);
        }
    }
}

/// The id of a parameter set, when it is one and whole so far (ITU-T H.265, sections 7.3.2.1 to
/// 7.3.2.3).
fn set_id(unit: &[u8]) -> Option<u32> {
    let rbsp = unescape_parameter_set(unit, NAL_HEADER_LEN);
    let mut bits = BitReader::new(&rbsp);
    match nal_unit_type(unit)? {
        nal_type::VPS => bits.u(4, "vps_video_parameter_set_id").ok(),
        nal_type::SPS => {
            bits.skip(4, "sps_video_parameter_set_id").ok()?;
            let sub_layers_minus1 = bits.u8(3, "sps_max_sub_layers_minus1").ok()?;
            bits.skip(1, "sps_temporal_id_nesting_flag").ok()?;
            ProfileTierLevel::parse(&mut bits, sub_layers_minus1).ok()?;
            bits.ue("sps_seq_parameter_set_id").ok().filter(|id| *id <= SPS_ID_MAX)
        }
        nal_type::PPS => bits.ue("pps_pic_parameter_set_id").ok().filter(|id| *id <= PPS_ID_MAX),
        _ => None,
    }
}
