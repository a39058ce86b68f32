//! When a certificate ends. Only the way to that one field is read (RFC 5280, section 4.1).

use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version, which is left out in version 1.
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate.
pub(super) fn not_after(der: &[u8]) -> Result<SystemTime, &'static str> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, fields) = expect(fields, VERSION)?;
    }
    (_, fields) = expect(fields, INTEGER)?; // serial number
    (_, fields) = expect(fields, SEQUENCE)?; // signature algorithm
    (_, fields) = expect(fields, SEQUENCE)?; // issuer
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, after_not_before) = element(validity)?;
    let (tag, text, _) = element(after_not_before)?;
    time(tag, text).ok_or("its end is not a time")
}

fn expect(der: &[u8], tag: u8) -> Result<(&[u8], &[u8]), &'static str> {
    match element(der)? {
        (found, content, rest) if found == tag => Ok((content, rest)),
        _ => Err("not an X.509 certificate"),
    }
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Result<(u8, &[u8], &[u8]), &'static str> {
    const CUT: &str = "cut short";
    let (&[tag, first], mut rest) = der.split_first_chunk().ok_or(CUT)?;
    let mut len = usize::from(first);
    if first & 0x80 != 0 {
        let n = usize::from(first & 0x7f);
        if !(1..=4).contains(&n) {
            return Err("a length that DER does not have");
        }
        let (digits, after) = rest.split_at_checked(n).ok_or(CUT)?;
        len = digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(len).ok_or(CUT)?;
    Ok((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (section 4.1.2.5).
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let text = text.strip_suffix(b"Z")?;
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0_u64, |n, d| n * 10 + u64::from(d - b'0'));
    let (year, rest) = match tag {
        UTC_TIME if text.len() == 12 => {
            let (year, rest) = text.split_at(2);
            let year = number(year);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME if text.len() == 14 => {
            let (year, rest) = text.split_at(4);
            (number(year), rest)
        }
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut next = || parts.next();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let leap_days = |until: u64| until / 4 - until / 100 + until / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    let month = usize::try_from(month).unwrap_or(1);
    let months = BEFORE.get(month - 1).copied().unwrap_or(0);
    years + months + u64::from(is_leap && month > 2) + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_a_time() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "261122183000Z", Some(1_795_372_200)),
            (GENERALIZED_TIME, "20240301000000Z", Some(1_709_251_200)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "20240301000000Z", None),
            (UTC_TIME, "241301000000Z", None),
            (UTC_TIME, "2403010000+0Z", None),
            (GENERALIZED_TIME, "", None),
        ] {
            let time = time(tag, text.as_bytes());
            let seconds =
                time.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(seconds, expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        for der in
            [&b""[..], b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x02\x01\x00", b"\x30\x80\0\0"]
        {
            assert!(not_after(der).is_err(), "{der:?}");
        }
    }
}
