//! Plugins: from a file in a folder to a running instance and back.
//!
//! ```text
//! discovery ▸ manifest (read, no code runs) ▸ library (dlopen) ▸ instance: create ▸ activate … deactivate ▸ destroy
//! ```
//!
//! Every file found and every instance configured has a state and a reason; nothing fails silently.

pub mod discovery;
pub mod instance;
mod library;
mod lifecycle;
pub mod manager;
pub mod manifest;
pub mod resources;
