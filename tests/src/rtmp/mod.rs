//! An RTMP client that can be told to misbehave. Written for the tests from the specification (Adobe RTMP 1.0), apart from
//! the plugin, so that the two don't share mistakes.
//!
//! [`Client`] holds a connection: what arrives is kept with the moment of its arrival. [`Publisher`] and [`Player`] are the
//! two things it is used for; [`feed`] sends tags at their pace.

mod chunk;
mod client;
pub mod feed;
mod player;
mod publisher;

#[cfg(test)]
mod tests;

pub use client::{Client, Dialect, End, Message, Refusal};
pub use player::Player;
pub use publisher::Publisher;
