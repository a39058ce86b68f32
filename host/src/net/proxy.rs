//! The PROXY protocol: a header before the first byte, in which a proxy says who its peer is.
//!
//! Versions 1 (a line) and 2 (binary) of haproxy's `proxy-protocol.txt`, told apart by their first bytes. What is no header is
//! left alone. Of version 2's values after the addresses (TLVs) none is read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::addr;

/// How long a proxy may take to send its header, which it does at once.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest line of version 1, its end included (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// The longest header of version 2 that we read: what always fits in one segment (section 2.2), and a few hundred bytes of TLVs.
const V2_BYTES_MAX: usize = 536;

const V1_SIGNATURE: &[u8] = b"PROXY ";
/// Section 2.2.
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD: usize = 16;
const V2_COMMAND_LOCAL: u8 = 0x20;
const V2_COMMAND_PROXY: u8 = 0x21;
const V2_TCP_OVER_IPV4: u8 = 0x11;
const V2_TCP_OVER_IPV6: u8 = 0x21;

/// Whether connections of a listener begin with a header. Only peers in trusted ranges may send one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They don't; one that is sent is the protocol's first bytes.
    #[default]
    Off,
    /// A trusted peer may send one. Who reaches such a peer past its own header can lie: use `Required` where every
    /// connection has one.
    Optional,
    /// Connections without one, and of peers that are not trusted, are closed.
    Required,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, as far as can be seen.
    Incomplete,
    /// Something else.
    Absent,
    /// `source`: who connected to the proxy; `None` when it does not say, or the connection is its own.
    Header { len: usize, source: Option<SocketAddr> },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the PROXY header is longer than {0} bytes")]
    TooLong(usize),
    #[error("the PROXY header is wrong: {0}")]
    Malformed(&'static str),
}

/// Reads the header that `bytes` begin with.
///
/// # Errors
/// It is a header, and not a right one.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Error> {
    let begins_with = |signature: &[u8]| {
        let n = bytes.len().min(signature.len());
        bytes.get(..n) == signature.get(..n)
    };
    if begins_with(V2_SIGNATURE) {
        parse_v2(bytes)
    } else if begins_with(V1_SIGNATURE) {
        parse_v1(bytes)
    } else {
        Ok(Parsed::Absent)
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed, Error> {
    let window = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return match bytes.len() < V1_BYTES_MAX {
            true => Ok(Parsed::Incomplete),
            false => Err(Error::TooLong(V1_BYTES_MAX)),
        };
    };
    let line = window.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(Error::Malformed("not text"))?;
    let mut fields = line.split(' ').skip(1);
    let source = match fields.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(v1_source::<Ipv4Addr>(fields)?),
        Some("TCP6") => Some(v1_source::<Ipv6Addr>(fields)?),
        _ => return Err(Error::Malformed("neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Parsed::Header { len: end + 2, source })
}

fn v1_source<'a, Ip: FromStr + Into<IpAddr>>(
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Error> {
    let mut next = || fields.next().ok_or(Error::Malformed("too few fields"));
    let address = |text: &str| text.parse::<Ip>().map_err(|_| Error::Malformed("not an address"));
    let port = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse::<u16>().ok().filter(|_| is_number);
        port.ok_or(Error::Malformed("not a port"))
    };
    let (source, _destination) = (address(next()?)?, address(next()?)?);
    let (source_port, _destination_port) = (port(next()?)?, port(next()?)?);
    match fields.next() {
        Some(_) => Err(Error::Malformed("too many fields")),
        None => Ok(addr::unmapped(SocketAddr::new(source.into(), source_port))),
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, Error> {
    let Some(head) = bytes.first_chunk::<V2_HEAD>() else { return Ok(Parsed::Incomplete) };
    let [.., command, family, high, low] = *head;
    let len = V2_HEAD + usize::from(u16::from_be_bytes([high, low]));
    if len > V2_BYTES_MAX {
        return Err(Error::TooLong(V2_BYTES_MAX));
    }
    let Some(body) = bytes.get(V2_HEAD..len) else { return Ok(Parsed::Incomplete) };
    let source = match (command, family) {
        (V2_COMMAND_LOCAL, _) => None,
        (V2_COMMAND_PROXY, V2_TCP_OVER_IPV4) => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *first(body)?;
            Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
        }
        (V2_COMMAND_PROXY, V2_TCP_OVER_IPV6) => {
            let addresses = first::<36>(body)?;
            let ip: [u8; 16] = *first(addresses)?;
            let [.., high, low, _, _] = *addresses;
            let ip = Ipv6Addr::from(ip);
            Some(addr::unmapped((ip, u16::from_be_bytes([high, low])).into()))
        }
        // Unix sockets and datagrams: the sender knows more than we can use.
        (V2_COMMAND_PROXY, _) => None,
        _ => return Err(Error::Malformed("unknown version or command")),
    };
    Ok(Parsed::Header { len, source })
}

fn first<const N: usize>(body: &[u8]) -> Result<&[u8; N], Error> {
    body.first_chunk().ok_or(Error::Malformed("too short for its addresses"))
}

/// What stood before the protocol's first byte.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) source: Option<SocketAddr>,
    /// Read too much: the protocol's first bytes.
    pub(super) rest: Vec<u8>,
}

/// Reads the header of a connection.
pub(super) async fn read(socket: &TcpStream, is_required: bool) -> io::Result<Head> {
    let mut bytes = Vec::with_capacity(V2_BYTES_MAX);
    loop {
        match parse(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Parsed::Header { len, source } => {
                bytes.drain(..len);
                return Ok(Head { source, rest: bytes });
            }
            Parsed::Absent if is_required => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no PROXY header"));
            }
            Parsed::Absent => return Ok(Head { source: None, rest: bytes }),
            Parsed::Incomplete => {}
        }
        socket.readable().await?;
        let room = V2_BYTES_MAX.saturating_sub(bytes.len());
        let mut chunk = [0; V2_BYTES_MAX];
        match socket.try_read(chunk.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: usize, source: &str) -> Result<Parsed, Error> {
        Ok(Parsed::Header { len, source: source.parse().ok() })
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, family], &len, body].concat()
    }

    #[test]
    fn reads_lines() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324"),
            ("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "[2001:db8::1]:1"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8\r\n", "192.0.2.1:7"),
            ("PROXY UNKNOWN\r\n", ""),
            ("PROXY UNKNOWN ffff:: whatever 1\r\n", ""),
        ] {
            assert_eq!(parse(line.as_bytes()), header(line.len(), source), "{line}");
            let more = format!("{line}GET /");
            assert_eq!(parse(more.as_bytes()), header(line.len(), source), "{line}");
            for cut in 0..line.len() {
                assert_eq!(parse(&line.as_bytes()[..cut]), Ok(Parsed::Incomplete), "{line} {cut}");
            }
        }
    }

    #[test]
    fn refuses_wrong_lines() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(Error::Malformed(_))), "{line}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert_eq!(parse(endless.as_bytes()), Err(Error::TooLong(107)));
    }

    #[test]
    fn reads_binary_headers() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 1, 187];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        v6[15] = 1;
        v6[32..34].copy_from_slice(&7_u16.to_be_bytes());
        let with_tlv = [&v4[..], &[4, 0, 1, 0]].concat();
        for (bytes, source) in [
            (v2(0x21, 0x11, &v4), "192.0.2.1:56324"),
            (v2(0x21, 0x11, &with_tlv), "192.0.2.1:56324"),
            (v2(0x21, 0x21, &v6), "[2001:db8::1]:7"),
            (v2(0x20, 0x00, &[]), ""),
            (v2(0x20, 0x11, &v4), ""),
            (v2(0x21, 0x31, &[0; 216]), ""),
            (v2(0x21, 0x12, &v4), ""),
        ] {
            assert_eq!(parse(&bytes), header(bytes.len(), source), "{bytes:?}");
            for cut in 1..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Incomplete), "{cut}");
            }
        }
    }

    #[test]
    fn refuses_wrong_binary_headers() {
        assert!(matches!(parse(&v2(0x21, 0x11, &[0; 11])), Err(Error::Malformed(_))));
        assert!(matches!(parse(&v2(0x21, 0x21, &[0; 35])), Err(Error::Malformed(_))));
        assert!(matches!(parse(&v2(0x11, 0x11, &[0; 12])), Err(Error::Malformed(_))));
        assert!(matches!(parse(&v2(0x22, 0x11, &[0; 12])), Err(Error::Malformed(_))));
        assert_eq!(parse(&v2(0x21, 0x11, &[0; 521])), Err(Error::TooLong(536)));
    }

    #[test]
    fn leaves_protocols_alone() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x03\0\0\0", b"\x16\x03\x01", b"PROXX ", b"\r\n\r\nx"]
        {
            assert_eq!(parse(bytes), Ok(Parsed::Absent), "{bytes:?}");
        }
    }
}
