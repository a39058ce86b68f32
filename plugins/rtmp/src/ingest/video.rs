//! One video track: from FLV video tags to frames.
//!
//! message → **video** → frame

use std::ops::Range;

use media::codec::nal::{self, LengthSize};
use media::codec::{Error, h264, h265};
use media::container::flv::metadata::Metadata;
use media::container::flv::tag::{FrameType, VideoHeader, VideoKind};
use plugin_api::frame::{FourCc, FrameFlags, NS_PER_MS, Ns, Track};
use plugin_api::mem::Buf;

use super::payload::Memory;
use super::record::{Record, describe};
use super::{Complaint, Complaints, Step, frame};

/// What else a tag is looked at with.
pub(super) struct Surroundings<'a, M> {
    pub(super) hints: &'a Metadata,
    pub(super) memory: &'a M,
    pub(super) complaints: &'a mut Complaints,
}

/// What the NAL units of a frame say.
struct Facts {
    is_key: bool,
    parameter_sets: Vec<Range<usize>>,
}

pub(super) struct VideoTrack {
    id: u32,
    track: Option<Track>,
    config_number: u32,
    /// The last sequence header as it came: encoders repeat it.
    header: Buf,
    /// Of H.264 and H.265, in step with `track`.
    record: Option<Record>,
    /// Of the lengths before NAL units as they come.
    length_size: LengthSize,
}

impl VideoTrack {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            track: None,
            config_number: 0,
            header: Buf::default(),
            record: None,
            length_size: LengthSize::Four,
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// `None` until it can be decoded.
    pub(super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    pub(super) fn on_tag<M: Memory>(
        &mut self,
        header: &VideoHeader,
        payload: Buf,
        around: &mut Surroundings<'_, M>,
    ) -> Step {
        match header.kind {
            // An empty record, or an empty frame, is a keep-alive.
            _ if payload.is_empty() => Step::default(),
            VideoKind::SequenceStart => {
                let result = self.on_config(FourCc(header.codec.0), payload, around);
                let is_changed = result.unwrap_or_else(|error| {
                    around.complaints.once(Complaint::Config, &error);
                    false
                });
                Step { is_changed, frame: None }
            }
            VideoKind::CodedFrames | VideoKind::CodedFramesX => {
                let step = self.on_frame(header, payload, around);
                step.unwrap_or_else(|complaint| {
                    around.complaints.once(complaint, &header.codec);
                    Step::default()
                })
            }
            VideoKind::SequenceEnd
            | VideoKind::Metadata
            | VideoKind::Mpeg2TsSequenceStart
            | VideoKind::Command
            | VideoKind::Unknown(_) => Step::default(),
        }
    }

    fn on_config<M: Memory>(
        &mut self,
        codec: FourCc,
        payload: Buf,
        around: &Surroundings<'_, M>,
    ) -> Result<bool, Error> {
        let is_same_codec = self.codec() == Some(codec);
        if is_same_codec && payload == self.header {
            return Ok(false);
        }
        let (record, config) = match Record::parse(codec, &payload)? {
            None => (None, payload.clone()),
            Some(parsed) => {
                self.length_size = parsed.length_size;
                match parsed.rewritten {
                    None => (Some(parsed.record), payload.clone()),
                    Some(bytes) => match store(&bytes, around.memory) {
                        Some(config) => (Some(parsed.record), config),
                        None => return Ok(false),
                    },
                }
            }
        };
        self.header = payload;
        if is_same_codec && self.track.as_ref().is_some_and(|track| track.config == config) {
            return Ok(false);
        }
        self.replace(codec, record, config, around.hints);
        Ok(true)
    }

    fn on_frame<M: Memory>(
        &mut self,
        header: &VideoHeader,
        payload: Buf,
        around: &mut Surroundings<'_, M>,
    ) -> Result<Step, Complaint> {
        let codec = FourCc(header.codec.0);
        let mut is_changed = false;
        let (payload, is_key) = if matches!(codec, FourCc::H264 | FourCc::H265) {
            let payload = self.normal_form(payload, around.memory)?;
            let facts = facts(codec, &payload).unwrap_or_else(|error| {
                around.complaints.once(Complaint::Nal, &error);
                Facts { is_key: header.is_keyframe(), parameter_sets: Vec::new() }
            });
            is_changed = self.take_parameter_sets(codec, &payload, &facts, around)?;
            if self.codec() != Some(codec) {
                return Err(Complaint::NoConfig);
            }
            (payload, facts.is_key)
        } else {
            if self.codec() != Some(codec) {
                self.replace(codec, None, Buf::default(), around.hints);
                is_changed = true;
            }
            (payload, header.is_keyframe())
        };
        let flags = FrameFlags {
            key: is_key,
            droppable: header.frame_type == FrameType::Disposable,
            ..FrameFlags::default()
        };
        let pts_offset = Ns::from(header.composition_offset_ms) * NS_PER_MS
            + Ns::from(header.timestamp_offset_nanos);
        let frame = frame(self.id, self.config_number, flags, pts_offset, payload);
        Ok(Step { is_changed, frame: Some(frame) })
    }

    /// NAL units with lengths of four bytes. Only what some encoder sends otherwise is copied.
    fn normal_form(&self, payload: Buf, memory: &impl Memory) -> Result<Buf, Complaint> {
        let mut bytes = Vec::new();
        if self.length_size != LengthSize::Four {
            nal::rewrite_lengths(&payload, self.length_size, &mut bytes)
                .map_err(|_| Complaint::Nal)?;
        } else if nal::is_annex_b(&payload) {
            nal::annex_b_to_length_prefixed(&payload, &mut bytes);
        } else {
            return Ok(payload);
        }
        store(&bytes, memory).ok_or(Complaint::NoMemory)
    }

    /// Parameter sets in band that differ from the configuration make a new one. Equal ones stay where they are.
    fn take_parameter_sets<M: Memory>(
        &mut self,
        codec: FourCc,
        payload: &Buf,
        facts: &Facts,
        around: &Surroundings<'_, M>,
    ) -> Result<bool, Complaint> {
        if facts.parameter_sets.is_empty() {
            return Ok(false);
        }
        let sets = facts.parameter_sets.iter().filter_map(|range| payload.get(range.clone()));
        let known = self.record.as_ref().filter(|_| self.codec() == Some(codec));
        let Some(record) = Record::updated(known, codec, sets) else { return Ok(false) };
        let config = store(&record.to_bytes(), around.memory).ok_or(Complaint::NoMemory)?;
        if known.is_some() && self.track.as_ref().is_some_and(|track| track.config == config) {
            self.record = Some(record);
            return Ok(false);
        }
        self.replace(codec, Some(record), config, around.hints);
        Ok(true)
    }

    fn codec(&self) -> Option<FourCc> {
        self.track.as_ref().map(|track| track.codec)
    }

    fn replace(&mut self, codec: FourCc, record: Option<Record>, config: Buf, hints: &Metadata) {
        self.config_number += u32::from(self.track.is_some());
        let described = describe(self.id, codec, record.as_ref(), hints);
        self.track = Some(Track { config, config_number: self.config_number, ..described });
        self.record = record;
    }
}

fn facts(codec: FourCc, payload: &[u8]) -> Result<Facts, Error> {
    Ok(if codec == FourCc::H264 {
        let unit = h264::AccessUnit::parse(payload, LengthSize::Four)?;
        let is_key = unit.is_idr || unit.has_recovery_point;
        Facts { is_key, parameter_sets: unit.parameter_sets }
    } else {
        let unit = h265::AccessUnit::parse(payload, LengthSize::Four)?;
        let is_key = unit.is_irap || unit.has_recovery_point;
        Facts { is_key, parameter_sets: unit.parameter_sets }
    })
}

fn store(bytes: &[u8], memory: &impl Memory) -> Option<Buf> {
    let mut block = memory.block(bytes.len()).ok()?;
    block.extend_from_slice(bytes);
    Some(block.freeze())
}
