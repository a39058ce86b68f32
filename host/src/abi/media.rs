//! Tracks, shapes and frames across the boundary: C structs in, the host's values out, and back.

use std::sync::Arc;

use plugin_api::abi::mem;
use plugin_api::abi::streams as wire;
use plugin_api::frame::{FourCc, Frame, FrameFlags, Payload, Shape, Track, TrackKind};
use plugin_api::mem::{Buf, Pool};

use super::borrow;
use super::call::Fault;

/// A decoder configuration; real ones have some hundred bytes.
const CONFIG_BYTES_MAX: usize = 64 * 1024;
const CODEC_STRING_MAX: usize = 128;

/// A track as the plugin describes it.
pub(super) fn track(track: &wire::Track, pool: &Pool) -> Result<Track, Fault> {
    let kind = match track.kind {
        wire::AUDIO => TrackKind::Audio,
        wire::DATA => TrackKind::Data,
        wire::VIDEO => TrackKind::Video,
        other => return Err(Fault::invalid(format!("track kind {other} is unknown"))),
    };
    if track.config.len > CONFIG_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "a decoder configuration of {} bytes",
            track.config.len
        )));
    }
    let codec_string = borrow::text(track.codec_string, "codec_string")?;
    if codec_string.len() > CODEC_STRING_MAX {
        return Err(Fault::invalid("codec_string is too long"));
    }
    Ok(Track {
        id: track.id,
        kind,
        codec: FourCc::from_abi(track.codec),
        config_number: track.config_number,
        config: borrow::keep(&track.config, pool)?,
        width: track.width,
        height: track.height,
        frame_rate: (track.frame_rate_num, track.frame_rate_den),
        sample_rate: track.sample_rate,
        channels: track.channels,
        codec_string: codec_string.to_owned(),
    })
}

/// A frame as the plugin pushes it. Host memory is shared, anything else is copied.
pub(super) fn frame(frame: &wire::Frame, pool: &Pool) -> Result<Frame, Fault> {
    let n = usize::try_from(frame.n_parts).unwrap_or(usize::MAX);
    if n > wire::FRAME_PARTS_MAX {
        return Err(Fault::invalid(format!("a frame of {n} parts")));
    }
    let parts = borrow::slice(frame.parts, n, "a frame's parts")?;
    let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len));
    if bytes > wire::FRAME_BYTES_MAX {
        return Err(Fault::invalid(format!("a frame of {bytes} bytes")));
    }
    let payload = match parts {
        [one] => Payload::One(borrow::keep(one, pool)?),
        parts => {
            let parts: Result<Vec<Buf>, Fault> =
                parts.iter().map(|part| borrow::keep(part, pool)).collect();
            Payload::Parts(Arc::from(parts?))
        }
    };
    let has = |flag| frame.flags & flag != 0;
    Ok(Frame {
        track: frame.track,
        config: frame.config,
        flags: FrameFlags {
            key: has(wire::FRAME_KEY),
            discontinuity: has(wire::FRAME_DISCONTINUITY),
            droppable: has(wire::FRAME_DROPPABLE),
            sticky: has(wire::FRAME_STICKY),
        },
        dts: frame.dts,
        pts: frame.pts,
        duration: frame.duration,
        captured: frame.captured,
        payload,
    })
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn lend_track(track: &Track) -> wire::Track {
    wire::Track {
        struct_size: super::size_of_table::<wire::Track>(),
        id: track.id,
        kind: match track.kind {
            TrackKind::Audio => wire::AUDIO,
            TrackKind::Data => wire::DATA,
            TrackKind::Video => wire::VIDEO,
        },
        codec: track.codec.to_abi(),
        config_number: track.config_number,
        width: track.width,
        height: track.height,
        frame_rate_num: track.frame_rate.0,
        frame_rate_den: track.frame_rate.1,
        sample_rate: track.sample_rate,
        channels: track.channels,
        reserved: 0,
        config: track.config.as_abi(),
        codec_string: borrow::lend(&track.codec_string),
    }
}

/// Lends a shape for the time of `body`.
pub(super) fn with_shape<T>(shape: &Shape, body: impl FnOnce(*const wire::Shape) -> T) -> T {
    let tracks: Vec<wire::Track> = shape.tracks.iter().map(|track| lend_track(track)).collect();
    let pointers: Vec<*const wire::Track> = tracks.iter().map(std::ptr::from_ref).collect();
    let settled = if shape.settled { wire::SHAPE_SETTLED } else { 0 };
    let discontinuity = if shape.discontinuity { wire::SHAPE_DISCONTINUITY } else { 0 };
    let lent = wire::Shape {
        struct_size: super::size_of_table::<wire::Shape>(),
        number: shape.number,
        n_tracks: count(pointers.len()),
        flags: settled | discontinuity,
        tracks: pointers.as_ptr(),
    };
    body(&raw const lent)
}

/// Lends frames for the time of `body`.
pub(super) fn with_frames<T>(frames: &[Frame], body: impl FnOnce(&[*const wire::Frame]) -> T) -> T {
    let parts: Vec<mem::Buf> =
        frames.iter().flat_map(|frame| frame.payload.parts()).map(Buf::as_abi).collect();
    let mut rest = parts.as_slice();
    let lent: Vec<wire::Frame> = frames
        .iter()
        .map(|frame| {
            let (own, after) = rest.split_at(frame.payload.parts().len());
            rest = after;
            lend_frame(frame, own)
        })
        .collect();
    let pointers: Vec<*const wire::Frame> = lent.iter().map(std::ptr::from_ref).collect();
    body(&pointers)
}

fn lend_frame(frame: &Frame, parts: &[mem::Buf]) -> wire::Frame {
    let flag = |on, flag| if on { flag } else { 0 };
    wire::Frame {
        struct_size: super::size_of_table::<wire::Frame>(),
        track: frame.track,
        config: frame.config,
        flags: flag(frame.flags.key, wire::FRAME_KEY)
            | flag(frame.flags.discontinuity, wire::FRAME_DISCONTINUITY)
            | flag(frame.flags.droppable, wire::FRAME_DROPPABLE)
            | flag(frame.flags.sticky, wire::FRAME_STICKY),
        dts: frame.dts,
        pts: frame.pts,
        duration: frame.duration,
        captured: frame.captured,
        n_parts: count(parts.len()),
        reserved: 0,
        parts: parts.as_ptr(),
    }
}

/// Lends a batch for the time of `body`.
pub(super) fn with_batch(
    shape: Option<&Shape>,
    frames: &[Frame],
    lost: u64,
    body: impl FnOnce(*const wire::Batch),
) {
    with_frames(frames, |frames| {
        let lend = |shape: *const wire::Shape| {
            let batch = wire::Batch {
                struct_size: super::size_of_table::<wire::Batch>(),
                n_frames: count(frames.len()),
                shape,
                frames: frames.as_ptr(),
                lost,
            };
            body(&raw const batch);
        };
        match shape {
            None => lend(std::ptr::null()),
            Some(shape) => with_shape(shape, lend),
        }
    });
}
