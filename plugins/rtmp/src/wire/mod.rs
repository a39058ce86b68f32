//! RTMP as bytes: everything about the protocol that needs no socket.
//!
//! ```text
//! socket → handshake → chunk_reader → message → command, data → session   (a peer's bytes to us)
//! session, packager → command::response, chunk_writer → socket            (and back)
//! ```
//!
//! Bytes and time go in, messages and bytes come out. Nothing here reads a clock, logs or waits.
//! The text that everything refers to is Adobe's "RTMP specification 1.0" of 2012; "Enhanced RTMP
//! v2" (Veovera) adds to connect and to media. Commands are in AMF0.
//!
//! # The protocol on one page
//!
//! A *client* connects to a *server* over TCP, port 1935. After the [`handshake`] (section 5.2)
//! both sides send *messages*. A message has a type, a length, a timestamp in milliseconds and a
//! *message stream* id: 0 for the connection, other ids are made by createStream (section 6.1). On
//! the way it is cut into *chunks*, 128 bytes each until Set Chunk Size says otherwise. Chunks of
//! different *chunk streams* interleave (section 5.3): [`chunk_reader`], [`chunk_writer`]. Message
//! streams and chunk streams have nothing to do with each other.
//!
//! Types 1 to 6 are about the connection (section 5.4, 6.2: [`message`]), 20 is a [`command`]
//! (7.2), 18 is [`data`], 8 and 9 are audio and video: their payload is the body of an FLV tag.
//!
//! ```text
//! publisher                              server                               player
//!     handshake        ◀───────────────────▶ ◀───────────────────▶         handshake
//!     connect(app)     ──▶                                     ◀──      connect(app)
//!        ◀── Window Ack Size, Set Peer Bandwidth, _result, to both ──▶
//!     releaseStream, FCPublish (a habit, not specified)
//!     createStream     ──▶ ◀── _result(1)   _result(1) ──▶     ◀──      createStream
//!     publish(name)    ──▶                                     ◀──        play(name)
//!        ◀── onStatus(NetStream.Publish.Start)
//!                Stream Begin, onStatus(NetStream.Play.Reset, then .Start) ──▶
//!     @setDataFrame onMetaData ──▶                    onMetaData ──▶
//!     audio, video     ──▶                          audio, video ──▶
//!     Ping, Acknowledgement: both ways, at any time
//!     FCUnpublish, deleteStream ──▶                            ◀──      deleteStream
//! ```
//!
//! # What people get wrong
//!
//! 1. *One buffer for all chunk streams.* Two messages may be under way at once; each chunk stream
//!    has its own payload and its own previous header. And Set Chunk Size may come between two
//!    chunks of another message, in force at once (section 5.4.1).
//! 2. *Time.* A type 0 header has the time, types 1 and 2 what is added to it, type 3 adds the same
//!    again if it begins a message and nothing if it goes on with one (section 5.3.1.2). From
//!    0xffffff ms, four hours forty, four more bytes follow, on type 3 chunks too, or not: see
//!    [`chunk_reader`].
//! 3. *Trusting the peer's numbers.* A header of twelve bytes announces 16 MiB, 65,598 times over:
//!    [`chunk_reader::Limits`]. A message stream id, a transaction id, a C2, a count in an AMF0
//!    array are what the peer happened to write: rtmp2sink numbers nothing, and deletes streams by
//!    name.
//!
//! Known peers and what they do are in `testdata/README.md`, with their bytes.

// Tests index freely: there a panic is the message.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod acks;
mod chunk_header;
pub mod chunk_reader;
pub mod chunk_writer;
pub mod command;
pub mod data;
pub mod error;
pub mod handshake;
pub mod message;
pub mod url;

pub use chunk_header::{CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX, MESSAGE_LENGTH_MAX};
pub use error::Error;

#[cfg(test)]
mod testing;
