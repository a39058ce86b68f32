//! Aggregate messages: several messages in one, laid out like FLV tags (RTMP 1.0, section 7.1.6).
//!
//! message → **aggregate** → session
//!
//! ```text
//! type 1 │ length 3 │ timestamp 3 + 1 │ stream id 3 │ payload │ back pointer 4
//! ```
//!
//! The sub-messages keep the timestamps that they had in a file. The aggregate's own timestamp
//! belongs to the first; the difference moves the others along.

use super::super::error::Error;

/// Iterates over the sub-messages. Ends after the first error.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate<'a> {
    rest: &'a [u8],
    timestamp: u32,
    /// Aggregate time less the time of the first sub-message, once that is known.
    shift: Option<u32>,
    offset: u64,
}

/// A message of an aggregate. Its stream id is the aggregate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubMessage<'a> {
    /// One of [`type_id`](super::type_id). An aggregate inside an aggregate is to be ignored.
    pub type_id: u8,
    /// As in [`Message`](super::super::chunk_reader::Message): shifted, wrapping.
    pub timestamp: u32,
    pub payload: &'a [u8],
}

impl<'a> Aggregate<'a> {
    pub(super) fn new(payload: &'a [u8], timestamp: u32, offset: u64) -> Self {
        Self { rest: payload, timestamp, shift: None, offset }
    }

    fn parse_next(&mut self) -> Option<SubMessage<'a>> {
        let (&[type_id, l2, l1, l0, t2, t1, t0, t3, _, _, _], rest) =
            self.rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes([0, l2, l1, l0])).ok()?;
        let timestamp = u32::from_be_bytes([t3, t2, t1, t0]);
        let (payload, rest) = rest.split_at_checked(length)?;
        // The back pointer says how long the sub-message was: nothing new. The last one may lack.
        self.rest = rest.split_first_chunk::<4>().map_or(&[], |(_, rest)| rest);
        let shift = self.shift.unwrap_or_else(|| self.timestamp.wrapping_sub(timestamp));
        self.shift = Some(shift);
        Some(SubMessage { type_id, timestamp: timestamp.wrapping_add(shift), payload })
    }
}

impl<'a> Iterator for Aggregate<'a> {
    type Item = Result<SubMessage<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let next = self.parse_next();
        if next.is_none() {
            self.rest = &[];
        }
        Some(next.ok_or(Error::Aggregate { offset: self.offset }))
    }
}
