//! Who may publish and play, and who may operate the server.

pub mod engine;
pub mod pattern;
pub mod rules;
pub mod token;
