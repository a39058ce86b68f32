//! Decimal numbers with a unit, in integers: a float would turn `0.1s` into 99.999999 ms.

/// Digits after the decimal point that are read. More are refused, not rounded.
const FRACTION_DIGITS_MAX: usize = 9;

/// `12.5` as 125 / 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u64,
    scale: u64,
}

impl Decimal {
    /// This many units of `unit` each, rounded down; `None` on overflow.
    pub(super) fn times(self, unit: u64) -> Option<u64> {
        let product = u128::from(self.digits) * u128::from(unit) / u128::from(self.scale);
        u64::try_from(product).ok()
    }
}

/// Splits a number off the front. `None` when there is none, or it does not fit.
pub(super) fn split(text: &str) -> Option<(Decimal, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => {
            let (fraction, rest) = split_digits(after);
            if fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
                return None;
            }
            (fraction, rest)
        }
        None => ("", rest),
    };
    if whole.is_empty() {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let digits = whole.checked_mul(scale)?.checked_add(fraction)?;
    Some((Decimal { digits, scale }, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
