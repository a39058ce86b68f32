//! What turns frames into packets: plain calls of a plugin, behind traits.
//!
//! The host opens a packager for the first viewer of a feed, at a start point, calls it with frames in order, and drops it
//! when a call fails or the feed closes. Calls must not block.

use plugin_api::frame::{Frame, Ns, Shape};

/// Largest packet.
pub const PACKET_BYTES_MAX: usize = 32 << 20;
/// Largest head, preamble and config together.
pub const HEAD_BYTES_MAX: usize = 1 << 20;

/// One per format in the server.
pub trait PackagerFactory: Send + Sync {
    /// Opens a packager, which must set a head before it returns.
    ///
    /// # Errors
    /// `unsupported` when the shape can't be carried in this format; then the feed ends.
    fn open(
        &self,
        shape: &Shape,
        variant: &str,
        out: &mut dyn FeedOut,
    ) -> Result<Box<dyn Packager>, PackagerError>;
}

/// An error from any call ends the packager. The host opens another one at the next start point.
pub trait Packager: Send {
    /// The shape from the next frame on.
    ///
    /// # Errors
    /// When it can't be carried, or the packager has failed.
    fn on_shape(&mut self, shape: &Shape, out: &mut dyn FeedOut) -> Result<(), PackagerError>;

    /// Frames in decoding order over all tracks.
    ///
    /// # Errors
    /// When the packager has failed.
    fn on_frames(&mut self, frames: &[Frame], out: &mut dyn FeedOut) -> Result<(), PackagerError>;
}

/// Where a packager's output goes; valid during its call.
pub trait FeedOut {
    /// The head for viewers that begin from here on: `preamble` is sent once per connection, `config` whenever a viewer
    /// begins or resumes under a head that it has not had. Viewers that read straight through get nothing of it. Gives the
    /// head's number.
    ///
    /// # Errors
    /// When it is larger than [`HEAD_BYTES_MAX`], or at the memory limit.
    fn set_head(&mut self, preamble: &[&[u8]], config: &[&[u8]]) -> Result<u32, PackagerError>;

    /// Appends packets; their bytes are copied.
    ///
    /// # Errors
    /// When one is empty, larger than [`PACKET_BYTES_MAX`] or names no head, or at the memory limit.
    fn write(&mut self, packets: &[PacketRef<'_>]) -> Result<(), PackagerError>;
}

/// A packet as a packager gives it: self-contained, in parts.
#[derive(Clone, Copy, Debug)]
pub struct PacketRef<'a> {
    /// A viewer may begin or resume here.
    pub start_point: bool,
    pub droppable: bool,
    pub dts: Ns,
    /// Number of the head in force.
    pub head: u32,
    pub parts: &'a [&'a [u8]],
}

/// Why a packager could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PackagerError {
    /// The format can't carry the stream; trying again is no use.
    pub unsupported: bool,
    pub text: String,
}

impl PackagerError {
    /// The packager failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { unsupported: false, text: text.into() }
    }

    /// The format can't carry the stream.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self { unsupported: true, text: text.into() }
    }
}
