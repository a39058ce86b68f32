//! NAL units, the packets of H.264 and H.265: framing and escaping, which both share.
//!
//! Two framings exist. *Length-prefixed* puts the size before each unit (ISO/IEC 14496-15); it is
//! the form in memory, in FLV and in MP4. *Annex B* puts a start code before each (ITU-T H.264 and
//! H.265, annex B). Within a unit, `00 00 03` stands for `00 00`, so that no start code can appear
//! (section 7.4.1.1).

use std::ops::Range;

use super::Error;
use crate::bits::ByteReader;
use crate::codec::error::need;

/// How many bytes the length before each NAL unit has (ISO/IEC 14496-15, lengthSizeMinusOne).
/// Three is not allowed there, but means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthSize {
    /// Units of up to 255 bytes.
    One,
    /// Units of up to 64 KiB.
    Two,
    /// Units of up to 16 MiB.
    Three,
    /// The form in memory.
    Four,
}

impl LengthSize {
    /// From the two bits of a decoder configuration record.
    pub(super) fn from_minus_one(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::One,
            1 => Self::Two,
            2 => Self::Three,
            _ => Self::Four,
        }
    }

    pub(super) fn minus_one(self) -> u8 {
        match self {
            Self::One => 0,
            Self::Two => 1,
            Self::Three => 2,
            Self::Four => 3,
        }
    }

    fn read(self, bytes: &mut ByteReader<'_>) -> Option<usize> {
        let length = match self {
            Self::One => bytes.u8().map(u32::from),
            Self::Two => bytes.u16().map(u32::from),
            Self::Three => bytes.u24(),
            Self::Four => bytes.u32(),
        }?;
        // A length beyond the address space is beyond the input too.
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// One NAL unit within the bytes that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Where it begins, behind its length or start code.
    pub offset: usize,
    /// Header and payload, escaped. Never empty.
    pub data: &'a [u8],
}

impl Unit<'_> {
    /// Where the unit lies in the bytes that were given.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.data.len()
    }
}

/// The NAL units of length-prefixed `data`. Empty units, which some encoders send as padding, are
/// left out. After an error there is nothing more.
pub fn units(data: &[u8], length_size: LengthSize) -> Units<'_> {
    Units { bytes: ByteReader::new(data), length_size }
}

/// See [`units`].
#[derive(Clone, Debug)]
pub struct Units<'a> {
    bytes: ByteReader<'a>,
    length_size: LengthSize,
}

impl<'a> Units<'a> {
    fn read(&mut self) -> Result<Unit<'a>, Error> {
        let length_size = self.length_size;
        let length = need(&mut self.bytes, "NAL unit length", |bytes| length_size.read(bytes))?;
        let offset = self.bytes.offset();
        let data = need(&mut self.bytes, "NAL unit", |bytes| bytes.take(length))?;
        Ok(Unit { offset, data })
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<Unit<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.bytes.is_empty() {
            match self.read() {
                Ok(unit) if unit.data.is_empty() => {}
                Ok(unit) => return Some(Ok(unit)),
                Err(error) => {
                    self.bytes = ByteReader::new(&[]);
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Appends length-prefixed `data` to `out` with lengths of four bytes, which is the form in memory.
/// For the rare encoder that uses another: it copies.
///
/// # Errors
///
/// When a length goes beyond the data; `out` may have the units before it.
pub fn rewrite_lengths(
    data: &[u8],
    length_size: LengthSize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    for unit in units(data, length_size) {
        write_unit(unit?.data, out);
    }
    Ok(())
}

/// Appends Annex B `data` to `out` with lengths of four bytes.
pub fn annex_b_to_length_prefixed(data: &[u8], out: &mut Vec<u8>) {
    for unit in annex_b_units(data) {
        write_unit(unit.data, out);
    }
}

/// Appends one NAL unit with a length of four bytes.
pub fn write_unit(unit: &[u8], out: &mut Vec<u8>) {
    // Messages are bounded far below 4 GiB, so the length always fits.
    out.extend(u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(unit);
}

/// Whether `data`, which should be length-prefixed with four bytes, is Annex B: some encoders do
/// not convert. A start code is also the length 1, so only data that makes no sense as
/// length-prefixed is taken for Annex B.
pub fn is_annex_b(data: &[u8]) -> bool {
    let has_start_code = data.starts_with(&[0, 0, 1]) || data.starts_with(&[0, 0, 0, 1]);
    has_start_code && units(data, LengthSize::Four).any(|unit| unit.is_err())
}

/// The NAL units of Annex B `data` (annex B.1). What precedes the first start code is left out,
/// and so are zeros around the units.
pub fn annex_b_units(data: &[u8]) -> AnnexBUnits<'_> {
    let offset = start_code_end(data).unwrap_or(data.len());
    AnnexBUnits { data, offset }
}

/// See [`annex_b_units`].
#[derive(Clone, Debug)]
pub struct AnnexBUnits<'a> {
    data: &'a [u8],
    /// Behind the start code of the next unit, or the end.
    offset: usize,
}

impl<'a> Iterator for AnnexBUnits<'a> {
    type Item = Unit<'a>;

    fn next(&mut self) -> Option<Unit<'a>> {
        loop {
            let rest = self.data.get(self.offset..).filter(|rest| !rest.is_empty())?;
            let offset = self.offset;
            let (unit, next) = match start_code_end(rest) {
                Some(end) => (rest.get(..end - START_CODE.len())?, offset + end),
                None => (rest, self.data.len()),
            };
            self.offset = next;
            // trailing_zero_8bits and the zero_byte of the next start code are no part of the unit.
            let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
            let data = unit.get(..unit.len() - zeros)?;
            if !data.is_empty() {
                return Some(Unit { offset, data });
            }
        }
    }
}

/// start_code_prefix_one_3bytes (annex B.1).
const START_CODE: [u8; 3] = [0, 0, 1];

/// Where the first start code of `data` ends.
fn start_code_end(data: &[u8]) -> Option<usize> {
    let start = data.windows(START_CODE.len()).position(|window| window == START_CODE)?;
    Some(start + START_CODE.len())
}

/// The bytes of a NAL unit without emulation prevention bytes (section 7.4.1.1).
#[derive(Clone, Debug)]
pub(super) struct Unescaped<'a> {
    bytes: std::slice::Iter<'a, u8>,
    zeros: usize,
}

impl<'a> Unescaped<'a> {
    pub(super) fn new(escaped: &'a [u8]) -> Self {
        Self { bytes: escaped.iter(), zeros: 0 }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let mut byte = *self.bytes.next()?;
        if self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = *self.bytes.next()?;
        }
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        Some(byte)
    }
}

/// How many bytes of a parameter set are looked at: 4 KiB. A complete one with every scaling list
/// is half of that; what lies beyond is not needed here.
const PARAMETER_SET_MAX: usize = 4096;

/// A parameter set without its NAL header of `header` bytes, unescaped.
pub(super) fn unescape_parameter_set(unit: &[u8], header: usize) -> Vec<u8> {
    Unescaped::new(unit.get(header..).unwrap_or_default()).take(PARAMETER_SET_MAX).collect()
}

/// How far into a SEI unit messages are looked for: 4 KiB. Encoders put the short standard
/// messages before their long private ones.
const SEI_SCAN_MAX: usize = 4096;

/// payloadType of a recovery point, the same in ITU-T H.264 and H.265, section D.2.1.
const SEI_RECOVERY_POINT: usize = 6;

/// Whether a SEI unit with a NAL header of `header` bytes has a recovery point message
/// (section 7.3.2.3.1).
pub(super) fn has_recovery_point(unit: &[u8], header: usize) -> bool {
    let mut bytes = Unescaped::new(unit.get(header..).unwrap_or_default()).take(SEI_SCAN_MAX);
    while let (Some(kind), Some(size)) = (sei_number(&mut bytes), sei_number(&mut bytes)) {
        if kind == SEI_RECOVERY_POINT && size > 0 {
            return true;
        }
        // `nth` counts from zero; a size of zero skips nothing.
        if size > 0 && bytes.nth(size - 1).is_none() {
            return false;
        }
    }
    false
}

/// payloadType or payloadSize: bytes of 255 add up until one is less.
fn sei_number(bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let mut number = 0_usize;
    loop {
        let byte = bytes.next()?;
        number += usize::from(byte);
        if byte != 0xff {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bytes, each_truncation};

    fn found(data: &[u8], length_size: LengthSize) -> Vec<Range<usize>> {
        units(data, length_size).map(|unit| unit.unwrap().range()).collect()
    }

    #[test]
    fn walks_units_of_every_length_size() {
        assert_eq!(found(&bytes("01 65  02 4142"), LengthSize::One), [1..2, 3..5]);
        assert_eq!(found(&bytes("0001 65  0002 4142"), LengthSize::Two), [2..3, 5..7]);
        assert_eq!(found(&bytes("000001 65"), LengthSize::Three), vec![3_usize..4]);
        assert_eq!(found(&bytes("00000001 65  00000000"), LengthSize::Four), vec![4_usize..5]);
        assert_eq!(found(&[], LengthSize::Four), []);
    }

    #[test]
    fn stops_at_a_length_beyond_the_data() {
        let data = bytes("00000001 65  000000ff 41");
        let mut units = units(&data, LengthSize::Four);

        assert!(units.next().unwrap().is_ok());
        let truncated = Error::Truncated { offset: 9, expected: "NAL unit" };
        assert_eq!(units.next(), Some(Err(truncated)));
        assert_eq!(units.next(), None);
    }

    #[test]
    fn finds_every_truncation_inside_a_unit() {
        each_truncation(&bytes("00000002 6588"), |cut| {
            let whole = units(cut, LengthSize::Four).all(|unit| unit.is_ok());
            assert_eq!(whole, cut.is_empty());
        });
    }

    #[test]
    fn rewrites_lengths_to_four_bytes() {
        let mut out = Vec::new();

        rewrite_lengths(&bytes("0001 65  0002 4142"), LengthSize::Two, &mut out).unwrap();

        assert_eq!(out, bytes("00000001 65  00000002 4142"));
    }

    #[test]
    fn splits_annex_b() {
        let cases = [
            ("", ""),
            ("6588", ""),
            ("000001", ""),
            ("000001 6588", "00000002 6588"),
            ("00000001 0910  000001 6588 0000 00000001 41", {
                "00000002 0910  00000002 6588  00000001 41"
            }),
            ("ff 000001 000001 65 00", "00000001 65"),
        ];
        for (annex_b, length_prefixed) in cases {
            let mut out = Vec::new();
            annex_b_to_length_prefixed(&bytes(annex_b), &mut out);

            assert_eq!(out, bytes(length_prefixed), "{annex_b}");
        }
    }

    #[test]
    fn tells_annex_b_from_a_unit_of_one_byte() {
        assert!(is_annex_b(&bytes("00000001 6588")));
        assert!(is_annex_b(&bytes("000001 6588")));
        assert!(!is_annex_b(&bytes("00000001 0b  00000002 6588")));
        assert!(!is_annex_b(&bytes("00000002 6588")));
        assert!(!is_annex_b(&[]));
    }

    #[test]
    fn takes_out_emulation_prevention() {
        for (escaped, unescaped) in [
            ("000003 00", "0000 00"),
            ("000003 000003", "0000 0000"),
            ("0003 00", "0003 00"),
            ("000003", "0000"),
            ("00000003 01", "000000 01"),
        ] {
            let found: Vec<u8> = Unescaped::new(&bytes(escaped)).collect();
            assert_eq!(found, bytes(unescaped), "{escaped}");
        }
    }

    #[test]
    fn finds_a_recovery_point_among_messages() {
        assert!(has_recovery_point(&bytes("06 0601 c4 80"), 1));
        assert!(has_recovery_point(&bytes("06 0502 0000 03 0100 0601 c4"), 1));
        assert!(has_recovery_point(&bytes("06 ff00 01 aa 0601 c4 80"), 1));
        assert!(!has_recovery_point(&bytes("06 0503 060160 80"), 1));
        assert!(!has_recovery_point(&bytes("06"), 1));
        assert!(!has_recovery_point(&[], 1));
        assert!(!has_recovery_point(&[0xff; 10_000], 1));
    }
}
