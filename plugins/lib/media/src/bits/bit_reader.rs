//! Reads fields of any number of bits, most significant first, and Exp-Golomb codes.
//!
//! Every read names its field as the specification does, so that a parser reads like the syntax
//! table that it implements, and an error says which row failed.

/// A field cannot be read. `offset` counts bytes from the first one given to [`BitReader::new`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside the field.
    #[error("input ends at byte {offset} inside {field}")]
    Truncated {
        /// The byte in which the field begins.
        offset: usize,
        /// The name of the field in its specification.
        field: &'static str,
    },

    /// An Exp-Golomb code longer than 32 bits of value (ITU-T H.264, section 9.1).
    #[error("{field} at byte {offset} is no Exp-Golomb code of 32 bits (ITU-T H.264, section 9.1)")]
    GolombTooLong {
        /// The byte in which the code begins.
        offset: usize,
        /// The name of the field in its specification.
        field: &'static str,
    },
}

/// A cursor over bits. A failed read leaves it where it was, or inside the code that failed.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    input: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0 }
    }

    /// The byte in which the next bit is.
    pub fn offset(&self) -> usize {
        self.position / 8
    }

    /// Bits that have not been read.
    pub fn bits_left(&self) -> usize {
        self.input.len().saturating_mul(8).saturating_sub(self.position)
    }

    /// `u(n)`: an unsigned number of up to 32 bits.
    ///
    /// # Errors
    ///
    /// When the input ends before.
    pub fn u(&mut self, count: usize, field: &'static str) -> Result<u32, Error> {
        debug_assert!(count <= 32, "{field} is wider than 32 bits");
        if count > self.bits_left() {
            return Err(Error::Truncated { offset: self.offset(), field });
        }
        let end = self.position + count;
        let bytes = self.input.get(self.position / 8..end.div_ceil(8)).unwrap_or_default();
        // At most five bytes: 32 bits that begin inside a byte.
        let window = bytes.iter().fold(0, |window, byte| window << 8 | u64::from(*byte));
        let value = window >> (end.div_ceil(8) * 8 - end) & ((1 << count) - 1);
        self.position = end;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// `u(n)` of up to 8 bits.
    ///
    /// # Errors
    ///
    /// As [`Self::u`].
    pub fn u8(&mut self, count: usize, field: &'static str) -> Result<u8, Error> {
        debug_assert!(count <= 8, "{field} is wider than 8 bits");
        self.u(count, field).map(|value| u8::try_from(value).unwrap_or(u8::MAX))
    }

    /// `u(1)`.
    ///
    /// # Errors
    ///
    /// As [`Self::u`].
    pub fn flag(&mut self, field: &'static str) -> Result<bool, Error> {
        self.u(1, field).map(|bit| bit != 0)
    }

    /// Skips any number of bits.
    ///
    /// # Errors
    ///
    /// As [`Self::u`].
    pub fn skip(&mut self, count: usize, field: &'static str) -> Result<(), Error> {
        if count > self.bits_left() {
            return Err(Error::Truncated { offset: self.offset(), field });
        }
        self.position += count;
        Ok(())
    }

    /// Moves to the next byte unless at the start of one.
    pub fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    /// `ue(v)`: an unsigned Exp-Golomb code (ITU-T H.264, section 9.1).
    ///
    /// # Errors
    ///
    /// When the input ends before, or the value has more than 32 bits.
    pub fn ue(&mut self, field: &'static str) -> Result<u32, Error> {
        let offset = self.offset();
        let mut zeros = 0;
        while !self.flag(field)? {
            zeros += 1;
            if zeros == 32 {
                return Err(Error::GolombTooLong { offset, field });
            }
        }
        let suffix = self.u(zeros, field)?;
        Ok((1_u32 << zeros) - 1 + suffix)
    }

    /// `se(v)`: a signed Exp-Golomb code (ITU-T H.264, section 9.1.1).
    ///
    /// # Errors
    ///
    /// As [`Self::ue`].
    pub fn se(&mut self, field: &'static str) -> Result<i32, Error> {
        let code = self.ue(field)?;
        // The largest code is 2^32 - 2, half of which is the largest i32.
        let magnitude = i32::try_from(code.div_ceil(2)).unwrap_or(i32::MAX);
        Ok(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_across_bytes() {
        let mut bits = BitReader::new(&[0b1010_0000, 0xff, 0xff, 0xff, 0b1111_0001]);

        assert_eq!(bits.flag("a"), Ok(true));
        assert_eq!(bits.u8(3, "b"), Ok(2));
        assert_eq!(bits.u(32, "c"), Ok(0x0fff_ffff));
        assert_eq!(bits.bits_left(), 4);
        assert_eq!(bits.u(5, "d"), Err(Error::Truncated { offset: 4, field: "d" }));
        assert_eq!(bits.u(4, "e"), Ok(1));
        assert_eq!(bits.u(0, "f"), Ok(0));
    }

    #[test]
    fn reads_exp_golomb() {
        // 1, 010, 011, 00100, 00101, then the same as signed.
        let codes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut unsigned = BitReader::new(&codes);
        let mut signed = BitReader::new(&codes);

        assert_eq!([0; 5].map(|_| unsigned.ue("v").unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!([0; 5].map(|_| signed.se("v").unwrap()), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn bounds_exp_golomb() {
        let largest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(BitReader::new(&largest).ue("v"), Ok(u32::MAX - 1));
        assert_eq!(BitReader::new(&largest).se("v"), Ok(-i32::MAX));

        let too_long = Err(Error::GolombTooLong { offset: 0, field: "v" });
        assert_eq!(BitReader::new(&[0; 100]).ue("v"), too_long);
        let cut = Err(Error::Truncated { offset: 1, field: "v" });
        assert_eq!(BitReader::new(&[0]).ue("v"), cut);
    }
}
