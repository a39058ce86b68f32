//! What can be wrong with a codec's bytes.

use crate::bits::{self, ByteReader};

/// The bytes are not what their codec says. `offset` counts from the first byte given to the call;
/// within a parameter set, after emulation prevention bytes are taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input ends inside a field.
    #[error("input ends at byte {offset} inside {expected}")]
    Truncated {
        /// Where the field begins.
        offset: usize,
        /// The field that is not whole.
        expected: &'static str,
    },

    /// A field has a value that its specification does not allow.
    #[error("{field} at byte {offset} is {value} ({section})")]
    Invalid {
        /// The name of the field in its specification.
        field: &'static str,
        /// What it says.
        value: u64,
        /// Where it ends.
        offset: usize,
        /// Where the specification says what is allowed.
        section: &'static str,
    },
}

impl From<bits::Error> for Error {
    fn from(error: bits::Error) -> Self {
        match error {
            bits::Error::Truncated { offset, field } => Self::Truncated { offset, expected: field },
            bits::Error::GolombTooLong { offset, field } => Self::Invalid {
                field,
                value: u64::MAX,
                offset,
                section: "ITU-T H.264, section 9.1",
            },
        }
    }
}

/// Reads a field or says which one is not whole.
pub(super) fn need<'a, T>(
    bytes: &mut ByteReader<'a>,
    expected: &'static str,
    read: impl FnOnce(&mut ByteReader<'a>) -> Option<T>,
) -> Result<T, Error> {
    let offset = bytes.offset();
    read(bytes).ok_or(Error::Truncated { offset, expected })
}
