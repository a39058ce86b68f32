//! What a Plugcast plugin is written with.
//!
//! The contract between the server and a plugin is the set of C headers in `include/plugcast`; [`abi`] mirrors it. All else
//! here is the safe API above: ordinary async Rust, no `unsafe`. A plugin knows no other plugin, brings no runtime and opens no
//! socket: it asks its [`Host`].
//!
//! # The life of a plugin
//!
//! 1. **Found.** The host reads the manifest from the library's file, without running code: id, version, what it requires
//!    and provides, and the schema of its config. [`export_plugin!`] has the compiler build it.
//! 2. **Loaded.** The host calls the entry symbol, which returns a static table, and compares it with the manifest.
//! 3. **[`create`](Plugin::create).** The config arrives, checked against the schema and parsed. Make the state; nothing
//!    is listened on yet.
//! 4. **[`activate`](Plugin::activate).** Bind listeners ([`net`]), register routes ([`http`]) and packagers ([`feed`]), spawn
//!    tasks ([`task`]).
//! 5. **Running.** The host polls the plugin's futures on its workers: sessions read sockets, turn bytes into
//!    [`Frame`](frame::Frame)s and push them ([`stream::Publisher`]), or lend their connection to a feed ([`feed::Viewer`]). Futures
//!    must not block; what blocks goes to [`Host::blocking`].
//! 6. **[`deactivate`](Plugin::deactivate).** Let sessions say goodbye within the deadline, while they still run.
//! 7. **Cancelled.** Every call to the host now fails with [`Status::CANCELLED`]; tasks are woken, and dropped if they
//!    don't end. Threads are joined, registrations dropped.
//! 8. **[`destroy`](Plugin::destroy).** The last call. The library stays mapped; another instance may be created.
//!
//! A panic, wherever it happens, is caught at the plugin's edge: it is logged with its place and becomes an error of that one call,
//! so that one session ends and the others go on.
//!
//! # A whole plugin
//!
//! It listens, publishes one data stream per connection, one frame per line, and is what a new plugin may start from.
//!
//! ```
//! use plugin_api::frame::{FourCc, Frame, FrameFlags, Payload, Track, TrackKind};
//! use plugin_api::net::{ListenOptions, TcpListener, TcpStream};
//! use plugin_api::stream::PublishOptions;
//! use plugin_api::{Error, Host, Plugin, export_plugin};
//! use tokio::io::{AsyncBufReadExt as _, BufReader};
//!
//! /// `plugins.lines` in plugcast.yaml.
//! #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     /// Where to listen.
//!     listen: String,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { listen: ":7000".to_owned() }
//!     }
//! }
//!
//! struct Lines {
//!     host: Host,
//!     config: Config,
//! }
//!
//! impl Plugin for Lines {
//!     const ID: &'static str = "lines";
//!
//!     type Config = Config;
//!     type Error = Error;
//!
//!     fn create(host: Host, config: Config) -> Result<Self, Error> {
//!         Ok(Self { host, config })
//!     }
//!
//!     fn activate(&self) -> Result<(), Error> {
//!         let address = &self.config.listen;
//!         let options = ListenOptions { address, protocol: "lines", ..ListenOptions::default() };
//!         let listener = TcpListener::bind(&self.host, options)?;
//!         self.host.spawn_detached("listener", address, accept(self.host.clone(), listener))
//!     }
//! }
//!
//! async fn accept(host: Host, listener: TcpListener) -> Result<(), Error> {
//!     loop {
//!         let conn = listener.accept().await?;
//!         let peer = conn.info().peer.to_string();
//!         host.spawn_detached("session", &peer, session(host.clone(), conn))?;
//!     }
//! }
//!
//! async fn session(host: Host, conn: TcpStream) -> Result<(), Error> {
//!     let url = format!("lines/{}", conn.info().id);
//!     let options = PublishOptions { url: &url, conn: Some(&conn), protocol: "lines", agent: "" };
//!     let publisher = host.publish(options).await?;
//!     publisher.set_tracks(&[Track::new(1, TrackKind::Data, FourCc(*b"text"))])?;
//!     publisher.ready()?;
//!
//!     let (start, mut lines) = (host.now(), BufReader::new(&conn).lines());
//!     while let Some(line) = lines.next_line().await? {
//!         let dts = host.now() - start;
//!         let payload = Payload::One(host.copy(line.as_bytes())?);
//!         let flags = FrameFlags { key: true, ..FrameFlags::default() };
//!         publisher.push(&[Frame { track: 1, config: 0, flags, dts, pts: dts, duration: 0, captured: 0, payload }])?;
//!     }
//!     tracing::debug!(%url, "peer is done");
//!     publisher.finish()
//! }
//!
//! export_plugin!(Lines, schema: "tests/lines.schema.json", requires: ["pc.net/1", "pc.streams/1"], protocols: ["lines"]);
//! # // The whole of it runs below, against the fake host.
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! # #[cfg(feature = "testing")]
//! # fn main() {
//! #     use std::io::Write as _;
//! #     let host = plugin_api::testing::FakeHost::new();
//! #     let plugin = host.start::<Lines>("{}").expect("starts");
//! #     let addr = host.wait_for("a listener", |state| state.listeners().first().copied());
//! #     let mut peer = std::net::TcpStream::connect(addr).expect("connects");
//! #     peer.write_all(b"one\ntwo\n").expect("writes");
//! #     drop(peer);
//! #     let key = host.wait_for("a stream", |state| state.stream_keys().first().cloned());
//! #     host.wait_for("its end", |state| state.stream(&key).filter(|s| s.finished && s.frames.len() == 2));
//! #     plugin.stop();
//! # }
//! ```
//!
//! Tests of a plugin run it against `testing::FakeHost` (feature `testing`), without the server and without a library file.

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
pub mod http;
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
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod units;

pub use error::{Error, Status};
pub use host::Host;
pub use plugin::Plugin;
