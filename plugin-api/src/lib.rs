//! What a Plugcast plugin is written with.
//!
//! The contract is the C headers in `include/plugcast`; [`abi`] mirrors them, and everything else here is the safe API above:
//! a type that implements [`Plugin`], handed to [`export_plugin!`], and a [`Host`] to ask for the rest.

pub mod abi;
pub mod auth;
pub mod channel;
mod error;
#[doc(hidden)]
pub mod export;
pub mod feed;
mod ffi;
pub mod frame;
mod host;
mod log;
#[doc(hidden)]
pub mod manifest;
pub mod mem;
pub mod metrics;
pub mod net;
mod plugin;
#[doc(hidden)]
pub mod schema;
pub mod stream;
pub mod task;
pub mod time;
pub mod units;

pub use error::{Error, Status};
pub use host::Host;
pub use plugin::Plugin;
