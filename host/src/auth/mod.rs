//! Who may publish and play.

pub mod pattern;
pub mod rules;
