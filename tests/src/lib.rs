//! What the end to end tests stand on: a server in a process of its own, real encoders and players, small clients for RTMP and for FLV over HTTP,
//! and the comparison of what a viewer received with what was published.
//!
//! Reading order: [`server`] starts `plugcast` with the libraries of the target folder; [`clips`] makes the media;
//! [`encoder`] and [`viewer`] run ffmpeg and others; [`browser`] runs Chromium; [`rtmp`] is a client that can also misbehave; [`media`] compares; [`network`] is a place for fixed ports.
//!
//! Nothing here imports the server or a plugin: they would share their mistakes.

pub mod amf;
pub mod artifacts;
pub mod browser;
pub mod clips;
pub mod encoder;
pub mod flv;
pub mod front;
pub mod http;
pub mod live;
pub mod media;
pub mod metrics;
pub mod network;
pub mod process;
pub mod rtmp;
pub mod server;
pub mod socket;
pub mod tls;
pub mod viewer;
pub mod wait;
