//! Requests over a plain socket, enough for the admin API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer; header names are lower case.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

/// Asks for `path`, with the admin token if there is one.
#[track_caller]
pub fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Response {
    send(address, "GET", path, token, "")
}

/// With a header line more.
#[track_caller]
pub fn get_with(address: SocketAddr, path: &str, token: Option<&str>, header: &str) -> Response {
    let request = format!("{}{header}\r\n\r\n", head(address, "GET", path, token));
    exchange(address, request.as_bytes())
        .unwrap_or_else(|error| panic!("GET {path} from {address}: {error}"))
}

/// One request on a connection of its own, read to its end. `headers` are whole lines, each with its end.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Response {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n"
    );
    exchange(address, request.as_bytes())
        .unwrap_or_else(|error| panic!("{method} {path} from {address}: {error}"))
}

/// Any method, with a body.
#[track_caller]
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Response {
    let head = head(address, method, path, token);
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    exchange(address, request.as_bytes())
        .unwrap_or_else(|error| panic!("{method} {path} from {address}: {error}"))
}

/// A body of JSON to something that is slow to answer, and keeps the connection whatever it is asked.
///
/// # Errors
/// There is no answer within `limit`.
pub fn send_json(
    limit: Duration,
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> std::io::Result<Response> {
    let (head, body) = (head(address, method, path, None), body.to_string());
    let length = body.len();
    let request =
        format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut socket = TcpStream::connect_timeout(&address, limit)?;
    socket.set_read_timeout(Some(limit))?;
    socket.write_all(request.as_bytes())?;
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let n = socket.read(&mut part)?;
        bytes.extend_from_slice(&part[..n]);
        if let Some((response, _)) = parse_begun(&bytes)
            && response.header("content-length") == Some(&response.body.len().to_string())
        {
            return Ok(response);
        }
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn head(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> String {
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n")
}

/// An answer with server-sent events, read on a thread of its own.
#[derive(Debug)]
pub struct Events {
    seen: Arc<Mutex<Vec<Event>>>,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
}

impl Events {
    /// Asks, and waits until the answer has begun.
    #[track_caller]
    pub fn open(address: SocketAddr, path: &str, token: &str) -> Self {
        let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).expect("the server listens");
        let request = format!("{}\r\n", head(address, "GET", path, Some(token)));
        socket.write_all(request.as_bytes()).expect("the server reads");
        let mut lines = BufReader::new(socket).lines().map_while(Result::ok);
        let status = lines.next().expect("an answer");
        assert!(status.contains(" 200 "), "GET {path}: {status}");
        // The first of the body.
        assert!(lines.any(|line| line.starts_with("retry:")), "GET {path}: no events");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let events = Self { seen: Arc::clone(&seen) };
        thread::spawn(move || {
            let mut name = String::new();
            // Lines with the sizes of chunks are among them, and look like no field.
            for line in lines {
                if let Some(value) = line.strip_prefix("event: ") {
                    name = value.to_owned();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let event = Event { name: std::mem::take(&mut name), data: data.to_owned() };
                    seen.lock().expect("no reader panics").push(event);
                }
            }
        });
        events
    }

    /// All so far.
    pub fn seen(&self) -> Vec<Event> {
        self.seen.lock().expect("no reader panics").clone()
    }
}

fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<Response> {
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.write_all(request)?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| {
        std::io::Error::other(format!("no answer: {:?}", String::from_utf8_lossy(&bytes)))
    })
}

/// A whole answer.
fn parse(bytes: &[u8]) -> Option<Response> {
    let (response, is_whole) = parse_begun(bytes)?;
    is_whole.then_some(response)
}

/// An answer of which at least the head is there, and whether its body is whole as far as chunks tell.
pub(crate) fn parse_begun(bytes: &[u8]) -> Option<(Response, bool)> {
    let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_len]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut rest = &bytes[head_len + 4..];
    let chunked =
        headers.iter().any(|(key, value)| key == "transfer-encoding" && value == "chunked");
    let mut response = Response { status, headers, body: Vec::new() };
    if !chunked {
        response.body = rest.to_vec();
        return Some((response, true));
    }
    while let Some((chunk, after)) = chunk(rest) {
        if chunk.is_empty() {
            return Some((response, true));
        }
        response.body.extend_from_slice(chunk);
        rest = after;
    }
    Some((response, false))
}

/// The first chunk and what follows it; the last one is empty.
fn chunk(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let line_len = raw.windows(2).position(|window| window == b"\r\n")?;
    let size = std::str::from_utf8(&raw[..line_len]).ok()?;
    let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
    let (chunk, rest) = raw.get(line_len + 2..)?.split_at_checked(size)?;
    Some((chunk, rest.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_chunked_answers() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").unwrap();
        let chunked = parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n").unwrap();

        assert_eq!((plain.status, plain.text()), (404, "no".to_owned()));
        assert_eq!(chunked.json()["a"], 1);
        let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n9\r\nd";
        assert!(parse(begun).is_none());
        assert_eq!(parse_begun(begun).unwrap().0.body, b"abc");
    }
}
