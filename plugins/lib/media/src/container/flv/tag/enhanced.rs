//! What the enhanced headers of audio and video have in common: ModEx, multitrack, FourCC.
//!
//! Audio and video differ only in the first byte and in what the packet types mean.

use std::ops::Range;

use super::{Error, need};
use crate::bits::ByteReader;
use crate::codec::FourCc;

/// Audio and video: more header follows before the packet type (Enhanced RTMP v2,
/// VideoPacketType.ModEx, AudioPacketType.ModEx).
const PACKET_MOD_EX: u8 = 7;

/// The size of ModEx data that announces a 16-bit size (Enhanced RTMP v2, ExVideoTagHeader).
const MOD_EX_LONG: usize = 256;

/// ModEx type: nanoseconds to add to the time stamp of the message (Enhanced RTMP v2,
/// VideoPacketModExType.TimestampOffsetNano).
const MOD_EX_TIMESTAMP_OFFSET_NANO: u8 = 0;

/// Multitrack types (Enhanced RTMP v2, AvMultitrackType).
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// The packet type left after all ModEx, and what they said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modified {
    pub(super) packet_type: u8,
    pub(super) timestamp_offset_nanos: u32,
}

/// Reads the chain of ModEx that may precede the packet type. It ends, because each takes at
/// least three bytes of the body.
pub(super) fn parse_mod_ex(
    bytes: &mut ByteReader<'_>,
    first_packet_type: u8,
) -> Result<Modified, Error> {
    let mut modified = Modified { packet_type: first_packet_type, timestamp_offset_nanos: 0 };
    while modified.packet_type == PACKET_MOD_EX {
        let mut size = usize::from(need(bytes, "ModEx size", ByteReader::u8)?) + 1;
        if size == MOD_EX_LONG {
            size = usize::from(need(bytes, "long ModEx size", ByteReader::u16)?) + 1;
        }
        let data = need(bytes, "ModEx data", |bytes| bytes.take(size))?;
        let types = need(bytes, "ModEx type", ByteReader::u8)?;
        if types >> 4 == MOD_EX_TIMESTAMP_OFFSET_NANO
            && let Some(nanos) = ByteReader::new(data).u24()
        {
            modified.timestamp_offset_nanos = nanos;
        }
        modified.packet_type = types & 0x0f;
    }
    Ok(modified)
}

/// One track of an enhanced tag: where its own fields and payload lie in the body.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) codec: FourCc,
    /// `None` outside multitrack.
    pub(super) id: Option<u8>,
    pub(super) packet_type: u8,
    pub(super) range: Range<usize>,
}

/// Walks the tracks after the packet type: one without multitrack.
#[derive(Clone, Debug)]
pub(super) struct TrackReader<'a> {
    bytes: ByteReader<'a>,
    layout: Layout,
    packet_type: u8,
    /// The FourCC that all tracks share, absent when each has its own.
    shared_codec: Option<FourCc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// No multitrack, or the last track has been read.
    Single {
        in_multitrack: bool,
    },
    Many,
    Done,
}

impl<'a> TrackReader<'a> {
    /// `multitrack` is the packet type that says so: 6 for video, 5 for audio.
    pub(super) fn new(
        mut bytes: ByteReader<'a>,
        packet_type: u8,
        multitrack: u8,
    ) -> Result<Self, Error> {
        if packet_type != multitrack {
            let codec = need(&mut bytes, "FourCC", ByteReader::array).map(FourCc)?;
            let layout = Layout::Single { in_multitrack: false };
            return Ok(Self { bytes, layout, packet_type, shared_codec: Some(codec) });
        }
        let offset = bytes.offset();
        let types = need(&mut bytes, "multitrack type", ByteReader::u8)?;
        let packet_type = types & 0x0f;
        if packet_type == multitrack {
            return Err(Error::NestedMultitrack { offset });
        }
        let layout = match types >> 4 {
            ONE_TRACK => Layout::Single { in_multitrack: true },
            MANY_TRACKS | MANY_TRACKS_MANY_CODECS => Layout::Many,
            kind => return Err(Error::UnknownMultitrackType { kind, offset }),
        };
        let shared_codec = match types >> 4 {
            MANY_TRACKS_MANY_CODECS => None,
            _ => Some(need(&mut bytes, "FourCC", ByteReader::array).map(FourCc)?),
        };
        Ok(Self { bytes, layout, packet_type, shared_codec })
    }

    fn read(&mut self) -> Result<Track, Error> {
        let bytes = &mut self.bytes;
        let codec = match self.shared_codec {
            Some(codec) => codec,
            None => FourCc(need(bytes, "FourCC of a track", ByteReader::array)?),
        };
        let id = match self.layout {
            Layout::Single { in_multitrack: false } => None,
            _ => Some(need(bytes, "track id", ByteReader::u8)?),
        };
        let size = match self.layout {
            Layout::Many => {
                let size = need(bytes, "size of a track", ByteReader::u24)?;
                // A size beyond the address space is beyond the body too.
                usize::try_from(size).unwrap_or(usize::MAX)
            }
            _ => bytes.rest().len(),
        };
        let start = bytes.offset();
        need(bytes, "track", |bytes| bytes.take(size))?;
        let range = start..bytes.offset();
        Ok(Track { codec, id, packet_type: self.packet_type, range })
    }
}

impl Iterator for TrackReader<'_> {
    type Item = Result<Track, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.layout {
            Layout::Done => return None,
            Layout::Many if self.bytes.is_empty() => return None,
            _ => {}
        }
        let track = self.read();
        if track.is_err() || self.layout != Layout::Many {
            self.layout = Layout::Done;
        }
        Some(track)
    }
}

/// The tracks of one tag, as [`VideoTag`](super::VideoTag) or [`AudioTag`](super::AudioTag). Ends
/// after the first error. A track takes at least four bytes of the body, which bounds the number.
#[derive(Clone, Debug)]
pub struct Tracks<'a, T> {
    state: State<'a, T>,
}

#[derive(Clone, Debug)]
enum State<'a, T> {
    One(Option<T>),
    Many(TrackReader<'a>, TrackParser<'a, T>),
}

/// Makes a tag of a track, with what all tracks of the body share.
#[derive(Clone, Debug)]
pub(super) struct TrackParser<'a, T> {
    pub(super) body: &'a [u8],
    pub(super) first: u8,
    pub(super) timestamp_offset_nanos: u32,
    pub(super) parse: fn(&Self, Track) -> Result<T, Error>,
}

impl<'a, T> TrackParser<'a, T> {
    /// A cursor over the track alone, whose offsets count from the first byte of the body.
    pub(super) fn bytes(&self, track: &Track) -> ByteReader<'a> {
        let mut bytes = ByteReader::new(self.body.get(..track.range.end).unwrap_or_default());
        bytes.take(track.range.start);
        bytes
    }
}

impl<'a, T> Tracks<'a, T> {
    pub(super) fn one(tag: T) -> Self {
        Self { state: State::One(Some(tag)) }
    }

    pub(super) fn many(tracks: TrackReader<'a>, parser: TrackParser<'a, T>) -> Self {
        Self { state: State::Many(tracks, parser) }
    }

    /// The only track.
    pub(super) fn single(mut self) -> Result<T, Error> {
        let truncated = Error::Truncated { offset: self.offset(), expected: "track" };
        let tag = self.next().ok_or(truncated)??;
        match self.state {
            State::Many(ref tracks, _) if tracks.clone().next().is_some() => {
                Err(Error::ManyTracks { offset: self.offset() })
            }
            _ => Ok(tag),
        }
    }

    fn offset(&self) -> usize {
        match &self.state {
            State::One(_) => 0,
            State::Many(tracks, _) => tracks.bytes.offset(),
        }
    }
}

impl<T> Iterator for Tracks<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.state {
            State::One(tag) => tag.take().map(Ok),
            State::Many(tracks, parser) => {
                let tag = tracks.next()?.and_then(|track| (parser.parse)(parser, track));
                if tag.is_err() {
                    tracks.layout = Layout::Done;
                }
                Some(tag)
            }
        }
    }
}
