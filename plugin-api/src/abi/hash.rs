//! `PC_HEADER_HASH`: which header set this library was compiled with.
//!
//! While the contract is v0, host and plugin must have the same one. It is FNV-1a 64, in hex, over all headers but `hash.h`,
//! in alphabetical order, one after the other.

const HEADERS: [&[u8]; 13] = [
    include_bytes!("../../include/plugcast/auth.h"),
    include_bytes!("../../include/plugcast/config.h"),
    include_bytes!("../../include/plugcast/core.h"),
    include_bytes!("../../include/plugcast/exec.h"),
    include_bytes!("../../include/plugcast/feeds.h"),
    include_bytes!("../../include/plugcast/http.h"),
    include_bytes!("../../include/plugcast/log.h"),
    include_bytes!("../../include/plugcast/mem.h"),
    include_bytes!("../../include/plugcast/metrics.h"),
    include_bytes!("../../include/plugcast/net.h"),
    include_bytes!("../../include/plugcast/plugcast.h"),
    include_bytes!("../../include/plugcast/streams.h"),
    include_bytes!("../../include/plugcast/tasks.h"),
];

const HEX: [u8; 16] = hex(fnv1a(&HEADERS));

/// `PC_HEADER_HASH`, 16 hex digits.
pub const HEADER_HASH: &str = match std::str::from_utf8(&HEX) {
    Ok(text) => text,
    Err(_) => panic!("hex digits are ASCII"),
};

const fn fnv1a(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut part = 0;
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            hash = (hash ^ parts[part][i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        part += 1;
    }
    hash
}

const fn hex(value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let mut i = 0;
    while i < 16 {
        digits[i] = b"0123456789abcdef"[(value >> (60 - 4 * i) & 15) as usize];
        i += 1;
    }
    digits
}
