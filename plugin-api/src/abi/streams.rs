//! Mirror of `streams.h`.

use std::ffi::c_void;

use super::core::{Handle, Host, Ns, Status, Str, Waker};
use super::mem::Buf;

/// `PC_AUDIO`.
pub const AUDIO: u32 = 1;
/// `PC_VIDEO`.
pub const VIDEO: u32 = 2;
/// `PC_DATA`.
pub const DATA: u32 = 3;

/// `pc_track`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Track {
    pub struct_size: u32,
    pub id: u32,
    pub kind: u32,
    pub codec: u32,
    pub config_number: u32,
    pub width: u32,
    pub height: u32,
    pub frame_rate_num: u32,
    pub frame_rate_den: u32,
    pub sample_rate: u32,
    pub channels: u32,
    pub reserved: u32,
    pub config: Buf,
    pub codec_string: Str,
}

/// `pc_shape`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub struct_size: u32,
    pub number: u32,
    pub n_tracks: u32,
    pub flags: u32,
    pub tracks: *const *const Track,
}

/// `PC_TRACKS_MAX`.
pub const TRACKS_MAX: usize = 64;
/// `PC_SHAPE_SETTLED`.
pub const SHAPE_SETTLED: u32 = 1;
/// `PC_SHAPE_DISCONTINUITY`.
pub const SHAPE_DISCONTINUITY: u32 = 2;

/// `PC_FRAME_KEY`.
pub const FRAME_KEY: u32 = 1;
/// `PC_FRAME_DISCONTINUITY`.
pub const FRAME_DISCONTINUITY: u32 = 2;
/// `PC_FRAME_DROPPABLE`.
pub const FRAME_DROPPABLE: u32 = 4;
/// `PC_FRAME_STICKY`.
pub const FRAME_STICKY: u32 = 8;

/// `pc_frame`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub struct_size: u32,
    pub track: u32,
    pub config: u32,
    pub flags: u32,
    pub dts: Ns,
    pub pts: Ns,
    pub duration: Ns,
    pub captured: Ns,
    pub n_parts: u32,
    pub reserved: u32,
    pub parts: *const Buf,
}

/// `PC_FRAME_PARTS_MAX`.
pub const FRAME_PARTS_MAX: usize = 4096;
/// `PC_FRAME_BYTES_MAX`.
pub const FRAME_BYTES_MAX: usize = 32 << 20;

/// `pc_publish`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Publish {
    pub struct_size: u32,
    pub flags: u32,
    pub url: Str,
    pub conn: Handle,
    pub protocol: Str,
    pub agent: Str,
}

/// `PC_NOTICE_FIRST_READER`.
pub const NOTICE_FIRST_READER: u32 = 1;
/// `PC_NOTICE_LAST_READER`.
pub const NOTICE_LAST_READER: u32 = 2;
/// `PC_NOTICE_KEYFRAME_WANTED`.
pub const NOTICE_KEYFRAME_WANTED: u32 = 3;

/// `PC_REASON_ASKED`.
pub const REASON_ASKED: u32 = 1;
/// `PC_REASON_ENDED`.
pub const REASON_ENDED: u32 = 2;
/// `PC_REASON_REPLACED`.
pub const REASON_REPLACED: u32 = 3;
/// `PC_REASON_STOPPED`.
pub const REASON_STOPPED: u32 = 4;
/// `PC_REASON_TIMEOUT`.
pub const REASON_TIMEOUT: u32 = 5;
/// `PC_REASON_LAGGED`.
pub const REASON_LAGGED: u32 = 6;
/// `PC_REASON_STALLED`.
pub const REASON_STALLED: u32 = 7;
/// `PC_REASON_PEER_CLOSED`.
pub const REASON_PEER_CLOSED: u32 = 8;
/// `PC_REASON_ERROR`.
pub const REASON_ERROR: u32 = 9;
/// `PC_REASON_IDLE`.
pub const REASON_IDLE: u32 = 10;
/// `PC_REASON_LOST`.
pub const REASON_LOST: u32 = 11;

/// `pc_subscribe`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Subscribe {
    pub struct_size: u32,
    pub kind: u32,
    pub url: Str,
    pub conn: Handle,
    pub protocol: Str,
    pub start: u32,
    pub flags: u32,
    pub wait: Ns,
}

/// `PC_READER_PLAYER`.
pub const READER_PLAYER: u32 = 0;
/// `PC_READER_RECORDER`.
pub const READER_RECORDER: u32 = 1;
/// `PC_READER_PUSHER`.
pub const READER_PUSHER: u32 = 2;
/// `PC_READER_SNAPSHOT`.
pub const READER_SNAPSHOT: u32 = 3;
/// `PC_START_NEWEST`.
pub const START_NEWEST: u32 = 0;
/// `PC_START_LIVE`.
pub const START_LIVE: u32 = 1;
/// `PC_START_OLDEST`.
pub const START_OLDEST: u32 = 2;

/// `pc_batch`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub struct_size: u32,
    pub n_frames: u32,
    pub shape: *const Shape,
    pub frames: *const *const Frame,
    pub lost: u64,
}

/// `pc_on_batch`.
pub type OnBatch = unsafe extern "C" fn(ctx: *mut c_void, batch: *const Batch);

/// `PC_STREAMS_ID`.
pub const ID: &str = "pc.streams/1";

/// Acts on one publisher: `ready` and `finish` of [`StreamsApi`].
pub type OnPublisher = unsafe extern "C" fn(host: *const Host, publisher: Handle) -> Status;
/// `poll_publish` and `poll_subscribe` of [`StreamsApi`].
pub type PollHandle =
    unsafe extern "C" fn(host: *const Host, handle: Handle, waker: *mut Waker) -> Status;

/// `pc_streams_api`.
#[repr(C)]
#[derive(Debug)]
pub struct StreamsApi {
    pub struct_size: u32,
    pub revision: u32,
    pub publish: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const Publish,
            publisher: *mut Handle,
        ) -> Status,
    >,
    pub poll_publish: Option<PollHandle>,
    pub set_tracks: Option<
        unsafe extern "C" fn(
            host: *const Host,
            publisher: Handle,
            tracks: *const *const Track,
            n: usize,
        ) -> Status,
    >,
    pub push: Option<
        unsafe extern "C" fn(
            host: *const Host,
            publisher: Handle,
            frames: *const *const Frame,
            n: usize,
        ) -> Status,
    >,
    pub ready: Option<OnPublisher>,
    pub finish: Option<OnPublisher>,
    pub poll_notice: Option<
        unsafe extern "C" fn(
            host: *const Host,
            publisher: Handle,
            waker: *mut Waker,
            value: *mut u32,
        ) -> Status,
    >,
    pub subscribe: Option<
        unsafe extern "C" fn(
            host: *const Host,
            options: *const Subscribe,
            subscription: *mut Handle,
        ) -> Status,
    >,
    pub poll_subscribe: Option<PollHandle>,
    pub poll_read: Option<
        unsafe extern "C" fn(
            host: *const Host,
            subscription: Handle,
            waker: *mut Waker,
            max: usize,
            on_batch: Option<OnBatch>,
            ctx: *mut c_void,
            reason: *mut u32,
        ) -> Status,
    >,
}
