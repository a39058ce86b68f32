//! Mirror of `config.h`.

use super::core::{Host, Status, Str};

/// `PC_CONFIG_ID`.
pub const ID: &str = "pc.config/1";

/// `pc_config_api`.
#[repr(C)]
#[derive(Debug)]
pub struct ConfigApi {
    pub struct_size: u32,
    pub revision: u32,
    pub get: Option<unsafe extern "C" fn(host: *const Host, json: *mut Str) -> Status>,
}
