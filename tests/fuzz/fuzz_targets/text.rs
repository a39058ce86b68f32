//! The small things that are read from text: addresses of streams, `X-Forwarded-For`, durations, sizes, patterns, and URLs
//! on their way into the log.
//!
//! Proven: no panic; a stream's key is within its bound and reads as itself; a duration and a size that are shown read as the
//! same; a trusted proxy is never taken for a client; an address of a pattern matches without endless time.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use plugcast::auth::pattern::StreamPattern;
use plugcast::http::peer::last_untrusted;
use plugcast::hub::key::{self, KEY_BYTES_MAX, StreamKey};
use plugcast::log::mask;
use plugcast::net::Trusted;
use plugin_api::units::{ByteSize, HumanDuration, OptionalDuration};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok((key, _args)) = key::parse(text) {
        assert!(key.as_str().len() <= KEY_BYTES_MAX && key.as_str().contains('/'));
        assert_eq!(StreamKey::new(key.as_str()).as_ref(), Ok(&key));
    }
    if let Ok(duration) = text.parse::<HumanDuration>() {
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    if let Ok(duration) = text.parse::<OptionalDuration>() {
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    if let Ok(size) = text.parse::<ByteSize>() {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    let trusted: Trusted = Arc::new(|peer| peer.is_loopback());
    if let Some(client) = last_untrusted(text, &trusted) {
        assert!(!trusted(client));
    }
    if let Some((pattern, key)) = text.split_once(' ')
        && let Ok(pattern) = pattern.parse::<StreamPattern>()
    {
        // It ends: that is all.
        let _ = pattern.matches(key);
    }
    // What is masked twice may look otherwise, not tell more.
    let _ = mask::url(&mask::url(text));
}
