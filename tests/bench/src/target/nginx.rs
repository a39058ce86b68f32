//! nginx with its RTMP module, as Debian packages it: `nginx` and `libnginx-mod-rtmp`.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Play, Published, Running, START_LIMIT, Target};
use crate::error::Error;
use crate::machine;

const BINARY: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const MISSING: &str =
    "nginx with its RTMP module is missing: apt-get install nginx libnginx-mod-rtmp";
/// How often it is asked whether it listens yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

pub(super) fn start(core: Option<usize>) -> Result<Target, Error> {
    if !Path::new(BINARY).exists() || !Path::new(MODULE).exists() {
        return Err(Error::Start(MISSING.to_owned()));
    }
    let folder =
        TempDir::with_prefix("plugcast-bench-").map_err(Error::io("a temporary folder"))?;
    let address = free_address()?;
    let path = folder.path().join("nginx.conf");
    fs::write(&path, config(address)).map_err(Error::io(path.display().to_string()))?;
    let mut command = Command::new(BINARY);
    command.arg("-p").arg(folder.path()).arg("-c").arg(&path).args(["-e", "stderr"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = Running(machine::spawn_on(core, &mut command)?);
    let deadline = Instant::now() + START_LIMIT;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline || !matches!(child.0.try_wait(), Ok(None)) {
            return Err(Error::Start("nginx; its reason stands above".to_owned()));
        }
        thread::sleep(LOOK_INTERVAL);
    }
    let mut pids = vec![child.0.id()];
    pids.extend(machine::children(child.0.id()).map_err(Error::io("looking for nginx's worker"))?);
    let published = Published { address, app: "live".to_owned(), name: "bench".to_owned() };
    Ok(Target {
        publish: Some(published.clone()),
        play: Play::Rtmp(published),
        tls: None,
        pids,
        _child: Some(child),
        _folder: Some(folder),
    })
}

/// A port that nobody has at the moment: nginx can't be asked which one it got.
fn free_address() -> Result<SocketAddr, Error> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any).map_err(Error::io("a free port"))?;
    listener.local_addr().map_err(Error::io("a free port"))
}

/// The module's defaults, but for two: viewers begin with a keyframe, since a viewer that begins with anything else is a
/// fault here, and nothing is written to disk.
fn config(address: SocketAddr) -> String {
    format!(
        "load_module {MODULE};
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
rtmp {{
    access_log off;
    server {{
        listen {address};
        application live {{ live on; wait_key on; wait_video on; }}
    }}
}}
"
    )
}
