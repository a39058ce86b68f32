//! The process `plugcast`: loads plugins and owns streams, sockets and threads. It knows no protocol but HTTP.

pub(crate) mod abi;
pub mod auth;
pub mod cli;
pub mod config;
pub(crate) mod crash;
pub mod event;
pub mod fanout;
#[cfg(test)]
mod golden;
pub mod http;
pub mod hub;
pub mod listeners;
pub mod log;
pub mod metrics;
pub mod net;
pub mod plugin;
pub(crate) mod scaffold;
pub mod server;
pub(crate) mod sync;
pub mod task;
pub(crate) mod told;
