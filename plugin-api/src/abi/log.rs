//! Mirror of `log.h`.

use super::core::{Field, Host, Str};

/// `PC_LOG_ERROR`.
pub const ERROR: u32 = 1;
/// `PC_LOG_WARN`.
pub const WARN: u32 = 2;
/// `PC_LOG_INFO`.
pub const INFO: u32 = 3;
/// `PC_LOG_DEBUG`.
pub const DEBUG: u32 = 4;
/// `PC_LOG_TRACE`.
pub const TRACE: u32 = 5;

/// `PC_LOG_ID`.
pub const ID: &str = "pc.log/1";

/// `pc_log_api`.
#[repr(C)]
#[derive(Debug)]
pub struct LogApi {
    pub struct_size: u32,
    pub revision: u32,
    pub enabled: Option<unsafe extern "C" fn(host: *const Host, level: u32, target: Str) -> u32>,
    pub write: Option<
        unsafe extern "C" fn(
            host: *const Host,
            level: u32,
            target: Str,
            message: Str,
            fields: *const Field,
            n: usize,
        ),
    >,
}
