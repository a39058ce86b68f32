//! Proxies in front of a server, as operators run them: haproxy and nginx of the distribution.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(10);
/// The name of the proxy's config, in a folder of its own.
const CONFIG: &str = "front.conf";
/// Where Debian puts it; elsewhere nginx may have it built in.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// nginx makes them even when it needs none; what is built in belongs to root.
const NGINX_FOLDERS: &str = "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
                             uwsgi_temp_path uwsgi; scgi_temp_path scgi;";

/// From a port of the proxy to a port of the server.
#[derive(Debug, Clone, Copy)]
pub struct Hop {
    /// Where the proxy listens, on a port of its own choice.
    pub listen: IpAddr,
    pub backend: SocketAddr,
    /// The proxy opens TLS, so that a client without it reaches a port with it.
    pub tls: bool,
}

/// What haproxy says of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    None,
    ProxyV1,
    ProxyV2,
}

/// A running proxy.
#[derive(Debug)]
pub struct Front {
    addresses: Vec<SocketAddr>,
    #[expect(dead_code, reason = "killed when dropped")]
    process: Process,
    #[expect(dead_code, reason = "removed when dropped")]
    folder: TempDir,
}

impl Front {
    /// haproxy, which passes bytes on and knows no protocol.
    #[track_caller]
    pub fn haproxy(header: Header, hops: &[Hop]) -> Self {
        let send = match header {
            Header::None => "",
            Header::ProxyV1 => "send-proxy",
            Header::ProxyV2 => "send-proxy-v2",
        };
        let mut config =
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                .to_owned();
        let addresses = free_addresses(hops);
        for (n, (hop, address)) in hops.iter().zip(&addresses).enumerate() {
            let tls = if hop.tls { "ssl verify none" } else { "" };
            let backend = hop.backend;
            let _ =
                write!(config, "listen l{n}\n bind {address}\n server s {backend} {tls} {send}\n");
        }
        Self::start("haproxy", &["-db", "-f", CONFIG], &config, addresses)
    }

    /// What a client's TLS library does: one connection with TLS for each without.
    #[track_caller]
    pub fn tls(backend: SocketAddr) -> Self {
        let listen = Ipv4Addr::LOCALHOST.into();
        Self::haproxy(Header::None, &[Hop { listen, backend, tls: true }])
    }

    /// nginx's `stream`, which passes bytes on and sends PROXY headers of version 1.
    #[track_caller]
    pub fn nginx_stream(hops: &[Hop]) -> Self {
        let addresses = free_addresses(hops);
        let mut servers = String::new();
        for (hop, address) in hops.iter().zip(&addresses) {
            let (backend, tls) = (hop.backend, if hop.tls { "on" } else { "off" });
            let _ = writeln!(
                servers,
                "server {{ listen {address}; proxy_pass {backend}; proxy_protocol on; proxy_ssl {tls}; }}"
            );
        }
        let module = match Path::new(NGINX_STREAM).exists() {
            true => format!("load_module {NGINX_STREAM};\n"),
            false => String::new(),
        };
        Self::nginx(&module, &format!("stream {{\n{servers}}}\n"), addresses)
    }

    /// nginx's `http`, as its manual says for answers that go on and for WebSockets. The end of an answer is the end of its
    /// connection, as without it.
    #[track_caller]
    pub fn nginx_http(hops: &[Hop]) -> Self {
        let addresses = free_addresses(hops);
        let mut servers = String::new();
        for (hop, address) in hops.iter().zip(&addresses) {
            let (backend, scheme) = (hop.backend, if hop.tls { "https" } else { "http" });
            let _ = writeln!(
                servers,
                "server {{ listen {address}; location / {{
                    proxy_pass {scheme}://{backend};
                    proxy_http_version 1.1;
                    proxy_buffering off;
                    proxy_set_header Host $http_host;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                }} }}"
            );
        }
        let http = format!(
            "http {{\naccess_log off; keepalive_timeout 0; {NGINX_FOLDERS}
            map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n{servers}}}\n"
        );
        Self::nginx("", &http, addresses)
    }

    fn nginx(modules: &str, servers: &str, addresses: Vec<SocketAddr>) -> Self {
        // One process, which goes with the test.
        let config = format!(
            "{modules}daemon off; master_process off; pid nginx.pid; error_log stderr warn;
            events {{ worker_connections 1024; }}\n{servers}"
        );
        let arguments = ["-e", "stderr", "-p", ".", "-c", CONFIG];
        Self::start("nginx", &arguments, &config, addresses)
    }

    fn start(program: &str, arguments: &[&str], config: &str, addresses: Vec<SocketAddr>) -> Self {
        let folder = TempDir::with_prefix("plugcast-front-").expect("the folder is writable");
        fs::write(folder.path().join(CONFIG), config).expect("the folder is writable");
        let system = Path::new("/usr/sbin").join(program);
        let path = if system.exists() { system.as_path() } else { Path::new(program) };
        let mut command = Command::new(path);
        let process = Process::spawn(program, command.args(arguments).current_dir(&folder));
        for address in &addresses {
            let open = || TcpStream::connect(address).ok();
            let is_open = wait::try_until(START_LIMIT, open).is_some();
            assert!(is_open, "{program} does not listen:\n{}", process.stderr().tail(20));
        }
        Self { addresses, process, folder }
    }

    /// Where the proxy listens for each hop, in their order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Ports that nobody has at the moment, all different.
fn free_addresses(hops: &[Hop]) -> Vec<SocketAddr> {
    let bind = |hop: &Hop| TcpListener::bind((hop.listen, 0)).expect("loopback has a free port");
    let listeners: Vec<TcpListener> = hops.iter().map(bind).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound")).collect()
}
