//! The locks and atomics of what `tests/loom` models: there, loom's stand behind these names.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};
