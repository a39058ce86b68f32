//! The first bytes of a connection from a trusted proxy: the PROXY header, version 1 or 2, and what follows it.
//!
//! Proven: no panic; a header lies within the bytes and its bound; what is read from a whole header does not depend on what
//! follows; a prefix never gives another header. Not proven: that the address is the one that the proxy meant.
#![cfg_attr(fuzzing, no_main)]

use plugcast::net::proxy::{Parsed, parse};

/// What the longer of the two versions may take.
const HEADER_BYTES_MAX: usize = 536;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    match parse(data) {
        Ok(Parsed::Header { len, source }) => {
            assert!(len <= data.len() && len <= HEADER_BYTES_MAX);
            assert_eq!(parse(&data[..len]), Ok(Parsed::Header { len, source }));
            assert_eq!(parse(&data[..len - 1]), Ok(Parsed::Incomplete));
        }
        Ok(Parsed::Incomplete) => assert!(data.len() < HEADER_BYTES_MAX),
        Ok(Parsed::Absent) | Err(_) => {}
    }
}
