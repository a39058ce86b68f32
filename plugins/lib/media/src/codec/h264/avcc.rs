//! Decoder configuration record avcC (ISO/IEC 14496-15, section 5.3.3.1).

use super::{NAL_HEADER_LEN, Sps, nal_type, nal_unit_type};
use crate::bits::{BitReader, ByteReader};
use crate::codec::Error;
use crate::codec::error::need;
use crate::codec::nal::{LengthSize, unescape_parameter_set};

/// Profiles whose record ends with the PPS: Baseline, Main, Extended. All others add chroma format,
/// bit depths and SPS extensions.
const SHORT_PROFILES: [u8; 3] = [66, 77, 88];

/// pic_parameter_set_id (ITU-T H.264, section 7.4.2.2).
const PPS_ID_MAX: u32 = 255;

/// The most sets that the record can count (numOfSequenceParameterSets has 5 bits, the other 8).
const SPS_COUNT_MAX: usize = 31;
const PPS_COUNT_MAX: usize = 255;

/// What a decoder must know before the first frame. Parameter sets are NAL units, header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avcc {
    /// AVCProfileIndication.
    pub profile_idc: u8,
    /// profile_compatibility: the constraint flags.
    pub constraint_flags: u8,
    /// AVCLevelIndication.
    pub level_idc: u8,
    /// Of the lengths before the NAL units of a frame.
    pub length_size: LengthSize,
    /// Sequence parameter sets.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets.
    pub pps: Vec<Vec<u8>>,
    /// Sequence parameter set extensions.
    pub sps_ext: Vec<Vec<u8>>,
}

impl Avcc {
    /// Parses the record. The part for High profiles may be missing, as in records of encoders
    /// that follow the first edition; bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// When the record is cut short or is of another version.
    pub fn parse(input: &[u8]) -> Result<Self, Error> {
        let mut bytes = ByteReader::new(input);
        let version = need(&mut bytes, "configurationVersion", ByteReader::u8)?;
        if version != 1 {
            return Err(Error::Invalid {
                field: "configurationVersion",
                value: u64::from(version),
                offset: bytes.offset(),
                section: "ISO/IEC 14496-15, section 5.3.3.1",
            });
        }
        let [profile_idc, constraint_flags, level_idc] =
            need(&mut bytes, "profile and level", ByteReader::array)?;
        let length_size = need(&mut bytes, "lengthSizeMinusOne", ByteReader::u8)?;
        let sps_count = need(&mut bytes, "numOfSequenceParameterSets", ByteReader::u8)? & 0x1f;
        let sps = read_sets(&mut bytes, sps_count)?;
        let pps_count = need(&mut bytes, "numOfPictureParameterSets", ByteReader::u8)?;
        let pps = read_sets(&mut bytes, pps_count)?;
        let mut record = Self {
            profile_idc,
            constraint_flags,
            level_idc,
            length_size: LengthSize::from_minus_one(length_size),
            sps,
            pps,
            sps_ext: Vec::new(),
        };
        // Chroma format and bit depths say nothing that the SPS does not.
        if !SHORT_PROFILES.contains(&profile_idc)
            && let Some([_, _, _, count]) = bytes.array()
        {
            record.sps_ext = read_sets(&mut bytes, count)?;
        }
        Ok(record)
    }

    /// Builds the record from parameter sets, for frames with lengths of four bytes. `None` without
    /// an SPS and a PPS, or when one is too short to have a profile.
    pub fn from_parameter_sets<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut record = Self {
            profile_idc: 0,
            constraint_flags: 0,
            level_idc: 0,
            length_size: LengthSize::Four,
            sps: Vec::new(),
            pps: Vec::new(),
            sps_ext: Vec::new(),
        };
        for unit in units {
            record.put(unit);
        }
        (!record.sps.is_empty() && !record.pps.is_empty()).then_some(record)
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
        record.filter(|record| record != self)
    }

    /// Writes the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend([1, self.profile_idc, self.constraint_flags, self.level_idc]);
        out.push(0xfc | self.length_size.minus_one());
        write_sets(&self.sps, SPS_COUNT_MAX, 0xe0, out);
        write_sets(&self.pps, PPS_COUNT_MAX, 0, out);
        if !SHORT_PROFILES.contains(&self.profile_idc)
            && let Some(Ok(sps)) = self.sps.first().map(|sps| Sps::parse(sps))
        {
            out.push(0xfc | sps.chroma_format_idc);
            out.push(0xf8 | (sps.bit_depth_luma - 8));
            out.push(0xf8 | (sps.bit_depth_chroma - 8));
            write_sets(&self.sps_ext, PPS_COUNT_MAX, 0, out);
        }
    }

    fn list(&mut self, nal_unit_type: u8) -> Option<&mut Vec<Vec<u8>>> {
        match nal_unit_type {
            nal_type::SPS => Some(&mut self.sps),
            nal_type::PPS => Some(&mut self.pps),
            nal_type::SPS_EXT => Some(&mut self.sps_ext),
            _ => None,
        }
    }

    fn has(&self, unit: &[u8]) -> bool {
        [&self.sps, &self.pps, &self.sps_ext].into_iter().flatten().any(|set| set == unit)
    }

    /// Takes a parameter set in. Ids are bounded, and so is the record.
    fn put(&mut self, unit: &[u8]) {
        let Some(id) = set_id(unit) else { return };
        let Some(list) = self.list(nal_unit_type(unit)) else { return };
        match list.iter_mut().find(|set| set_id(set) == Some(id)) {
            Some(set) => *set = unit.to_vec(),
            None => list.push(unit.to_vec()),
        }
        // The record speaks for its first SPS.
        if let Some([_, profile_idc, constraint_flags, level_idc, ..]) =
            self.sps.first().map(Vec::as_slice)
        {
            self.profile_idc = *profile_idc;
            self.constraint_flags = *constraint_flags;
            self.level_idc = *level_idc;
        }
    }
}

/// The id of a parameter set, when it is one and whole so far (sections 7.3.2.1.1, 7.3.2.2).
fn set_id(unit: &[u8]) -> Option<u32> {
    let rbsp = unescape_parameter_set(unit, NAL_HEADER_LEN);
    let mut bits = BitReader::new(&rbsp);
    match nal_unit_type(unit) {
        nal_type::SPS => {
            bits.skip(24, "profile and level").ok()?;
            bits.ue("seq_parameter_set_id").ok().filter(|id| *id < 32)
        }
        nal_type::SPS_EXT => bits.ue("seq_parameter_set_id").ok().filter(|id| *id < 32),
        nal_type::PPS => bits.ue("pic_parameter_set_id").ok().filter(|id| *id <= PPS_ID_MAX),
        _ => None,
    }
}

/// Each with a length of two bytes. The count is not trusted with memory.
fn read_sets(bytes: &mut ByteReader<'_>, count: u8) -> Result<Vec<Vec<u8>>, Error> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = need(bytes, "parameterSetLength", ByteReader::u16)?;
        let unit = need(bytes, "parameter set", |bytes| bytes.take(usize::from(length)))?;
        sets.push(unit.to_vec());
    }
    Ok(sets)
}

/// Writes count and sets, leaving out what count and lengths cannot say.
fn write_sets(sets: &[Vec<u8>], count_max: usize, reserved: u8, out: &mut Vec<u8>) {
    let count_at = out.len();
    out.push(reserved);
    let writable = sets.iter().filter_map(|set| Some((set, u16::try_from(set.len()).ok()?)));
    let mut count = 0;
    for (set, length) in writable.take(count_max) {
        out.extend(length.to_be_bytes());
        out.extend(set);
        count += 1;
    }
    if let Some(slot) = out.get_mut(count_at) {
        *slot = reserved | count;
    }
}
