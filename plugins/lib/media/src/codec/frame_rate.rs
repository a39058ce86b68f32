//! A frame rate as parameter sets tell it: a ratio, so that 29.97 stays 30000/1001.

/// Frames per second. Neither part is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Ticks per second.
    pub numerator: u64,
    /// Ticks per frame.
    pub denominator: u64,
}

impl FrameRate {
    /// `None` when a part is zero, which encoders write for "unknown".
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (numerator != 0 && denominator != 0).then_some(Self { numerator, denominator })
    }

    /// Frames per second as one number.
    #[expect(clippy::cast_precision_loss, reason = "both parts come from 32 bits")]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}
