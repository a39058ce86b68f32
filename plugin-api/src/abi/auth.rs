//! Mirror of `auth.h`.

use super::core::{Handle, Host, Status, Str, Waker};

/// `PC_ACTION_PUBLISH`.
pub const ACTION_PUBLISH: u32 = 1;
/// `PC_ACTION_PLAY`.
pub const ACTION_PLAY: u32 = 2;

/// `pc_auth_request`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest {
    pub struct_size: u32,
    pub action: u32,
    pub url: Str,
    pub conn: Handle,
    pub protocol: Str,
}

/// `PC_AUTH_ID`.
pub const ID: &str = "pc.auth/1";

/// `pc_auth_api`.
#[repr(C)]
#[derive(Debug)]
pub struct AuthApi {
    pub struct_size: u32,
    pub revision: u32,
    pub poll_check: Option<
        unsafe extern "C" fn(
            host: *const Host,
            request: *const AuthRequest,
            waker: *mut Waker,
        ) -> Status,
    >,
}
