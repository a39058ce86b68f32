//! The RTMP chunk stream as a load generator needs it (Adobe RTMP 1.0, section 5.3).
//!
//! publisher → **writer** → socket … socket → **walker** → session → checker
//!
//! The walker does not gather messages: it steps over their payload and keeps the first bytes, in
//! which the stamp is. That keeps a thousand viewers on one core.

mod walker;
mod writer;

pub(crate) use walker::{Broken, Message, Walker};
pub(crate) use writer::{Header, write};

/// The size of a chunk until Set Chunk Size says otherwise (section 5.4.1).
pub(crate) const SIZE_DEFAULT: usize = 128;
/// A timestamp field with this value is followed by the extended one (section 5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;

/// Message types (sections 5.4, 6.2 and 7.1).
pub(crate) mod type_id {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_ACK_SIZE: u8 = 5;
    pub(crate) const COMMAND: u8 = 20;
}

#[cfg(test)]
mod tests;
