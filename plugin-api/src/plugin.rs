//! What a plugin is: one type with the four calls of its life.

use std::fmt::Display;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::host::Host;

/// One configured, running copy of a plugin: the four calls of `pc_plugin` under the same names.
///
/// All four are made one at a time, on a thread where they may block. A panic in one is an error of that call.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// `[a-z][a-z0-9-]*`: names the config section, the log target and the metrics.
    const ID: &'static str;

    /// For people.
    const NAME: &'static str = Self::ID;

    /// Read from the instance's merged config, which the host has validated against the schema made from this type.
    type Config: DeserializeOwned + JsonSchema + Default + Serialize;

    /// Why the instance can't start. Its text is shown to the operator.
    type Error: Into<Error> + Display;

    /// Checks the config and makes the state. Nothing is listened on yet.
    ///
    /// # Errors
    /// The instance is not started; the operator reads the text.
    fn create(host: Host, config: Self::Config) -> Result<Self, Self::Error>;

    /// Registers listeners and packagers, spawns tasks.
    ///
    /// # Errors
    /// What was registered and spawned is stopped, and the instance destroyed.
    fn activate(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Ends in an orderly way within `deadline`, while the plugin's tasks still run: tell sessions to finish, and wait
    /// for them ([`Host::block_on`]). What is left afterwards is cancelled.
    fn deactivate(&self, deadline: Duration) {
        let _ = deadline;
    }

    /// The last call: no task, thread or registration of the instance is left.
    fn destroy(self) {}
}
