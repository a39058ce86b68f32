//! The decoder configuration record of H.264 and H.265, and what a track says of itself because of it.
//!
//! video → **record** → track

use media::codec::nal::{self, LengthSize};
use media::codec::{Error, FrameRate, codec_string, h264, h265};
use media::container::flv::metadata::Metadata;
use plugin_api::frame::{FourCc, Track, TrackKind};

/// As far as it is understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    H264(h264::Avcc),
    H265(Box<h265::Hvcc>),
}

/// A record as it came.
pub(super) struct Parsed {
    pub(super) record: Record,
    /// Of the frames that come with it.
    pub(super) length_size: LengthSize,
    /// What to give to players, if not what came: it says four-byte lengths, as frames in memory have.
    pub(super) rewritten: Option<Vec<u8>>,
}

impl Record {
    /// Reads a sequence header. `None`: the codec is another.
    pub(super) fn parse(codec: FourCc, bytes: &[u8]) -> Result<Option<Parsed>, Error> {
        let (parsed, is_annex_b) = match codec {
            FourCc::H264 => match h264::Avcc::parse(bytes) {
                Ok(record) => (Self::H264(record), false),
                Err(error) => (Self::from_annex_b(codec, bytes).ok_or(error)?, true),
            },
            FourCc::H265 => match h265::Hvcc::parse(bytes) {
                Ok(record) => (Self::H265(Box::new(record)), false),
                Err(error) => (Self::from_annex_b(codec, bytes).ok_or(error)?, true),
            },
            _ => return Ok(None),
        };
        let mut record = parsed;
        let length_size = std::mem::replace(record.length_size_mut(), LengthSize::Four);
        let is_normal = length_size == LengthSize::Four && !is_annex_b;
        let rewritten = (!is_normal).then(|| record.to_bytes());
        Ok(Some(Parsed { record, length_size, rewritten }))
    }

    /// Some encoders send the parameter sets as they are in place of a record.
    fn from_annex_b(codec: FourCc, bytes: &[u8]) -> Option<Self> {
        Self::updated(None, codec, nal::annex_b_units(bytes).map(|unit| unit.data))
    }

    /// The record after parameter sets in band: `None` when nothing changes, or when they are not enough for a new one.
    pub(super) fn updated<'a>(
        known: Option<&Self>,
        codec: FourCc,
        sets: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        match known {
            Some(Self::H264(record)) => record.updated(sets).map(Self::H264),
            Some(Self::H265(record)) => {
                record.updated(sets).map(|record| Self::H265(Box::new(record)))
            }
            None if codec == FourCc::H264 => h264::Avcc::from_parameter_sets(sets).map(Self::H264),
            None => {
                let record = h265::Hvcc::from_parameter_sets(sets)?;
                Some(Self::H265(Box::new(record)))
            }
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::H264(record) => record.write(&mut bytes),
            Self::H265(record) => record.write(&mut bytes),
        }
        bytes
    }

    fn length_size_mut(&mut self) -> &mut LengthSize {
        match self {
            Self::H264(record) => &mut record.length_size,
            Self::H265(record) => &mut record.length_size,
        }
    }

    /// Size and rate of the picture, as the first SPS has them.
    fn picture(&self) -> Option<Picture> {
        match self {
            Self::H264(record) => {
                let sps = h264::Sps::parse(record.sps.first()?).ok()?;
                Some(Picture { width: sps.width, height: sps.height, rate: sps.frame_rate })
            }
            Self::H265(record) => {
                let sps = record.units(h265::nal_type::SPS).next()?;
                let sps = h265::Sps::parse(sps).ok()?;
                Some(Picture { width: sps.width, height: sps.height, rate: sps.frame_rate })
            }
        }
    }
}

struct Picture {
    width: u32,
    height: u32,
    rate: Option<FrameRate>,
}

/// A track without its config: what the record says, else what onMetaData says.
pub(super) fn describe(id: u32, codec: FourCc, record: Option<&Record>, hints: &Metadata) -> Track {
    let mut track = Track::new(id, TrackKind::Video, codec);
    let hints = hints.video.clone().unwrap_or_default();
    let picture = record.and_then(Record::picture);
    let size = picture.as_ref().map(|picture| (picture.width, picture.height));
    (track.width, track.height) =
        size.unwrap_or_else(|| (hints.width.unwrap_or(0), hints.height.unwrap_or(0)));
    let rate = picture.and_then(|picture| picture.rate).and_then(fraction);
    track.frame_rate =
        rate.or_else(|| hints.frame_rate.and_then(nearest_fraction)).unwrap_or_default();
    track.codec_string = match record {
        Some(Record::H264(record)) => codec_string::avc1(record),
        Some(Record::H265(record)) => codec_string::hvc1(&record.profile_tier_level),
        None => String::new(),
    };
    track
}

/// In lowest terms, if it fits.
fn fraction(rate: FrameRate) -> Option<(u32, u32)> {
    let (mut a, mut b) = (rate.numerator, rate.denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    let numerator = u32::try_from(rate.numerator / divisor).ok()?;
    Some((numerator, u32::try_from(rate.denominator / divisor).ok()?))
}

/// Faster is no picture but an error.
const FRAME_RATE_MAX: f64 = 1000.0;

/// 29.97 is 30000/1001; anything else is taken to the thousandth.
fn nearest_fraction(rate: f64) -> Option<(u32, u32)> {
    if !(0.001..=FRAME_RATE_MAX).contains(&rate) {
        return None;
    }
    let ntsc = (rate * 1.001).round();
    if (rate - ntsc / 1.001).abs() < 0.005 && (rate - rate.round()).abs() > 0.005 {
        return fraction(FrameRate::new(whole(ntsc * 1000.0), 1001)?);
    }
    fraction(FrameRate::new(whole(rate * 1000.0), 1000)?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most FRAME_RATE_MAX times a thousand, and not negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_rates_for_what_they_are() {
        let cases = [
            (25.0, Some((25, 1))),
            (29.97, Some((30_000, 1001))),
            (30_000.0 / 1001.0, Some((30_000, 1001))),
            (23.976, Some((24_000, 1001))),
            (59.94, Some((60_000, 1001))),
            (12.5, Some((25, 2))),
            (0.0, None),
            (f64::NAN, None),
            (1e9, None),
        ];
        for (rate, expected) in cases {
            assert_eq!(nearest_fraction(rate), expected, "{rate}");
        }
    }
}
