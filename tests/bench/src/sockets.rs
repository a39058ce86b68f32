//! What the kernel holds for the connections of a server, as `ss` of iproute2 tells it.

use std::net::SocketAddr;
use std::process::Command;

use crate::error::Error;

/// Bytes of kernel memory in the send queue of each connection to `address`, what is not payload included.
pub(crate) fn send_queues(address: SocketAddr) -> Result<Vec<u64>, Error> {
    let filter = format!("sport = :{}", address.port());
    let output = Command::new("ss")
        .args(["-tmnHO", "state", "established", &filter])
        .output()
        .map_err(Error::io("ss, of Debian's package iproute2"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(queued).collect())
}

/// `w` of `skmem:(r0,rb131072,t0,tb2626560,f0,w4352,o0,bl0,d0)`: ss(8).
fn queued(line: &str) -> Option<u64> {
    let (_, memory) = line.split_once("skmem:(")?;
    let (memory, _) = memory.split_once(')')?;
    memory.split(',').find_map(|field| field.strip_prefix('w')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sees_what_a_peer_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _deaf = TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(n) = server.write(&[0; 65_536]) {
            sent += n;
        }

        let queues = send_queues(address).unwrap();

        assert!(matches!(*queues, [held] if held > 65_536), "{sent} bytes sent, held: {queues:?}");
    }

    #[test]
    fn lines_without_memory_are_none() {
        assert_eq!(
            queued("0 0 127.0.0.1:1 127.0.0.1:2 skmem:(r0,rb1,t0,tb2,f0,w77,o0,bl0,d0)"),
            Some(77)
        );
        assert_eq!(queued("0 0 127.0.0.1:1 127.0.0.1:2"), None);
    }
}
