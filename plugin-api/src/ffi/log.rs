//! Calls of pc.log/1.
#![expect(unsafe_code, reason = "calls through the host's tables")]

use super::{Instance, lend};
use crate::abi::core::{Field, Host, Str};

impl Instance {
    pub(crate) fn log_enabled(&self, level: u32, target: &str) -> bool {
        let enabled: Option<unsafe extern "C" fn(*const Host, u32, Str) -> u32> = self.log.enabled;
        let Some(enabled) = enabled.filter(|_| self.is_alive()) else { return false };
        // SAFETY: log.h: enabled is [any]; the text is lent.
        unsafe { enabled(self.raw(), level, lend(target)) != 0 }
    }

    pub(crate) fn write_log(&self, level: u32, target: &str, message: &str, fields: &[Field]) {
        let Some(write) = self.log.write.filter(|_| self.is_alive()) else { return };
        // SAFETY: log.h: write is [any]; texts and fields are lent.
        unsafe {
            write(self.raw(), level, lend(target), lend(message), fields.as_ptr(), fields.len())
        };
    }
}
