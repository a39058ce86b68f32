//! Helpers of the unit tests: readable bytes, and every prefix of a sample.

/// Bytes from hex digits; white space separates fields.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("hex")).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of hex digits in {hex:?}");
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Runs `parse` on every proper prefix of `sample`. A panic is the failure that it looks for;
/// what each prefix gives is for the caller to judge.
pub(crate) fn each_truncation(sample: &[u8], mut parse: impl FnMut(&[u8])) {
    for end in 0..sample.len() {
        parse(&sample[..end]);
    }
}
