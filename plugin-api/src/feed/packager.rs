//! What turns frames into a format's packets.

use crate::abi::feeds as abi;
use crate::error::Error;
use crate::feed::FeedOut;
use crate::ffi::Owned;
use crate::frame::{Frame, Ns, Shape};
use crate::host::Host;

/// Turns the frames of one stream into the packets of one format and variant.
///
/// Calls come in order, on the host's workers. They must not block and call nothing of the host but `out` and the log. A
/// call that fails or panics ends the packager; the host opens a new one at the next start point.
pub trait Packager: Sized + Send + 'static {
    /// What all packagers of a registration share: config, metrics.
    type Context: Send + Sync + 'static;

    /// Begins at a start point: sets a head.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`](crate::Status::UNSUPPORTED) with the reason when the shape can't be carried in this format.
    fn open(
        context: &Self::Context,
        shape: &Shape,
        variant: &str,
        out: &mut FeedOut<'_>,
    ) -> Result<Self, Error>;

    /// The tracks changed; the next frames are of this shape.
    ///
    /// # Errors
    /// Any ends the packager.
    fn on_shape(&mut self, shape: &Shape, out: &mut FeedOut<'_>) -> Result<(), Error>;

    /// Frames in order. The first ones begin at a start point.
    ///
    /// # Errors
    /// Any ends the packager.
    fn on_frames(&mut self, frames: &[Frame], out: &mut FeedOut<'_>) -> Result<(), Error>;
}

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketFlags {
    /// A viewer may begin or resume here.
    pub start_point: bool,
    pub droppable: bool,
}

impl PacketFlags {
    pub(crate) fn to_abi(self) -> u32 {
        let flag = |set, value| if set { value } else { 0 };
        flag(self.start_point, abi::PACKET_START_POINT)
            | flag(self.droppable, abi::PACKET_DROPPABLE)
    }
}

/// One unit of a feed: bytes that don't depend on what other packets carried on the connection.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub flags: PacketFlags,
    /// The stream's.
    pub dts: Ns,
    /// Number of the head in force, from [`FeedOut::set_head`].
    pub head: u32,
    /// Header and payload, gathered by the host.
    pub parts: &'a [&'a [u8]],
}

/// A packager that is offered for a format. Dropping it detaches all viewers of the format.
#[derive(Debug)]
#[must_use = "dropping it takes the packager back"]
pub struct Registration {
    _owned: Owned,
}

impl Host {
    /// Offers a packager for `format`.
    ///
    /// # Errors
    /// [`Status::CONFLICT`](crate::Status::CONFLICT) when there is one for the format in this server.
    pub fn register_packager<P: Packager>(
        &self,
        format: &str,
        context: P::Context,
    ) -> Result<Registration, Error> {
        self.instance
            .register_packager::<P>(format, context)
            .map(|owned| Registration { _owned: owned })
    }
}
