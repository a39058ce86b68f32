//! Skeleton.

pub mod abi;
pub mod frame;
pub mod mem;
pub mod units;
