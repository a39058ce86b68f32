//! Skeleton.

pub mod units;
