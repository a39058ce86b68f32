//! The Rust mirror of `include/plugcast/*.h`: `#[repr(C)]` structs and constants, no logic.
//!
//! One file per header, names as in C in Rust's spelling (`pc_tcp_listen` is [`net::TcpListen`]). What a function means,
//! which thread may call it and who owns what is written in the headers and nowhere else. `tests/layout.rs` compiles a C
//! file and compares every size, alignment and offset with this mirror.
//!
//! Function pointers in *sized* structs are `Option`, whoever gives the table: it may come from C with a NULL in it, or from
//! an older revision and be shorter. Those of *frozen* tables (`pc_waker_vtable`, `pc_mem_vtable`) are plain: the headers
//! forbid NULL there. Text is `*const u8` where C says `const char *`.

pub mod auth;
pub mod config;
pub mod core;
pub mod exec;
pub mod feeds;
pub mod hash;
pub mod http;
pub mod log;
pub mod mem;
pub mod metrics;
pub mod net;
pub mod streams;
pub mod tasks;
