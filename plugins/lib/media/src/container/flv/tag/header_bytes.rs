//! A written tag header: a few bytes without an allocation.

use std::ops::Deref;

/// The longest header written here: enhanced H.264 or H.265 on a numbered track is type 1,
/// multitrack 1, FourCC 4, track 1, composition time 3.
pub const HEADER_MAX: usize = 10;

/// The bytes before the payload of a tag body. Derefs to the slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; HEADER_MAX],
    len: usize,
}

impl HeaderBytes {
    /// Appends `field`. What is beyond [`HEADER_MAX`] is dropped, which no header reaches.
    pub(super) fn push(&mut self, field: &[u8]) {
        debug_assert!(self.len + field.len() <= HEADER_MAX, "header of a tag is too long");
        for (slot, byte) in self.bytes.iter_mut().skip(self.len).zip(field) {
            *slot = *byte;
        }
        self.len = HEADER_MAX.min(self.len + field.len());
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for HeaderBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
