//! The first 3073 bytes each way: versions, clocks and noise, before any chunk.
//!
//! socket → **handshake** → chunk_reader → message → session → ingest → host
//!
//! ```text
//! client                     server
//!   C0 (1)  C1 (1536)  ──▶
//!                      ◀──   S0 (1)  S1 (1536)  S2 (1536)
//!   C2 (1536)          ──▶
//!   chunks …           ◀─▶   chunks …
//! ```
//!
//! There are two dialects (RTMP 1.0 section 5.2 knows the first only):
//!
//! - *plain*: S2 repeats C1, C2 repeats S1;
//! - *digest*, "complex": C1 and S1 hide an HMAC-SHA256 of themselves in their noise, S2 and C2
//!   close with an HMAC whose key comes from the other side's digest. See `digest.rs`.
//!
//! The dialect is the client's choice. We look for a digest where C1's version field is not zero,
//! and answer in kind if one verifies; any other C1 gets the plain answer.
//!
//! Deviations, all to accept what real peers send:
//!
//! - The specification has a peer check C2 against S1. We do not: GStreamer's rtmp2sink answers
//!   with noise of its own, and Flash players answered some servers' S1 with a digest that we
//!   cannot know. Tests: `gstreamer_rtmp2sink_publishes`, `accepts_a_c2_that_repeats_nothing`.
//! - The specification puts the time of reading C1 into S2's second field. We repeat C1 unchanged,
//!   as all servers do: librtmp compares all of S2 with its C1.

mod digest;

use super::error::Error;

/// The version of plain RTMP (section 5.2.2).
const VERSION: u8 = 3;
/// RTMPE, the encrypted dialects of Flash Player 9 and later. Not in RTMP 1.0.
const VERSIONS_ENCRYPTED: [u8; 3] = [6, 8, 9];
/// The first byte of a TLS record that carries a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The length of C1, S1, C2 and S2 (sections 5.2.3 and 5.2.4).
pub const PACKET_LEN: usize = 1536;
/// How much noise the caller brings: C1 or S1 less time and version (section 5.2.3).
pub const NOISE_LEN: usize = PACKET_LEN - 8;

/// The version that we give in S1 of the digest dialect, that of Flash Media Server 4.5. ffmpeg
/// verifies a server's digest from 3 in the second byte on.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

type Packet = [u8; PACKET_LEN];

/// Whether the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    NeedMore,
    Done,
}

/// The server's half, both dialects.
///
/// Feed bytes as they come; send what appears in `output`. Time and noise are arguments, so a test
/// can split the input anywhere and knows every byte of the reply. Holds at most one packet.
pub struct ServerHandshake {
    phase: ServerPhase,
    epoch_ms: u32,
    noise: Box<[u8; NOISE_LEN]>,
    partial: Vec<u8>,
}

#[derive(Clone, Copy)]
enum ServerPhase {
    AwaitC0,
    AwaitC1,
    AwaitC2,
    Done,
}

impl ServerHandshake {
    /// `epoch_ms` is our clock, which S1 tells the client (section 5.2.3); any start will do.
    pub fn new(epoch_ms: u32, noise: Box<[u8; NOISE_LEN]>) -> Self {
        Self { phase: ServerPhase::AwaitC0, epoch_ms, noise, partial: Vec::new() }
    }

    /// Takes bytes from the front of `input` and appends the reply to `output`.
    ///
    /// Returns `Done` once C2 has been read; bytes after it stay in `input` for the chunk reader.
    ///
    /// # Errors
    ///
    /// Only for a version byte other than 3; refused at the first byte, before anything is sent.
    pub fn push(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            self.phase = match self.phase {
                ServerPhase::AwaitC0 => {
                    let Some((&version, rest)) = input.split_first() else {
                        return Ok(Step::NeedMore);
                    };
                    check_version(version)?;
                    *input = rest;
                    ServerPhase::AwaitC1
                }
                ServerPhase::AwaitC1 => {
                    let Some(c1) = take_packet(&mut self.partial, input) else {
                        return Ok(Step::NeedMore);
                    };
                    self.answer(&c1, output);
                    ServerPhase::AwaitC2
                }
                ServerPhase::AwaitC2 => {
                    let Some(_unchecked) = take_packet(&mut self.partial, input) else {
                        return Ok(Step::NeedMore);
                    };
                    ServerPhase::Done
                }
                ServerPhase::Done => return Ok(Step::Done),
            }
        }
    }

    /// Writes S0, S1 and S2 at once: a client may send C2 when it has S1, and none waits for less.
    fn answer(&self, c1: &Packet, output: &mut Vec<u8>) {
        output.push(VERSION);
        if let Some(client) = digest::find(c1, digest::CLIENT_KEY) {
            let mut s1 = packet(self.epoch_ms, SERVER_VERSION, &self.noise);
            digest::imprint(&mut s1, client.place, digest::SERVER_KEY);
            output.extend_from_slice(&s1);
            output.extend_from_slice(&digest::response(
                &self.noise,
                &client.value,
                digest::SERVER_SECRET,
            ));
        } else {
            output.extend_from_slice(&packet(self.epoch_ms, [0; 4], &self.noise));
            output.extend_from_slice(c1);
        }
    }
}

/// The client's half, plain dialect only: no server that we know refuses it.
pub struct ClientHandshake {
    phase: ClientPhase,
    epoch_ms: u32,
    noise: Box<[u8; NOISE_LEN]>,
    partial: Vec<u8>,
}

#[derive(Clone, Copy)]
enum ClientPhase {
    SendC0C1,
    AwaitS0,
    AwaitS1,
    AwaitS2,
    Done,
}

impl ClientHandshake {
    /// `epoch_ms` is our clock, which C1 tells the server.
    pub fn new(epoch_ms: u32, noise: Box<[u8; NOISE_LEN]>) -> Self {
        Self { phase: ClientPhase::SendC0C1, epoch_ms, noise, partial: Vec::new() }
    }

    /// Like [`ServerHandshake::push`]. Call it once with empty input to get C0 and C1.
    ///
    /// # Errors
    ///
    /// Only for a version byte other than 3.
    pub fn push(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            self.phase = match self.phase {
                ClientPhase::SendC0C1 => {
                    output.push(VERSION);
                    output.extend_from_slice(&packet(self.epoch_ms, [0; 4], &self.noise));
                    ClientPhase::AwaitS0
                }
                ClientPhase::AwaitS0 => {
                    let Some((&version, rest)) = input.split_first() else {
                        return Ok(Step::NeedMore);
                    };
                    check_version(version)?;
                    *input = rest;
                    ClientPhase::AwaitS1
                }
                ClientPhase::AwaitS1 => {
                    let Some(s1) = take_packet(&mut self.partial, input) else {
                        return Ok(Step::NeedMore);
                    };
                    output.extend_from_slice(&s1);
                    ClientPhase::AwaitS2
                }
                ClientPhase::AwaitS2 => {
                    let Some(_unchecked) = take_packet(&mut self.partial, input) else {
                        return Ok(Step::NeedMore);
                    };
                    ClientPhase::Done
                }
                ClientPhase::Done => return Ok(Step::Done),
            }
        }
    }
}

fn check_version(version: u8) -> Result<(), Error> {
    match version {
        VERSION => Ok(()),
        version if VERSIONS_ENCRYPTED.contains(&version) => {
            Err(Error::EncryptedHandshake { version })
        }
        TLS_HANDSHAKE => Err(Error::TlsOnPlainPort),
        version => Err(Error::Version { version }),
    }
}

/// Moves bytes from `input` until `partial` holds a whole packet, then gives it and starts over.
fn take_packet(partial: &mut Vec<u8>, input: &mut &[u8]) -> Option<Packet> {
    let wanted = PACKET_LEN.saturating_sub(partial.len()).min(input.len());
    let (taken, rest) = input.split_at_checked(wanted)?;
    partial.extend_from_slice(taken);
    *input = rest;
    let packet = Packet::try_from(partial.as_slice()).ok()?;
    partial.clear();
    Some(packet)
}

/// Lays out C1 or S1: time, version (zero in the plain dialect), noise (section 5.2.3).
fn packet(epoch_ms: u32, version: [u8; 4], noise: &[u8; NOISE_LEN]) -> Packet {
    let mut packet = [0; PACKET_LEN];
    let fields = epoch_ms.to_be_bytes().into_iter().chain(version).chain(noise.iter().copied());
    for (to, from) in packet.iter_mut().zip(fields) {
        *to = from;
    }
    packet
}

#[cfg(test)]
mod tests;
