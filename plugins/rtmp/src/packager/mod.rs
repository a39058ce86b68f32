//! Frames become RTMP messages in chunks, once for all viewers of a stream.
//!
//! ring → **packager** → feed (host) → fan-out (host) → viewers
//!
//! One frame is one message and one packet. Every message has a type 0 chunk header with absolute time, so a viewer may
//! begin at any start point and whole messages may be put in between. Payload is not touched: a packet is header bytes and
//! slices of the frame.
//!
//! The head of a feed is onMetaData and a *sequence header* (decoder configuration record) for each track that has one.
//! All of it is sent to a viewer that begins or resumes, since what onMetaData says changes with them. When the tracks
//! change while viewers read on, the same messages come in band, before the first frame of the new shape and with its time.
//!
//! RTMP carries one video and one audio track: the first of each kind that the variant has a word for, see [`message`].

mod message;

use media::container::flv::carried::Carried;
use plugin_api::Error;
use plugin_api::feed::{FeedOut, Packet, PacketFlags};
use plugin_api::frame::{Frame, Ns, Shape};

use crate::wire::chunk_writer::{ChunkWriter, Part};

/// The format name that sessions prepare.
pub(crate) const FORMAT: &str = "rtmp";

/// The message stream that packets are for: the only one that our createStream gives.
pub(crate) const STREAM_ID: u32 = 1;

/// The variant in which H.265 goes out as codec id 12, which is no standard, for players of Chinese CDNs.
pub(crate) const LEGACY_HEVC: &str = "legacy-hevc";

/// What a packager writes to: the feed, or a list in tests.
trait Out {
    fn set_head(&mut self, config: &[&[u8]]) -> Result<u32, Error>;
    fn write(&mut self, packets: &[Packet<'_>]) -> Result<(), Error>;
}

impl Out for FeedOut<'_> {
    fn set_head(&mut self, config: &[&[u8]]) -> Result<u32, Error> {
        FeedOut::set_head(self, &[], config)
    }

    fn write(&mut self, packets: &[Packet<'_>]) -> Result<(), Error> {
        FeedOut::write(self, packets)
    }
}

/// What all feeds of the format share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Every session tells its player this size before it attaches.
    pub(crate) chunk_size: u32,
}

/// The feed of one stream in one variant.
pub(crate) struct Packager {
    writer: ChunkWriter,
    hevc: message::Hevc,
    carried: Carried,
    head: u32,
    /// A change of tracks whose first frame has not come.
    next: Option<Carried>,
    /// Header bytes and layout of one batch, kept to allocate nothing in the long run.
    arena: Vec<u8>,
    layout: Vec<Part>,
}

impl plugin_api::feed::Packager for Packager {
    type Context = Settings;

    fn open(
        settings: &Settings,
        shape: &Shape,
        variant: &str,
        out: &mut FeedOut<'_>,
    ) -> Result<Self, Error> {
        Self::begin(settings, shape, variant, out)
    }

    fn on_shape(&mut self, shape: &Shape, _: &mut FeedOut<'_>) -> Result<(), Error> {
        self.change(shape)
    }

    fn on_frames(&mut self, frames: &[Frame], out: &mut FeedOut<'_>) -> Result<(), Error> {
        self.write(frames, out)
    }
}

impl Packager {
    fn begin(
        settings: &Settings,
        shape: &Shape,
        variant: &str,
        out: &mut impl Out,
    ) -> Result<Self, Error> {
        let hevc = match variant {
            "" => message::Hevc::Enhanced,
            LEGACY_HEVC => message::Hevc::Legacy,
            _ => return Err(Error::unsupported(format!("RTMP has no variant \"{variant}\""))),
        };
        let writer = ChunkWriter::new(settings.chunk_size);
        let carried = message::carried(shape, hevc)?;
        // No frame tells the time yet. Players take none from what is no frame.
        let messages = message::head(&carried, &writer, 0)?;
        let head = out.set_head(&as_slices(&messages))?;
        let (arena, layout) = (Vec::new(), Vec::new());
        Ok(Self { writer, hevc, carried, head, next: None, arena, layout })
    }

    /// The new head waits for its first frame, whose time it takes. A shape that changes nothing of what players get, such
    /// as the coming of a data track's first event, changes no head.
    fn change(&mut self, shape: &Shape) -> Result<(), Error> {
        let carried = message::carried(shape, self.hevc)?;
        if carried.looks_like(&self.carried) {
            self.next = None;
            self.carried = carried;
        } else {
            self.next = Some(carried);
        }
        Ok(())
    }

    fn write(&mut self, frames: &[Frame], out: &mut impl Out) -> Result<(), Error> {
        if let (Some(first), Some(_)) = (frames.first(), &self.next) {
            self.write_change(first.dts, out)?;
        }
        self.arena.clear();
        self.layout.clear();
        let mut planned = Vec::with_capacity(frames.len());
        for frame in frames {
            planned.extend(self.plan(frame));
        }
        let parts = self.layout.iter().zip(owners(&planned)).map(|(part, planned)| match part {
            Part::Header(range) => self.arena.get(range.clone()),
            Part::Payload { piece: 0, range } => planned.tag.get(range.clone()),
            Part::Payload { piece, range } => {
                let piece = planned.frame.payload.parts().get(piece - 1);
                piece.and_then(|piece| piece.get(range.clone()))
            }
        });
        let parts: Vec<&[u8]> = parts.map(Option::unwrap_or_default).collect();
        let mut rest = parts.as_slice();
        let packets = planned.iter().map(|planned| {
            let (own, others) = rest.split_at(planned.parts.min(rest.len()));
            rest = others;
            Packet { flags: planned.flags, dts: planned.frame.dts, head: self.head, parts: own }
        });
        let packets: Vec<Packet<'_>> = packets.collect();
        if packets.is_empty() { Ok(()) } else { out.write(&packets) }
    }

    /// Viewers that read straight through get the new head as packets.
    fn write_change(&mut self, dts: Ns, out: &mut impl Out) -> Result<(), Error> {
        let Some(carried) = self.next.take() else { return Ok(()) };
        let messages = message::head(&carried, &self.writer, message::wire_ms(dts))?;
        self.head = out.set_head(&as_slices(&messages))?;
        self.carried = carried;
        let parts: Vec<[&[u8]; 1]> = messages.iter().map(|message| [message.as_slice()]).collect();
        let packets = parts.iter().map(|parts| Packet {
            flags: PacketFlags::default(),
            dts,
            head: self.head,
            parts,
        });
        out.write(&packets.collect::<Vec<_>>())
    }

    /// Lays a frame out. `None`: nobody gets it, because its track is not carried or RTMP cannot say its length.
    fn plan<'a>(&mut self, frame: &'a Frame) -> Option<Planned<'a>> {
        let message = message::message(&self.carried, frame)?;
        let lengths = frame.payload.parts().iter().map(|part| part.len());
        let lengths: Vec<usize> = std::iter::once(message.tag.len()).chain(lengths).collect();
        let before = self.layout.len();
        let laid_out =
            self.writer.lay_out(&message.header, &lengths, &mut self.arena, &mut self.layout);
        if let Err(error) = laid_out {
            tracing::warn!(event = "rtmp.frame_dropped", %error, "a frame is too long for RTMP");
            return None;
        }
        let flags = PacketFlags {
            start_point: frame.flags.key && self.carried.is_lead(frame.track),
            droppable: frame.flags.droppable,
        };
        Some(Planned { frame, tag: message.tag, flags, parts: self.layout.len() - before })
    }
}

/// One packet before its parts are gathered.
struct Planned<'a> {
    frame: &'a Frame,
    tag: media::container::flv::tag::HeaderBytes,
    flags: PacketFlags,
    /// How many parts of the layout are its own.
    parts: usize,
}

/// For each part of the layout the packet that it belongs to.
fn owners<'a, 'f>(planned: &'a [Planned<'f>]) -> impl Iterator<Item = &'a Planned<'f>> {
    planned.iter().flat_map(|planned| std::iter::repeat_n(planned, planned.parts))
}

fn as_slices(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(Vec::as_slice).collect()
}

#[cfg(test)]
mod tests;
