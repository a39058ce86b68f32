//! Connections from an address of one's choice: every address of 127.0.0.0/8 is this machine's.

use std::net::{IpAddr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Connects to `address` as a client that has the address `source`.
///
/// # Errors
/// When the server does not listen, or no port or descriptor is left.
pub fn connect_from(source: IpAddr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let family = if source.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket.into())
}
