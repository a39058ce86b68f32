//! FLV as a stream of bytes: the header, and what stands around the body of a tag (FLV 10.1, sections E.2 to E.4).
//!
//! ```text
//! header . 0 (4) . [ tag header (11) . body . size of tag header and body (4) ]*
//! ```

use super::tag::TagType;

/// Bytes of the header and the first back pointer.
pub const HEADER_LEN: usize = 9 + BACK_POINTER_LEN;
/// Bytes before the body of a tag.
pub const TAG_HEADER_LEN: usize = 11;
/// Bytes after the body of a tag.
pub const BACK_POINTER_LEN: usize = 4;
/// The longest body: its length has 24 bits.
pub const BODY_MAX: usize = 0xff_ffff;

/// What a file begins with.
pub fn header(has_audio: bool, has_video: bool) -> [u8; HEADER_LEN] {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// What stands before and after a body of `len` bytes. `None`: it is longer than [`BODY_MAX`].
pub fn around(
    tag_type: TagType,
    len: usize,
    timestamp: u32,
) -> Option<([u8; TAG_HEADER_LEN], [u8; BACK_POINTER_LEN])> {
    let len = u32::try_from(len).ok().filter(|len| *len as usize <= BODY_MAX)?;
    let [_, l2, l1, l0] = len.to_be_bytes();
    let [high, t2, t1, t0] = timestamp.to_be_bytes();
    let header = [tag_type as u8, l2, l1, l0, t2, t1, t0, high, 0, 0, 0];
    Some((header, (len + 11).to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_in_it() {
        assert_eq!(header(true, true), *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!(header(true, false)[4], 4);
        assert_eq!(header(false, true)[4], 1);
    }

    #[test]
    fn lengths_have_24_bits_and_time_has_32() {
        let (before, after) = around(TagType::Video, 0x01_0203, 0x8004_0506).unwrap();

        assert_eq!(before, [9, 1, 2, 3, 4, 5, 6, 0x80, 0, 0, 0]);
        assert_eq!(after, 0x01_020e_u32.to_be_bytes());
        assert!(around(TagType::Audio, BODY_MAX, 0).is_some());
        assert_eq!(around(TagType::Audio, BODY_MAX + 1, 0), None);
    }
}
