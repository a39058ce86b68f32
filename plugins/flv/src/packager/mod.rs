//! Frames become FLV tags, once for all viewers of a stream.
//!
//! ring → **packager** → feed (host) → fan-out (host) → viewers
//!
//! One frame is one tag and one packet. Tags have absolute time, so a viewer may begin at any start point. Payload is not
//! touched: a packet is header bytes, slices of the frame, and the back pointer.
//!
//! The head of a feed is the FLV header, once per connection, and onMetaData with the *sequence headers*, for whoever begins
//! or resumes. When the tracks change while viewers read on, the same tags come in band, before the first frame of the new
//! shape and with its time.

use media::container::flv::carried::{self, Carried, Kind};
use media::container::flv::file::{self, BACK_POINTER_LEN, TAG_HEADER_LEN};
use media::container::flv::tag::{Form, HeaderBytes};
use plugin_api::Error;
use plugin_api::feed::{FeedOut, Packet, PacketFlags};
use plugin_api::frame::{Frame, Ns, Shape, Track, TrackKind, ns_to_ticks};

/// The format name that requests prepare.
pub(crate) const FORMAT: &str = "flv";

/// The variant in which H.265 goes out as codec id 12, which is no standard, for players that know no other.
pub(crate) const LEGACY_HEVC: &str = "legacy-hevc";

/// Milliseconds in a second, the clock of FLV.
const RATE: u32 = 1000;

/// The feed of one stream in one variant.
pub(crate) struct Packager {
    form: Form,
    carried: Carried,
    head: u32,
    /// A change of tracks whose first frame has not come.
    next: Option<Carried>,
}

impl plugin_api::feed::Packager for Packager {
    type Context = ();

    fn open((): &(), shape: &Shape, variant: &str, out: &mut FeedOut<'_>) -> Result<Self, Error> {
        let form = match variant {
            "" => Form::Enhanced,
            LEGACY_HEVC => Form::Legacy,
            _ => return Err(Error::unsupported(format!("FLV has no variant \"{variant}\""))),
        };
        let carried = carry(shape, form)?;
        // No frame tells the time yet. Players take none from what is no frame.
        let head = set_head(&carried, 0, out)?;
        Ok(Self { form, carried, head, next: None })
    }

    /// The new head waits for its first frame, whose time it takes. A shape that changes nothing of what players get changes
    /// no head.
    fn on_shape(&mut self, shape: &Shape, _: &mut FeedOut<'_>) -> Result<(), Error> {
        let carried = carry(shape, self.form)?;
        if carried.looks_like(&self.carried) {
            self.next = None;
            self.carried = carried;
        } else {
            self.next = Some(carried);
        }
        Ok(())
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut FeedOut<'_>) -> Result<(), Error> {
        if let (Some(first), Some(_)) = (frames.first(), &self.next) {
            self.write_change(first.dts, out)?;
        }
        let tags: Vec<Tag<'_>> = frames.iter().filter_map(|frame| self.tag(frame)).collect();
        let parts: Vec<&[u8]> = tags.iter().flat_map(Tag::parts).collect();
        let mut rest = parts.as_slice();
        let packets = tags.iter().map(|tag| {
            let (own, others) = rest.split_at(tag.n_parts().min(rest.len()));
            rest = others;
            Packet { flags: tag.flags, dts: tag.frame.dts, head: self.head, parts: own }
        });
        let packets: Vec<Packet<'_>> = packets.collect();
        if packets.is_empty() { Ok(()) } else { out.write(&packets) }
    }
}

impl Packager {
    /// Viewers that read straight through get the new head as packets.
    fn write_change(&mut self, dts: Ns, out: &mut FeedOut<'_>) -> Result<(), Error> {
        let Some(carried) = self.next.take() else { return Ok(()) };
        let timestamp = carried::wire_ms(ns_to_ticks(dts, RATE));
        self.head = set_head(&carried, timestamp, out)?;
        let tags = head_tags(&carried, timestamp)?;
        self.carried = carried;
        let parts: Vec<[&[u8]; 1]> = tags.iter().map(|tag| [tag.as_slice()]).collect();
        let flags = PacketFlags::default();
        let packets = parts.iter().map(|parts| Packet { flags, dts, head: self.head, parts });
        out.write(&packets.collect::<Vec<_>>())
    }

    /// `None`: nobody gets it, because its track is not carried or FLV cannot say its length.
    fn tag<'a>(&self, frame: &'a Frame) -> Option<Tag<'a>> {
        if frame.payload.is_empty() {
            return None;
        }
        let (dts, pts) = (ns_to_ticks(frame.dts, RATE), ns_to_ticks(frame.pts, RATE));
        let (tag_type, header) = self.carried.frame(frame.track, frame.flags.key, dts, pts)?;
        let payload: usize = frame.payload.parts().iter().map(|part| part.len()).sum();
        let len = header.len() + payload;
        let Some((before, after)) = file::around(tag_type, len, carried::wire_ms(dts)) else {
            tracing::warn!(event = "flv.frame_dropped", len, "a frame is too long for FLV");
            return None;
        };
        let flags = PacketFlags {
            start_point: frame.flags.key && self.carried.is_lead(frame.track),
            droppable: frame.flags.droppable,
        };
        Some(Tag { frame, before, header, after, flags })
    }
}

/// One packet before its parts are gathered.
struct Tag<'a> {
    frame: &'a Frame,
    before: [u8; TAG_HEADER_LEN],
    header: HeaderBytes,
    after: [u8; BACK_POINTER_LEN],
    flags: PacketFlags,
}

impl Tag<'_> {
    fn n_parts(&self) -> usize {
        3 + self.frame.payload.parts().len()
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let payload = self.frame.payload.parts().iter().map(|part| &part[..]);
        [&self.before[..], &self.header].into_iter().chain(payload).chain([&self.after[..]])
    }
}

fn carry(shape: &Shape, form: Form) -> Result<Carried, Error> {
    let tracks: Vec<_> = shape.tracks.iter().map(|track| describe(track)).collect();
    Carried::of(&tracks, form).ok_or_else(|| {
        let codecs = shape.tracks.iter().map(|track| track.codec.to_string());
        let codecs = codecs.collect::<Vec<_>>().join(", ");
        Error::unsupported(format!("FLV can't carry any of: {codecs}"))
    })
}

fn describe(track: &Track) -> carried::Track {
    carried::Track {
        id: track.id,
        kind: match track.kind {
            TrackKind::Audio => Kind::Audio,
            TrackKind::Video => Kind::Video,
            TrackKind::Data => Kind::Data,
        },
        codec: media::codec::FourCc(track.codec.0),
        config: track.config.to_vec(),
        width: track.width,
        height: track.height,
        frame_rate: track.frame_rate,
        sample_rate: track.sample_rate,
        channels: track.channels,
    }
}

fn set_head(carried: &Carried, timestamp: u32, out: &mut FeedOut<'_>) -> Result<u32, Error> {
    let header = file::header(carried.has_audio(), carried.has_video());
    let tags = head_tags(carried, timestamp)?;
    let tags: Vec<&[u8]> = tags.iter().map(Vec::as_slice).collect();
    out.set_head(&[&header], &tags)
}

/// The tags of the head, each whole.
fn head_tags(carried: &Carried, timestamp: u32) -> Result<Vec<Vec<u8>>, Error> {
    let tags = carried.head().into_iter().map(|(tag_type, body)| {
        let (before, after) = file::around(tag_type, body.len(), timestamp)
            .ok_or_else(|| Error::unsupported("a decoder configuration is too long for FLV"))?;
        Ok([&before[..], &body, &after].concat())
    });
    tags.collect()
}

#[cfg(test)]
mod tests;
