//! [`Host`]: all that a plugin can ask for.

use std::sync::Arc;

use crate::error::Error;
use crate::ffi::Instance;
use crate::mem::{Buf, BufMut};

/// The server, as one instance of a plugin sees it. A clone is one atomic increment.
///
/// Its other methods stand where their subject is: tasks and threads in [`crate::task`], timers in [`crate::time`], sockets
/// in [`crate::net`], routes in [`crate::http`], streams in [`crate::stream`], feeds in [`crate::feed`], [`crate::auth`], [`crate::metrics`]. After
/// the instance was told to stop every call fails with [`Status::CANCELLED`](crate::Status::CANCELLED).
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) instance: Arc<Instance>,
}

impl Host {
    /// The name of this instance in config, log and task list.
    pub fn instance_name(&self) -> &str {
        self.instance.name()
    }

    /// Name and version of the server. For greetings and texts; never compare versions.
    pub fn server(&self) -> (String, String) {
        self.instance.server()
    }

    /// The instance's merged config as JSON, the same that `create` was given.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`](crate::Status::UNSUPPORTED) by a host without `pc.config/1`.
    pub fn config_json(&self) -> Result<String, Error> {
        self.instance.config_json()
    }

    /// A block of host memory of `len` bytes, to be filled. What is read or gathered straight into it is never copied again.
    ///
    /// # Errors
    /// [`Status::NO_MEMORY`](crate::Status::NO_MEMORY) at the server's limit, [`Status::INVALID`](crate::Status::INVALID)
    /// above 64 MiB.
    pub fn alloc(&self, len: usize) -> Result<BufMut, Error> {
        self.instance.alloc(len)
    }

    /// Host memory that holds a copy of `bytes`.
    ///
    /// # Errors
    /// As [`Host::alloc`].
    pub fn copy(&self, bytes: &[u8]) -> Result<Buf, Error> {
        self.instance.copy(bytes)
    }
}
