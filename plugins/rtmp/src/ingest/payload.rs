//! Where the payload of a message is gathered: media in host memory, so that a frame is a slice of it and nothing is
//! copied at push; everything else in plain memory, which is gone when the message has been read.
//!
//! chunk_reader → **payload** → ingest → host

use plugin_api::Host;
use plugin_api::mem::{Buf, BufMut};

use crate::wire::chunk_reader::{Announced, NoMemory, PayloadBuf};
use crate::wire::message::type_id;

/// Gives out counted blocks: the host, or a pool in tests.
pub(crate) trait Memory {
    fn block(&self, len: usize) -> Result<BufMut, NoMemory>;
}

impl Memory for Host {
    fn block(&self, len: usize) -> Result<BufMut, NoMemory> {
        self.alloc(len).map_err(|_| NoMemory)
    }
}

/// The payload of one message under way.
pub(crate) enum Payload<M> {
    Heap(Vec<u8>),
    /// `length` is what the message announced: the block grows towards it by doubling.
    Host {
        block: BufMut,
        length: usize,
        memory: M,
    },
}

impl<M: Memory + Clone> Payload<M> {
    /// The factory that the chunk reader calls at a message's first data.
    pub(crate) fn allocate(memory: &M, announced: Announced) -> Result<Self, NoMemory> {
        if !is_media(announced.type_id) {
            // Grows as data comes: a length alone reserves nothing.
            return Ok(Self::Heap(Vec::new()));
        }
        let block = memory.block(announced.reserve)?;
        Ok(Self::Host { block, length: announced.length, memory: memory.clone() })
    }

    /// The whole payload.
    pub(crate) fn into_whole(self) -> Whole {
        match self {
            Self::Heap(bytes) => Whole::Heap(bytes),
            Self::Host { block, .. } => Whole::Host(block.freeze()),
        }
    }
}

/// A whole payload.
pub(crate) enum Whole {
    Heap(Vec<u8>),
    Host(Buf),
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Host(buf) => buf,
        }
    }
}

/// Whether the payload may end in a stream.
fn is_media(id: u8) -> bool {
    matches!(
        id,
        type_id::AUDIO
            | type_id::VIDEO
            | type_id::DATA_AMF0
            | type_id::DATA_AMF3
            | type_id::AGGREGATE
    )
}

impl<M: Memory> PayloadBuf for Payload<M> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), NoMemory> {
        match self {
            Self::Heap(all) => all.extend_from_slice(bytes),
            Self::Host { block, length, memory } => {
                if bytes.len() > block.remaining() {
                    let needed = block.len().saturating_add(bytes.len());
                    let capacity = needed.max(block.len().saturating_mul(2)).min(*length);
                    let mut larger = memory.block(capacity.max(needed))?;
                    larger.extend_from_slice(block);
                    *block = larger;
                }
                block.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Memory for plugin_api::mem::Pool {
    fn block(&self, len: usize) -> Result<BufMut, NoMemory> {
        self.alloc(len).ok_or(NoMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::mem::{Account, Pool};

    #[test]
    fn media_grows_beyond_what_was_reserved() {
        let pool = Pool::new(Account::new(usize::MAX));
        let announced = Announced { type_id: type_id::VIDEO, length: 5000, reserve: 1000 };
        let mut payload = Payload::allocate(&pool, announced).unwrap();

        for part in [[7; 900], [8; 900], [9; 900]] {
            payload.append(&part).unwrap();
        }

        let Whole::Host(buf) = payload.into_whole() else { panic!("host memory") };
        assert_eq!((buf.len(), buf[899], buf[900], buf[2699]), (2700, 7, 8, 9));
    }

    #[test]
    fn a_limit_ends_in_an_error() {
        let pool = Pool::new(Account::new(2000));
        let announced = Announced { type_id: type_id::AUDIO, length: 5000, reserve: 1000 };
        let mut payload = Payload::allocate(&pool, announced).unwrap();

        assert_eq!(payload.append(&[0; 1900]), Err(NoMemory));
    }

    #[test]
    fn commands_take_no_host_memory() {
        let pool = Pool::new(Account::new(0));
        let announced =
            Announced { type_id: type_id::COMMAND_AMF0, length: 1 << 20, reserve: 1 << 20 };

        assert!(matches!(Payload::allocate(&pool, announced), Ok(Payload::Heap(_))));
    }
}
