//! What is read, what is refused, and that what is written is read again.

use std::time::Duration;

use super::{ByteSize, Error, HumanDuration, OptionalDuration};

#[test]
fn reads_durations() {
    for (text, millis) in [
        ("10s", 10_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("1m30s", 90_000),
        ("0.1s", 100),
        ("1.5s", 1_500),
        (" 3s ", 3_000),
        ("0s", 0),
    ] {
        assert_eq!(text.parse(), Ok(HumanDuration::from_millis(millis)), "{text}");
    }
}

#[test]
fn refuses_what_is_no_duration() {
    for text in ["", "s", "10 s", "10S", "10sec", "-1s", "1.s", ".5s", "10s5", "ten"] {
        assert_eq!(
            text.parse::<HumanDuration>(),
            Err(Error::NotADuration(text.to_owned())),
            "{text}"
        );
    }
    assert_eq!("10".parse::<HumanDuration>(), Err(Error::NoUnit("10".to_owned())));
}

#[test]
fn refuses_durations_beyond_the_longest() {
    assert!("366d".parse::<HumanDuration>().is_ok());
    for text in ["367d", "366d1us", "18446744073709551615d"] {
        assert_eq!(text.parse::<HumanDuration>(), Err(Error::TooLong(text.to_owned())), "{text}");
    }
}

#[test]
fn writes_durations_in_the_longest_unit_that_fits() {
    for (millis, text) in
        [(0, "0s"), (1, "1ms"), (1_500, "1500ms"), (90_000, "90s"), (3_600_000, "1h")]
    {
        assert_eq!(HumanDuration::from_millis(millis).to_string(), text);
    }
    assert_eq!("0.00005s".parse::<HumanDuration>().unwrap().to_string(), "50us");
}

#[test]
fn off_is_no_duration() {
    assert_eq!("off".parse(), Ok(OptionalDuration::OFF));
    assert_eq!(
        "5s".parse::<OptionalDuration>().map(OptionalDuration::get),
        Ok(Some(Duration::from_secs(5)))
    );
    assert_eq!(serde_json::to_string(&OptionalDuration::OFF).unwrap(), "\"off\"");
}

#[test]
fn reads_sizes() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("16MiB", 16 << 20),
        ("16 mib", 16 << 20),
        ("1GB", 1_000_000_000),
        ("1.5kB", 1_500),
        ("1.5KiB", 1_536),
        ("7B", 7),
        ("9223372036854775807", i64::MAX.unsigned_abs()),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize::from_bytes(bytes)), "{text}");
    }
}

#[test]
fn refuses_what_is_no_size() {
    for text in ["", "MiB", "-1", "16MiBit", "1e6", "1.MiB"] {
        assert_eq!(text.parse::<ByteSize>(), Err(Error::NotASize(text.to_owned())), "{text}");
    }
    assert_eq!("16M".parse::<ByteSize>(), Err(Error::AmbiguousUnit("16M".to_owned())));
    for text in ["9223372036854775808", "8388608TiB"] {
        assert_eq!(text.parse::<ByteSize>(), Err(Error::TooBig(text.to_owned())), "{text}");
    }
}

#[test]
fn sizes_are_read_from_numbers_and_texts() {
    assert_eq!(serde_json::from_str::<ByteSize>("4096").unwrap(), ByteSize::from_kib(4));
    assert_eq!(serde_json::from_str::<ByteSize>("\"4KiB\"").unwrap(), ByteSize::from_kib(4));
    assert!(serde_json::from_str::<ByteSize>("-1").is_err());
    assert_eq!(serde_json::to_string(&ByteSize::from_mib(16)).unwrap(), "\"16MiB\"");
    assert_eq!(ByteSize::from_bytes(1_000_000).to_string(), "1000000");
}
