//! The digest dialect of the handshake. It is in no specification; servers and clients agree on it
//! since Flash Player 9.
//!
//! After time and version, C1 and S1 have two halves of 764 bytes. One holds a digest, the other a
//! Diffie-Hellman key that only RTMPE uses; which is which is the client's choice. A half with a
//! digest begins with four bytes whose sum, modulo 728, says how far after them the digest lies.
//!
//! ```text
//! scheme 0:  time 4 │ version 4 │ key 764    │ digest 764
//! scheme 1:  time 4 │ version 4 │ digest 764 │ key 764
//! ```
//!
//! The digest is the HMAC-SHA256 of the packet without the digest's own 32 bytes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{NOISE_LEN, PACKET_LEN, Packet};

const DIGEST_LEN: usize = 32;
/// Where a digest half's four position bytes begin, for each scheme.
const FIRST_HALF: usize = 8;
const SECOND_HALF: usize = FIRST_HALF + 764;
/// 764 bytes, less four for the position and 32 for the digest.
const POSITIONS: usize = 728;

/// What a client signs C1 with.
pub(super) const CLIENT_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
/// What a server signs S1 with.
pub(super) const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";
/// What a server signs S2 with: its key and 32 bytes that both sides know.
pub(super) const SERVER_SECRET: &[u8] = b"Genuine Adobe Flash Media Server 001\
    \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
    \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae";

type Digest = [u8; DIGEST_LEN];

/// Which half of a packet holds the digest. The server answers in the client's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Scheme 1; ffmpeg and librtmp.
    FirstHalf,
    /// Scheme 0.
    SecondHalf,
}

/// A digest that verified.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) value: Digest,
}

/// Looks for a digest in both halves. `None`: the peer speaks the plain dialect.
pub(super) fn find(packet: &Packet, key: &[u8]) -> Option<Found> {
    // The version is zero in the plain dialect: no need to hash for those clients.
    if packet.get(4..8)? == [0; 4] {
        return None;
    }
    [Place::FirstHalf, Place::SecondHalf].into_iter().find_map(|place| {
        let (before, value, after) = split(packet, place)?;
        (hmac(key, &[before, after]) == value).then_some(Found { place, value })
    })
}

/// Puts the digest of `packet` into it.
pub(super) fn imprint(packet: &mut Packet, place: Place, key: &[u8]) {
    let Some((before, _, after)) = split(packet, place) else { return };
    let (position, value) = (before.len(), hmac(key, &[before, after]));
    for (to, from) in packet.iter_mut().skip(position).zip(value) {
        *to = from;
    }
}

/// Makes S2 (or C2): noise, closed by its HMAC under a key that the peer's digest was turned into.
pub(super) fn response(noise: &[u8; NOISE_LEN], peer: &Digest, secret: &[u8]) -> Packet {
    let noise = noise.first_chunk::<{ PACKET_LEN - DIGEST_LEN }>().unwrap_or(&[0; 1504]);
    let signature = hmac(&hmac(secret, &[peer]), &[noise]);
    let mut packet = [0; PACKET_LEN];
    for (to, from) in packet.iter_mut().zip(noise.iter().copied().chain(signature)) {
        *to = from;
    }
    packet
}

/// The packet before, in and after its digest.
fn split(packet: &Packet, place: Place) -> Option<(&[u8], Digest, &[u8])> {
    let half = match place {
        Place::FirstHalf => FIRST_HALF,
        Place::SecondHalf => SECOND_HALF,
    };
    let position = packet.get(half..half + 4)?;
    let sum: usize = position.iter().map(|&byte| usize::from(byte)).sum();
    let (before, rest) = packet.split_at_checked(half + 4 + sum % POSITIONS)?;
    let (value, after) = rest.split_first_chunk::<DIGEST_LEN>()?;
    Some((before, *value, after))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    // A key of any length is valid for HMAC (RFC 2104, section 2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; DIGEST_LEN] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
