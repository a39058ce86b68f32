//! Frames, tracks and shapes, to and from the structs that cross the boundary.
//!
//! To C nothing is copied: [`Buf`] has the layout of `pc_buf`, so a frame's parts cross as they are. From C a frame takes a
//! share in each part; bytes without memory of their own are copied.
#![expect(unsafe_code, reason = "reads what the other side lends")]

use std::sync::Arc;

use super::{lend, size_u32, text};
use crate::abi::mem as mem_abi;
use crate::abi::streams as abi;
use crate::error::Error;
use crate::frame::{FourCc, Frame, FrameFlags, Payload, Shape, Track, TrackKind};
use crate::mem::Buf;

/// Makes counted memory of bytes that are only lent.
pub(crate) type Copy<'a> = &'a dyn Fn(&[u8]) -> Result<Buf, Error>;

/// A frame as it crosses, lent as long as `frame`.
pub(crate) fn frame_to_abi(frame: &Frame) -> abi::Frame {
    let parts = frame.payload.parts();
    abi::Frame {
        struct_size: size_u32::<abi::Frame>(),
        track: frame.track,
        config: frame.config,
        flags: flags_to_abi(frame.flags),
        dts: frame.dts,
        pts: frame.pts,
        duration: frame.duration,
        captured: frame.captured,
        // More than the host accepts is refused there, by the number.
        n_parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        reserved: 0,
        parts: parts.as_ptr().cast::<mem_abi::Buf>(),
    }
}

fn flags_to_abi(flags: FrameFlags) -> u32 {
    let flag = |set, value| if set { value } else { 0 };
    flag(flags.key, abi::FRAME_KEY)
        | flag(flags.discontinuity, abi::FRAME_DISCONTINUITY)
        | flag(flags.droppable, abi::FRAME_DROPPABLE)
        | flag(flags.sticky, abi::FRAME_STICKY)
}

/// # Safety
/// streams.h: `frame` and what it points to is readable for the call.
pub(crate) unsafe fn frame_from_abi(
    frame: *const abi::Frame,
    copy: Copy<'_>,
) -> Result<Frame, Error> {
    // SAFETY: the caller's promise.
    let frame = unsafe { &*frame };
    if frame.struct_size < size_u32::<abi::Frame>() {
        return Err(Error::invalid("a frame of an older revision"));
    }
    // SAFETY: streams.h: `parts` are `n_parts` views.
    let parts = unsafe { slice(frame.parts, frame.n_parts as usize) };
    let payload = match parts {
        // SAFETY: mem.h: a view of readable bytes.
        [part] => Payload::One(unsafe { buf_from_abi(part, copy) }?),
        parts => {
            // SAFETY: as above.
            let parts = parts.iter().map(|part| unsafe { buf_from_abi(part, copy) });
            Payload::Parts(parts.collect::<Result<_, _>>()?)
        }
    };
    let has = |flag| frame.flags & flag != 0;
    Ok(Frame {
        track: frame.track,
        config: frame.config,
        flags: FrameFlags {
            key: has(abi::FRAME_KEY),
            discontinuity: has(abi::FRAME_DISCONTINUITY),
            droppable: has(abi::FRAME_DROPPABLE),
            sticky: has(abi::FRAME_STICKY),
        },
        dts: frame.dts,
        pts: frame.pts,
        duration: frame.duration,
        captured: frame.captured,
        payload,
    })
}

/// Appends `n` frames to `out`.
///
/// # Safety
/// streams.h: `frames` are `n` pointers to frames, all readable for the call.
pub(crate) unsafe fn frames_from_abi(
    frames: *const *const abi::Frame,
    n: usize,
    out: &mut Vec<Frame>,
    copy: Copy<'_>,
) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    let frames = unsafe { slice(frames, n) };
    out.reserve(n);
    for frame in frames {
        // SAFETY: as above.
        out.push(unsafe { frame_from_abi(*frame, copy) }?);
    }
    Ok(())
}

/// # Safety
/// mem.h: `buf` describes readable bytes, inside `mem` if that is not NULL.
pub(crate) unsafe fn buf_from_abi(buf: &mem_abi::Buf, copy: Copy<'_>) -> Result<Buf, Error> {
    if buf.len == 0 {
        return Ok(Buf::default());
    }
    // SAFETY: the caller's promise.
    if let Some(shared) = unsafe { Buf::retain_abi(buf) } {
        return Ok(shared);
    }
    // SAFETY: the caller's promise.
    copy(unsafe { slice(buf.data, buf.len) })
}

/// A track as it crosses, lent as long as `track`.
pub(crate) fn track_to_abi(track: &Track) -> abi::Track {
    abi::Track {
        struct_size: size_u32::<abi::Track>(),
        id: track.id,
        kind: match track.kind {
            TrackKind::Audio => abi::AUDIO,
            TrackKind::Data => abi::DATA,
            TrackKind::Video => abi::VIDEO,
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
        codec_string: lend(&track.codec_string),
    }
}

/// # Safety
/// streams.h: `track` and what it points to is readable for the call.
pub(crate) unsafe fn track_from_abi(
    track: *const abi::Track,
    copy: Copy<'_>,
) -> Result<Track, Error> {
    // SAFETY: the caller's promise.
    let track = unsafe { &*track };
    if track.struct_size < size_u32::<abi::Track>() {
        return Err(Error::invalid("a track of an older revision"));
    }
    // SAFETY: mem.h: a view of readable bytes.
    let config = unsafe { buf_from_abi(&track.config, copy) }?;
    // SAFETY: core.h: a text, lent for the call, copied here.
    let codec_string = unsafe { text(track.codec_string) }.into_owned();
    Ok(Track {
        id: track.id,
        kind: match track.kind {
            abi::AUDIO => TrackKind::Audio,
            abi::VIDEO => TrackKind::Video,
            _ => TrackKind::Data,
        },
        codec: FourCc::from_abi(track.codec),
        config_number: track.config_number,
        config,
        width: track.width,
        height: track.height,
        frame_rate: (track.frame_rate_num, track.frame_rate_den),
        sample_rate: track.sample_rate,
        channels: track.channels,
        codec_string,
    })
}

/// # Safety
/// streams.h: `shape` and what it points to is readable for the call.
pub(crate) unsafe fn shape_from_abi(
    shape: *const abi::Shape,
    copy: Copy<'_>,
) -> Result<Shape, Error> {
    // SAFETY: the caller's promise.
    let shape = unsafe { &*shape };
    // SAFETY: streams.h: `n_tracks` pointers.
    let tracks = unsafe { slice(shape.tracks, shape.n_tracks as usize) };
    // SAFETY: as above.
    let tracks = tracks.iter().map(|track| unsafe { track_from_abi(*track, copy) }.map(Arc::new));
    Ok(Shape {
        number: shape.number,
        settled: shape.flags & abi::SHAPE_SETTLED != 0,
        discontinuity: shape.flags & abi::SHAPE_DISCONTINUITY != 0,
        tracks: tracks.collect::<Result<_, _>>()?,
    })
}

/// # Safety
/// `data` are `len` values, readable and unchanged for `'a`; NULL is none.
pub(crate) unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if data.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, len) }
}
