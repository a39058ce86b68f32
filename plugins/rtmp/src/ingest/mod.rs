//! Audio, video and data messages become tracks and frames.
//!
//! socket → wire → session → **ingest** → publisher → ring
//!
//! A publisher sends, per track, a *sequence header* (the decoder configuration record) and then frames: bodies of FLV
//! tags, legacy or enhanced. What comes out has the one form in memory: NAL units with lengths of four bytes, raw AAC, time
//! in nanoseconds that never wraps. Payload is a slice of the message's own block.
//!
//! - A sequence header that repeats the last one changes nothing: OBS and ffmpeg resend it. Another one, or parameter sets
//!   in band that differ from it, is a new configuration: its number rises, and the tracks are given before the frame.
//! - A frame is a keyframe if its NAL units say so (IDR, CRA, recovery point), whatever the tag says: with intra refresh
//!   there is no IDR after the first, and players join at recovery points. For other codecs the tag is all there is.
//! - *Ready* is said as soon as all tracks are there that onMetaData names; without metadata when there is audio and video;
//!   of a stream with one track after [`SINGLE_TRACK_AFTER`] of it. What metadata promises and does not come is left to the
//!   host's `settle_timeout`.
//!
//! Tracks of Enhanced RTMP's multitrack become tracks of the stream; players get the first of each kind.

mod audio;
mod clock;
mod payload;
mod record;
mod video;

use media::container::flv::amf0::Value;
use media::container::flv::metadata::Metadata;
use media::container::flv::tag::{AudioTag, VideoTag};
use plugin_api::frame::{FourCc, Frame, FrameFlags, NS_PER_MS, Ns, Track, TrackKind};
use plugin_api::mem::Buf;

use crate::wire::data::Data;
use audio::AudioTrack;
use clock::Clock;
pub(crate) use payload::{Memory, Payload, Whole};
use video::{Surroundings, VideoTrack};

/// Without metadata, a stream of which this much has come with one track only has one track. Encoders send both sequence
/// headers before the first frame, or the other track's first frame within a few hundred milliseconds.
const SINGLE_TRACK_AFTER: Ns = 500 * NS_PER_MS;

/// Tracks of one kind. Enhanced RTMP's 8-bit ids allow 256; more than this many are ignored.
const TRACKS_MAX: usize = 8;

/// What data messages are called in a stream: a handler name and its arguments in AMF0.
pub(crate) const AMF0: FourCc = FourCc(*b"amf0");

/// Ids of tracks in the stream: these, plus the id of Enhanced RTMP.
const VIDEO_ID: u32 = 0x100;
const AUDIO_ID: u32 = 0x200;
const DATA_ID: u32 = 0x300;

/// What a message leads to, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Frame(Frame),
    /// All tracks are there.
    Ready,
    /// The whole set of tracks, from here on.
    Tracks(Vec<Track>),
}

/// One publication. Dropped with it: the next one on the connection begins anew.
pub(crate) struct Ingest<M> {
    memory: M,
    clock: Clock,
    hints: Metadata,
    /// Whether onMetaData has come.
    has_hints: bool,
    video: Vec<VideoTrack>,
    audio: Vec<AudioTrack>,
    has_data: bool,
    first_frame: Option<Ns>,
    is_ready: bool,
    complaints: Complaints,
}

impl<M: Memory> Ingest<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self {
            memory,
            clock: Clock::default(),
            hints: Metadata::default(),
            has_hints: false,
            video: Vec::new(),
            audio: Vec::new(),
            has_data: false,
            first_frame: None,
            is_ready: false,
            complaints: Complaints::default(),
        }
    }

    /// What the publisher calls its encoder, once onMetaData has come.
    pub(crate) fn encoder(&self) -> Option<&str> {
        self.hints.encoder.as_deref()
    }

    /// The body of a video message.
    pub(crate) fn on_video(&mut self, timestamp: u32, body: &Buf, out: &mut Vec<Item>) {
        let tags = match VideoTag::parse_tracks(body) {
            // Encoders keep a pausing connection alive with empty bodies.
            Err(_) if body.is_empty() => return,
            Err(error) => return self.complaints.once(Complaint::Tag, &error),
            Ok(tags) => tags,
        };
        for tag in tags {
            match tag {
                Ok(tag) => self.on_video_tag(timestamp, &tag, body, out),
                Err(error) => self.complaints.once(Complaint::Tag, &error),
            }
        }
        self.check_ready(out);
    }

    fn on_video_tag(&mut self, timestamp: u32, tag: &VideoTag, body: &Buf, out: &mut Vec<Item>) {
        let id = VIDEO_ID + u32::from(tag.header.track_id.unwrap_or(0));
        let Some(at) = place(&mut self.video, id, |track| track.id(), VideoTrack::new) else {
            return self.complaints.once(Complaint::TooManyTracks, &id);
        };
        let Some(track) = self.video.get_mut(at) else { return };
        let payload = body.slice(tag.payload.clone());
        let mut around = Surroundings {
            hints: &self.hints,
            memory: &self.memory,
            complaints: &mut self.complaints,
        };
        let step = track.on_tag(&tag.header, payload, &mut around);
        self.give(timestamp, step, out);
    }

    /// The body of an audio message.
    pub(crate) fn on_audio(&mut self, timestamp: u32, body: &Buf, out: &mut Vec<Item>) {
        let tags = match AudioTag::parse_tracks(body) {
            Err(_) if body.is_empty() => return,
            Err(error) => return self.complaints.once(Complaint::Tag, &error),
            Ok(tags) => tags,
        };
        for tag in tags {
            match tag {
                Ok(tag) => self.on_audio_tag(timestamp, &tag, body, out),
                Err(error) => self.complaints.once(Complaint::Tag, &error),
            }
        }
        self.check_ready(out);
    }

    fn on_audio_tag(&mut self, timestamp: u32, tag: &AudioTag, body: &Buf, out: &mut Vec<Item>) {
        let id = AUDIO_ID + u32::from(tag.header.track_id.unwrap_or(0));
        let Some(at) = place(&mut self.audio, id, |track| track.id(), AudioTrack::new) else {
            return self.complaints.once(Complaint::TooManyTracks, &id);
        };
        let Some(track) = self.audio.get_mut(at) else { return };
        let payload = body.slice(tag.payload.clone());
        let step = track.on_tag(&tag.header, payload, &mut self.complaints);
        self.give(timestamp, step, out);
    }

    fn give(&mut self, timestamp: u32, step: Step, out: &mut Vec<Item>) {
        if step.is_changed {
            out.push(Item::Tracks(self.tracks()));
        }
        if let Some(mut frame) = step.frame {
            frame.dts = self.clock.advance(timestamp);
            frame.pts = frame.pts.saturating_add(frame.dts);
            self.first_frame.get_or_insert(frame.dts);
            out.push(Item::Frame(frame));
        }
    }

    /// A data message; `offset` is where it lies in the connection.
    pub(crate) fn on_data(&mut self, timestamp: u32, body: &Buf, offset: u64, out: &mut Vec<Item>) {
        match Data::parse(body, offset) {
            Ok(Data::Metadata { properties, .. }) => {
                self.hints = Metadata::parse(&Value::Object(properties));
                self.has_hints = true;
                self.check_ready(out);
            }
            Ok(Data::Event { amf0, .. }) => {
                let start = body.len().saturating_sub(amf0.len());
                self.on_event(timestamp, body.slice(start..), out);
            }
            // Nothing is kept of what could be cleared.
            Ok(Data::Clear { .. }) => {}
            Err(error) => self.complaints.once(Complaint::Data, &error),
        }
    }

    /// Events before the first track are about nothing that a viewer could see.
    fn on_event(&mut self, timestamp: u32, payload: Buf, out: &mut Vec<Item>) {
        if payload.is_empty() || self.first_frame.is_none() {
            return;
        }
        if !self.has_data {
            self.has_data = true;
            out.push(Item::Tracks(self.tracks()));
        }
        let at = self.clock.at(timestamp);
        let mut event = frame(DATA_ID, 0, FrameFlags::default(), 0, payload);
        (event.dts, event.pts) = (at, at);
        out.push(Item::Frame(event));
    }

    /// All tracks that can be decoded, in the order of their ids, video first.
    fn tracks(&self) -> Vec<Track> {
        let video = self.video.iter().filter_map(VideoTrack::track).cloned();
        let audio = self.audio.iter().filter_map(AudioTrack::track).cloned();
        let data = self.has_data.then(|| Track::new(DATA_ID, TrackKind::Data, AMF0));
        video.chain(audio).chain(data).collect()
    }

    fn check_ready(&mut self, out: &mut Vec<Item>) {
        if !self.is_ready && self.has_all_tracks() {
            self.is_ready = true;
            out.push(Item::Ready);
        }
    }

    fn has_all_tracks(&self) -> bool {
        let has_video = self.video.iter().any(|track| track.track().is_some());
        let has_audio = self.audio.iter().any(|track| track.track().is_some());
        let (wants_video, wants_audio) = (self.hints.video.is_some(), self.hints.audio.is_some());
        if self.has_hints && (wants_video || wants_audio) {
            return (has_video || !wants_video) && (has_audio || !wants_audio);
        }
        let age = self.first_frame.map_or(0, |first| self.clock.now().saturating_sub(first));
        has_video && has_audio || (has_video || has_audio) && age >= SINGLE_TRACK_AFTER
    }
}

/// What a message does to its track.
#[derive(Default)]
struct Step {
    /// The tracks are new, before the frame.
    is_changed: bool,
    /// Its pts is relative to dts, which is not set yet.
    frame: Option<Frame>,
}

/// The place of the track with that id, which is added if there is room, in the order of ids.
fn place<T>(
    tracks: &mut Vec<T>,
    id: u32,
    id_of: impl Fn(&T) -> u32,
    new: fn(u32) -> T,
) -> Option<usize> {
    match tracks.binary_search_by_key(&id, id_of) {
        Ok(at) => Some(at),
        Err(_) if tracks.len() >= TRACKS_MAX => None,
        Err(at) => {
            tracks.insert(at, new(id));
            Some(at)
        }
    }
}

fn frame(track: u32, config: u32, flags: FrameFlags, pts_offset: Ns, payload: Buf) -> Frame {
    Frame {
        track,
        config,
        flags,
        dts: 0,
        pts: pts_offset,
        duration: 0,
        captured: 0,
        payload: payload.into(),
    }
}

/// What a publisher may get wrong without ending the connection. Each is logged once: at thirty frames a second the second
/// line tells nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    Config,
    Data,
    Nal,
    NoConfig,
    NoMemory,
    Tag,
    TooManyTracks,
    Unsupported,
}

impl Complaint {
    fn text(self) -> &'static str {
        match self {
            Self::Config => "a sequence header can't be read and is ignored",
            Self::Data => "a data message can't be read and is ignored",
            Self::Nal => "a frame's NAL units don't fit into it",
            Self::NoConfig => "frames before the sequence header are dropped",
            Self::NoMemory => "a frame is dropped: the server's memory limit",
            Self::Tag => "an audio or video message can't be read and is ignored",
            Self::TooManyTracks => "too many tracks; this one is ignored",
            Self::Unsupported => "a codec that nothing plays any more; the track is ignored",
        }
    }
}

#[derive(Default)]
struct Complaints(Vec<Complaint>);

impl Complaints {
    fn once(&mut self, complaint: Complaint, detail: &dyn std::fmt::Display) {
        if !self.0.contains(&complaint) {
            self.0.push(complaint);
            tracing::info!(event = "rtmp.peer_wrong", %detail, "{}", complaint.text());
        }
    }
}

#[cfg(test)]
mod tests;
