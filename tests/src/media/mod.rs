//! Frames as lists, and the question that most tests ask: did the viewer get what was published?
//!
//! The answer is exact. From the first frame that the viewer has to the end, every frame of the source is there once, in
//! order, with the same bytes, and every dts and pts differs from the source's by one constant, to the millisecond, the
//! same for audio and video. The first video frame is a key frame.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::flv::{self, Body, Tag};

/// Audio that belongs before this distance behind the first video frame may stay with the frames before the join.
const INTERLEAVE_SLACK_MS: i64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    Audio,
    Video,
}

/// One frame. `content` stands for its bytes: a hash, of the same kind in lists that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub dts_ms: i64,
    pub pts_ms: i64,
    pub key: bool,
    pub content: String,
}

/// The frames of a stream, each track in decoding order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    pub video: Vec<Frame>,
    pub audio: Vec<Frame>,
}

/// How far a viewer must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the source's last frame.
    End,
    /// Anywhere: it was stopped before.
    Cut,
}

/// Where a viewer joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// What the viewer's stamps are above the source's.
    pub offset_ms: i64,
    /// The index, in the source, of the first frame of each track.
    pub first_video: Option<usize>,
    pub first_audio: Option<usize>,
}

/// Why a list is not the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Nothing at all was received of a track that must be there.
    Nothing { track: Track },
    /// The first video frame is no key frame, or the viewer's first frame is not one of the source's.
    NoStartPoint { track: Track },
    /// The source's frame `at` is not there, though later ones are.
    Missing { track: Track, at: usize },
    /// The source has frames from `at` on that the viewer has not.
    CutOff { track: Track, at: usize },
    /// The source's frame `at` comes twice.
    Doubled { track: Track, at: usize },
    /// The source's frame `at` comes later than its place.
    Reordered { track: Track, at: usize },
    /// The right bytes with other stamps.
    Shifted { track: Track, at: usize, dts_ms: i64, pts_ms: i64 },
    /// Bytes that the source has not.
    Changed { track: Track, at: usize },
    /// Frames after the source's last one.
    Extra { track: Track, count: usize },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { track } => write!(f, "no {track:?} frame at all"),
            Self::NoStartPoint { track } => {
                write!(f, "the first {track:?} frame is no start point of the source")
            }
            Self::Missing { track, at } => write!(f, "{track:?} frame {at} is missing"),
            Self::CutOff { track, at } => write!(f, "{track:?} ends before frame {at}"),
            Self::Doubled { track, at } => write!(f, "{track:?} frame {at} comes twice"),
            Self::Reordered { track, at } => write!(f, "{track:?} frame {at} comes late"),
            Self::Shifted { track, at, dts_ms, pts_ms } => {
                write!(f, "{track:?} frame {at} is shifted by dts {dts_ms} ms, pts {pts_ms} ms")
            }
            Self::Changed { track, at } => write!(f, "{track:?} frame {at} has other bytes"),
            Self::Extra { track, count } => {
                write!(f, "{count} {track:?} frames after the last one")
            }
        }
    }
}

impl Frames {
    pub fn track(&self, track: Track) -> &[Frame] {
        match track {
            Track::Audio => &self.audio,
            Track::Video => &self.video,
        }
    }

    /// The frames of tags or messages. Stamps that wrap at 32 bits go on rising here.
    pub fn of_tags<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Self {
        let mut frames = Self::default();
        let mut clock = Unwrapped::default();
        for tag in tags.into_iter().filter(|tag| tag.kind != flv::SCRIPT) {
            let dts_ms = clock.unwrap(tag.time_ms);
            let Body::Frame { key, composition_ms, payload, .. } = tag.parse() else { continue };
            let frame = Frame {
                dts_ms,
                pts_ms: dts_ms + i64::from(composition_ms),
                key,
                content: content(payload),
            };
            if tag.kind == flv::VIDEO { frames.video.push(frame) } else { frames.audio.push(frame) }
        }
        frames
    }

    /// The frames of ffmpeg's framehash listing, in milliseconds. It has no key flags: they are taken from
    /// [`Self::with_keys_of`].
    #[track_caller]
    pub fn of_framehash(lines: &[String]) -> Self {
        let mut frames = Self::default();
        let mut kinds: Vec<Option<Track>> = Vec::new();
        for line in lines {
            if let Some(rest) = line.strip_prefix("#media_type ") {
                let (index, kind) = rest.split_once(": ").expect("#media_type index: kind");
                let index: usize = index.parse().expect("a stream index");
                kinds.resize(kinds.len().max(index + 1), None);
                kinds[index] = match kind {
                    "video" => Some(Track::Video),
                    "audio" => Some(Track::Audio),
                    _ => None,
                };
            } else if let Some(rest) = line.strip_prefix("#tb ") {
                assert!(rest.ends_with(": 1/1000"), "stamps are not in milliseconds: {line}");
            } else if !line.starts_with('#') && !line.is_empty() {
                let fields: Vec<&str> = line.split(',').map(str::trim).collect();
                let [stream, dts, pts, _duration, _size, hash, ..] = fields.as_slice() else {
                    panic!("not a framehash line: {line}");
                };
                let number = |text: &str| {
                    text.parse::<i64>().unwrap_or_else(|_| panic!("no number in: {line}"))
                };
                let index = usize::try_from(number(stream)).expect("a stream index");
                let frame = Frame {
                    dts_ms: number(dts),
                    pts_ms: number(pts),
                    key: false,
                    content: (*hash).to_owned(),
                };
                match kinds.get(index).copied().flatten() {
                    Some(Track::Video) => frames.video.push(frame),
                    Some(Track::Audio) => frames.audio.push(frame),
                    None => {}
                }
            }
        }
        frames
    }

    /// Takes the key flags of a list of the same frames.
    #[must_use]
    #[track_caller]
    pub fn with_keys_of(mut self, other: &Self) -> Self {
        assert_eq!(self.video.len(), other.video.len(), "not lists of the same frames");
        for (frame, other) in self.video.iter_mut().zip(&other.video) {
            frame.key = other.key;
        }
        self
    }
}

/// Stamps of 32 bits that go on rising where they wrap.
#[derive(Debug, Default)]
pub struct Unwrapped {
    last: Option<i64>,
}

impl Unwrapped {
    pub fn unwrap(&mut self, time_ms: u32) -> i64 {
        let unwrapped = match self.last {
            None => i64::from(time_ms),
            Some(last) => {
                let low = u32::try_from(last.rem_euclid(1 << 32)).expect("a remainder of 32 bits");
                // The nearer way round, so that a step backwards stays a step backwards.
                last + i64::from(time_ms.wrapping_sub(low).cast_signed())
            }
        };
        self.last = Some(unwrapped);
        unwrapped
    }
}

/// Stands for the bytes of a payload.
pub fn content(payload: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    format!("{:016x}-{}", hasher.finish(), payload.len())
}

/// Compares what a viewer has with what was published. Errors list the first difference of each track.
pub fn compare(source: &Frames, seen: &Frames, until: Until) -> Result<Joined, Vec<Difference>> {
    let lead = if source.video.is_empty() { Track::Audio } else { Track::Video };
    let Some(first) = seen.track(lead).first() else {
        return Err(vec![Difference::Nothing { track: lead }]);
    };
    // Equal frames (silence, a still picture) may stand in several places: the best one counts.
    let starts =
        source.track(lead).iter().enumerate().filter(|(_, frame)| {
            frame.content == first.content && (frame.key || lead == Track::Audio)
        });
    let attempts = starts.map(|(start, frame)| {
        let offset_ms = first.dts_ms - frame.dts_ms;
        compare_from(source, seen, until, lead, start, offset_ms)
    });
    let mut best = vec![Difference::NoStartPoint { track: lead }];
    let mut best_at = 0;
    for attempt in attempts {
        match attempt {
            Ok(joined) => return Ok(joined),
            Err(differences) => {
                let at = differences.iter().map(position).min().unwrap_or(0);
                if at >= best_at {
                    (best, best_at) = (differences, at);
                }
            }
        }
    }
    Err(best)
}

/// As [`compare`], failing the test with the differences.
#[track_caller]
pub fn assert_same(what: &str, source: &Frames, seen: &Frames, until: Until) -> Joined {
    compare(source, seen, until).unwrap_or_else(|differences| {
        let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
        panic!(
            "{what}: {} (source: {} video, {} audio; seen: {} video, {} audio; first seen: {:?}, {:?})",
            list.join("; "),
            source.video.len(),
            source.audio.len(),
            seen.video.len(),
            seen.audio.len(),
            seen.video.first(),
            seen.audio.first(),
        )
    })
}

/// Fails unless dts strictly rises in each track, by no more than `step_max_ms` at a time.
#[track_caller]
pub fn assert_smooth(what: &str, frames: &Frames, step_max_ms: i64) {
    for track in [Track::Video, Track::Audio] {
        for (at, pair) in frames.track(track).windows(2).enumerate() {
            let step = pair[1].dts_ms - pair[0].dts_ms;
            assert!(
                step > 0 && step <= step_max_ms,
                "{what}: {track:?} dts goes from {} to {} ms after frame {at}",
                pair[0].dts_ms,
                pair[1].dts_ms
            );
        }
    }
}

impl Frames {
    /// The frames whose bytes are also among `other`'s: which of several sources they are from.
    #[must_use]
    pub fn that_are_in(&self, other: &Self) -> Self {
        let keep = |frames: &[Frame], known: &[Frame]| -> Vec<Frame> {
            let known: HashSet<&str> = known.iter().map(|frame| frame.content.as_str()).collect();
            frames.iter().filter(|frame| known.contains(frame.content.as_str())).cloned().collect()
        };
        Self { video: keep(&self.video, &other.video), audio: keep(&self.audio, &other.audio) }
    }

    /// The contents of a track, in order.
    pub fn contents(&self, track: Track) -> Vec<&str> {
        self.track(track).iter().map(|frame| frame.content.as_str()).collect()
    }
}

fn position(difference: &Difference) -> usize {
    match difference {
        Difference::Nothing { .. } | Difference::NoStartPoint { .. } => 0,
        Difference::Missing { at, .. }
        | Difference::CutOff { at, .. }
        | Difference::Doubled { at, .. }
        | Difference::Reordered { at, .. }
        | Difference::Shifted { at, .. }
        | Difference::Changed { at, .. } => *at,
        Difference::Extra { .. } => usize::MAX,
    }
}

fn compare_from(
    source: &Frames,
    seen: &Frames,
    until: Until,
    lead: Track,
    start: usize,
    offset_ms: i64,
) -> Result<Joined, Vec<Difference>> {
    let mut differences = Vec::new();
    differences.extend(compare_track(source, seen, lead, start, offset_ms, until));
    let mut joined = Joined { offset_ms, first_video: None, first_audio: None };
    match lead {
        Track::Audio => {
            joined.first_audio = Some(start);
            let count = seen.video.len();
            differences
                .extend((count > 0).then_some(Difference::Extra { track: Track::Video, count }));
        }
        Track::Video => {
            joined.first_video = Some(start);
            match first_audio(source, seen, start, offset_ms) {
                Ok(None) => {}
                Ok(Some(first)) => {
                    joined.first_audio = Some(first);
                    differences.extend(compare_track(
                        source,
                        seen,
                        Track::Audio,
                        first,
                        offset_ms,
                        until,
                    ));
                }
                Err(difference) => differences.push(difference),
            }
        }
    }
    if differences.is_empty() { Ok(joined) } else { Err(differences) }
}

/// Where a viewer's audio begins in the source. All that follows the first video frame must be there.
fn first_audio(
    source: &Frames,
    seen: &Frames,
    first_video: usize,
    offset_ms: i64,
) -> Result<Option<usize>, Difference> {
    let track = Track::Audio;
    let video_dts = source.video[first_video].dts_ms;
    let due = source.audio.iter().position(|frame| frame.dts_ms > video_dts + INTERLEAVE_SLACK_MS);
    let Some(first) = seen.audio.first() else {
        return if due.is_some() { Err(Difference::Nothing { track }) } else { Ok(None) };
    };
    let found = source.audio.iter().position(|frame| frame.dts_ms + offset_ms == first.dts_ms);
    match (found, due) {
        (Some(found), Some(due)) if found > due => Err(Difference::Missing { track, at: due }),
        (Some(found), _) => Ok(Some(found)),
        (None, _) => match source.audio.iter().position(|frame| frame.content == first.content) {
            None => Err(Difference::Changed { track, at: 0 }),
            Some(at) => {
                let by = first.dts_ms - source.audio[at].dts_ms - offset_ms;
                Err(Difference::Shifted { track, at, dts_ms: by, pts_ms: by })
            }
        },
    }
}

/// Walks one track from its first frame; returns the first difference.
fn compare_track(
    source: &Frames,
    seen: &Frames,
    track: Track,
    start: usize,
    offset_ms: i64,
    until: Until,
) -> Option<Difference> {
    let expected = &source.track(track)[start..];
    let seen = seen.track(track);
    for (index, frame) in seen.iter().enumerate() {
        let at = start + index;
        let Some(wanted) = expected.get(index) else {
            let again = index.checked_sub(1).is_some_and(|before| seen[before] == *frame);
            return Some(if again {
                Difference::Doubled { track, at: at - 1 }
            } else {
                Difference::Extra { track, count: seen.len() - index }
            });
        };
        let (dts_ms, pts_ms) =
            (frame.dts_ms - wanted.dts_ms - offset_ms, frame.pts_ms - wanted.pts_ms - offset_ms);
        if frame.content == wanted.content && dts_ms == 0 && pts_ms == 0 {
            continue;
        }
        return Some(classify(expected, seen, track, start, index, offset_ms));
    }
    let at = start + seen.len();
    (until == Until::End && seen.len() < expected.len()).then_some(Difference::CutOff { track, at })
}

/// Says what is wrong with the viewer's frame `index`, which is not the source's.
fn classify(
    expected: &[Frame],
    seen: &[Frame],
    track: Track,
    start: usize,
    index: usize,
    offset_ms: i64,
) -> Difference {
    let at = start + index;
    let (frame, wanted) = (&seen[index], &expected[index]);
    let is = |seen: &Frame, source: &Frame| {
        seen.content == source.content && seen.dts_ms == source.dts_ms + offset_ms
    };
    if let Some(before) = index.checked_sub(1)
        && is(frame, &expected[before])
    {
        return Difference::Doubled { track, at: at - 1 };
    }
    if expected[index + 1..].iter().any(|later| is(frame, later)) {
        let comes_late = seen[index + 1..].iter().any(|later| is(later, wanted));
        return if comes_late {
            Difference::Reordered { track, at }
        } else {
            Difference::Missing { track, at }
        };
    }
    if frame.content == wanted.content {
        return Difference::Shifted {
            track,
            at,
            dts_ms: frame.dts_ms - wanted.dts_ms - offset_ms,
            pts_ms: frame.pts_ms - wanted.pts_ms - offset_ms,
        };
    }
    Difference::Changed { track, at }
}

#[cfg(test)]
mod tests;
