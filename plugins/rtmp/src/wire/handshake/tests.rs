//! Handshake: both dialects, cut at every byte, and the refusals.
//!
//! The expected digests were computed with an independent HMAC (Python's `hmac`).

use super::super::testing::bytes;
use super::*;

const C0_C1_C2_LEN: usize = 1 + 2 * PACKET_LEN;

/// Scheme, place and value of C1's digest, place and value of S1's, end of S2.
type DigestCase = (&'static str, usize, &'static str, usize, &'static str, &'static str);

const DIGEST_FIRST: DigestCase = (
    "digest in the first half",
    110,
    "c25c9efe6188e45e801d6481c756d50a0ad16c2ad8297464483456a863a94104",
    66,
    "8871af2b3eac3553877383c7570d34da95b6e076b74d1804c6f306f1cbb16de7",
    "8b39ff6daadc7881826ba2cff6ac4199cba0b2ff237983612b77394a0961e949",
);

const DIGEST_SECOND: DigestCase = (
    "digest in the second half",
    1446,
    "9493ee7a3bd36bf104e7708ab1a3b5e9e1709a271a31e8fd342c36c9df70d71c",
    1014,
    "ca77e84e4c7075f84d248bc7c95e7aa7f2652b1cfbe69bddcb95471669153e0f",
    "2b9ca05a97860076c4107f221ec17406217fa29b34d3c3ee20d8b9d217925d23",
);

fn noise() -> Box<[u8; NOISE_LEN]> {
    Box::new(std::array::from_fn(|i| u8::try_from((i * 7 + 3) % 256).unwrap()))
}

fn server() -> ServerHandshake {
    ServerHandshake::new(77, noise())
}

/// C1 with a version of zero, or of Flash Player 9 and the given digest at its place.
fn c1(digest: Option<(usize, &str)>) -> Packet {
    let version = if digest.is_some() { [0x80, 0, 7, 2] } else { [0; 4] };
    let noise = std::array::from_fn(|i| u8::try_from((i * 13 + 5) % 251).unwrap());
    let mut c1 = packet(0x0102_0304, version, &noise);
    if let Some((at, hex)) = digest {
        c1.iter_mut().skip(at).zip(bytes(hex)).for_each(|(to, from)| *to = from);
    }
    c1
}

/// Everything a client sends, with some of the chunk stream after it.
fn client_bytes(c1: &Packet, after: &[u8]) -> Vec<u8> {
    [&[3], &c1[..], &[0xee; PACKET_LEN], after].concat()
}

/// Feeds `input` in two pieces; gives the reply and what is left of the input.
fn run(input: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut handshake, mut output) = (server(), Vec::new());
    let (mut first, second) = input.split_at(cut);
    let step = handshake.push(&mut first, &mut output).expect("first piece");
    assert_eq!(step == Step::Done, cut >= C0_C1_C2_LEN, "cut at {cut}");
    let mut rest = [first, second].concat();
    let mut input = rest.as_slice();
    assert_eq!(handshake.push(&mut input, &mut output), Ok(Step::Done), "cut at {cut}");
    rest = input.to_vec();
    (output, rest)
}

#[test]
fn answers_a_plain_client_with_its_own_c1() {
    let c1 = c1(None);

    let (output, rest) = run(&client_bytes(&c1, b"chunks"), 0);

    let s1 = [&bytes("0000004d 00000000")[..], &noise()[..]].concat();
    assert_eq!(output, [&[3], &s1[..], &c1[..]].concat());
    assert_eq!(rest, b"chunks");
}

#[test]
fn answers_a_digest_in_the_scheme_of_the_client() {
    for (scheme, c1_at, c1_digest, s1_at, s1_digest, s2_end) in [DIGEST_FIRST, DIGEST_SECOND] {
        let input = client_bytes(&c1(Some((c1_at, c1_digest))), b"");

        let (output, _) = run(&input, 0);

        let (s1, s2) = output[1..].split_at(PACKET_LEN);
        assert_eq!(s1[..8], bytes("0000004d 04050001"), "{scheme}");
        assert_eq!(s1[s1_at..s1_at + 32], bytes(s1_digest), "{scheme}");
        assert_eq!(s2[..1504], noise()[..1504], "{scheme}");
        assert_eq!(s2[1504..], bytes(s2_end), "{scheme}");
    }
}

#[test]
fn answers_plainly_if_the_digest_does_not_verify() {
    let (scheme, at, digest, ..) = DIGEST_FIRST;
    let mut c1 = c1(Some((at, digest)));
    c1[at] ^= 1;

    let (output, _) = run(&client_bytes(&c1, b""), 0);

    assert_eq!(output[1 + PACKET_LEN..], c1, "{scheme}");
}

#[test]
fn gives_the_same_answer_cut_at_every_byte() {
    let (_, at, digest, ..) = DIGEST_SECOND;
    // Hashing is slow without optimisation: the digest client is cut at fewer places.
    for (c1, step) in [(c1(None), 1), (c1(Some((at, digest))), 61)] {
        let input = client_bytes(&c1, b"chunks");
        let whole = run(&input, 0);
        for cut in (1..=input.len()).step_by(step) {
            assert_eq!(run(&input, cut), whole, "cut at {cut}");
        }
    }
}

#[test]
fn takes_single_bytes() {
    let input = client_bytes(&c1(None), b"");
    let (mut handshake, mut output) = (server(), Vec::new());

    let steps: Vec<Step> = input
        .chunks(1)
        .map(|mut byte| handshake.push(&mut byte, &mut output).expect("valid"))
        .collect();

    assert_eq!(steps.iter().position(|step| *step == Step::Done), Some(C0_C1_C2_LEN - 1));
    assert_eq!(output, run(&input, 0).0);
}

#[test]
fn accepts_a_c2_that_repeats_nothing() {
    // `client_bytes` has such a C2.
    let (_, rest) = run(&client_bytes(&c1(None), &[2]), 0);

    assert_eq!(rest, [2]);
}

#[test]
fn refuses_other_versions_at_the_first_byte() {
    for version in 0..=u8::MAX {
        let (mut handshake, mut output) = (server(), Vec::new());

        let step = handshake.push(&mut &[version][..], &mut output);

        let expected = match version {
            3 => Ok(Step::NeedMore),
            6 | 8 | 9 => Err(Error::EncryptedHandshake { version }),
            0x16 => Err(Error::TlsOnPlainPort),
            version => Err(Error::Version { version }),
        };
        assert_eq!(step, expected);
        assert!(output.is_empty());
    }
}

#[test]
fn client_and_server_understand_each_other() {
    let (mut client, mut server) = (ClientHandshake::new(5, noise()), server());
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());

    assert_eq!(client.push(&mut &[][..], &mut to_server), Ok(Step::NeedMore));
    assert_eq!(server.push(&mut &to_server[..], &mut to_client), Ok(Step::NeedMore));
    to_server.clear();
    to_client.extend_from_slice(b"chunks");
    let mut rest = &to_client[..];
    assert_eq!(client.push(&mut rest, &mut to_server), Ok(Step::Done));
    assert_eq!(server.push(&mut &to_server[..], &mut Vec::new()), Ok(Step::Done));

    assert_eq!(rest, b"chunks");
    assert_eq!(to_server, to_client[1..=PACKET_LEN], "C2 repeats S1");
}
