//! A cursor over bytes that remembers where it is.
//!
//! Every read is all or nothing: `None` means that too little is left, and the cursor has not
//! moved, so the caller can name the offset in its error.

/// Reads big-endian fields, as every format of this crate uses.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> ByteReader<'a> {
    /// Starts at the first byte of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// All that has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, without moving.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        self.offset += count;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        self.offset += N;
        Some(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes in two's complement.
    pub fn i24(&mut self) -> Option<i32> {
        // In the upper three bytes the sign is in place; the shift spreads it.
        self.array().map(|[a, b, c]| i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes of IEEE 754.
    pub fn f64(&mut self) -> Option<f64> {
        self.array().map(f64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_in_order_and_stays_when_short() {
        let mut reader = ByteReader::new(&[1, 0, 2, 0xff, 0xff, 0xfe, 9]);

        assert_eq!(reader.u8(), Some(1));
        assert_eq!(reader.u16(), Some(2));
        assert_eq!(reader.i24(), Some(-2));
        assert_eq!(reader.u32(), None);
        assert_eq!((reader.offset(), reader.rest()), (6, &[9][..]));
    }

    #[test]
    fn extends_the_sign_of_24_bits() {
        for (bytes, value) in
            [([0x7f, 0xff, 0xff], 8_388_607), ([0x80, 0, 0], -8_388_608), ([0, 0, 0], 0)]
        {
            assert_eq!(ByteReader::new(&bytes).i24(), Some(value));
        }
    }
}
