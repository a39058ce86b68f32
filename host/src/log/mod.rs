//! What is logged, and how.

pub mod mask;
