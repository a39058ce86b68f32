//! The Rust mirror of `include/plugcast/*.h`: `#[repr(C)]` structs and constants, no logic.
//!
//! One file per header, names as in C in Rust's spelling (`pc_tcp_listen` is [`net::TcpListen`]). What a function means,
//! which thread may call it and who owns what is written in the headers and nowhere else. `tests/layout.rs` compiles a C
//! file and compares every size, alignment and offset with this mirror.

pub mod mem;
