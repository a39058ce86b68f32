//! A network of one's own, with nothing in it but loopback: what is documented with fixed ports can be run as it stands there.

use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(10);

/// Lasts until it is dropped and the last process in it has ended.
#[derive(Debug)]
pub struct Network {
    holder: Process,
}

impl Network {
    /// Needs root, or a kernel that lets users have namespaces.
    #[track_caller]
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        let script = "ip link set lo up && echo up && exec sleep infinity";
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        let holder = Process::spawn("unshare", &mut command);
        wait::until("a network namespace (unshare --map-root-user --net)", LIMIT, || {
            (!holder.stdout().get().is_empty()).then_some(())
        });
        Self { holder }
    }

    /// A shell's command in it.
    pub fn bash(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.holder.id().to_string();
        command.args(["--preserve-credentials", "--user", "--net", "--target", &target]);
        command.args(["bash", "-euc", script]);
        command
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}
