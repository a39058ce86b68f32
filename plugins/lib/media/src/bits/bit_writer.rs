//! Writes fields of any number of bits, most significant first.

/// Collects bits into bytes.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits used of the last byte, 0 when it is full or absent.
    used: usize,
}

impl BitWriter {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the lower `count` bits of `value`.
    pub fn u(&mut self, count: usize, value: u32) {
        for shift in (0..count).rev() {
            let bit = u8::from(value >> shift & 1 != 0);
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// The bytes, the last one filled with zeros.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_across_bytes() {
        let mut bits = BitWriter::new();
        bits.u(1, 1);
        bits.u(10, 0x2ff);
        bits.u(2, 0xffff_fffc);

        assert_eq!(bits.finish(), [0b1101_1111, 0b1110_0000]);
    }
}
