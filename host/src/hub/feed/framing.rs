//! What is put around packets for the transport that carries them, once for all viewers of a feed.

/// How packets are wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Framing {
    /// Not at all: a byte stream.
    #[default]
    None,
    /// Each is a binary message of a WebSocket, unmasked, as servers send them (RFC 6455, section 5.2).
    WebSocket,
}

/// The longest prefix.
const PREFIX_MAX: usize = 10;
/// The last frame of a message, which is binary.
const FINAL_BINARY: u8 = 0x82;

/// What goes before a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefix {
    bytes: [u8; PREFIX_MAX],
    len: usize,
}

impl Prefix {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *place = *byte;
        }
        self.len += bytes.len();
    }
}

impl Framing {
    /// What goes before `len` bytes.
    pub(super) fn prefix(self, len: usize) -> Prefix {
        let mut prefix = Prefix::default();
        if self == Self::None || len == 0 {
            return prefix;
        }
        prefix.push(&[FINAL_BINARY]);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short @ ..126), _) => prefix.push(&[short]),
            (_, Ok(medium)) => {
                prefix.push(&[126]);
                prefix.push(&medium.to_be_bytes());
            }
            _ => {
                prefix.push(&[127]);
                prefix.push(&(len as u64).to_be_bytes());
            }
        }
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_as_few_bytes_as_it_can() {
        let cases: &[(usize, &[u8])] = &[
            (0, &[]),
            (1, &[0x82, 1]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xffff, &[0x82, 126, 0xff, 0xff]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (len, expected) in cases {
            assert_eq!(Framing::WebSocket.prefix(*len).as_slice(), *expected, "{len}");
            assert_eq!(Framing::None.prefix(*len).as_slice(), b"", "{len}");
        }
    }
}
