//! Bitstreams and containers: bytes in, values out.
//!
//! Plugins link this crate to understand what they carry. It has no socket, clock, thread or log
//! line, and never panics on any input: parsers do not index, every count from the wire is bounded.
//!
//! Layers, bottom to top, each using only those before it:
//!
//! ```text
//! bits → codec → container
//! ```

#![warn(missing_docs)]
// Tests index freely: there a panic is the message.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod bits;
pub mod codec;
pub mod container;

#[cfg(test)]
mod testing;
