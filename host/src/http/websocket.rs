//! WebSockets (RFC 6455), as far as a viewer of a feed needs them: the handshake, and what a client says.
//!
//! What is sent is framed where it is packaged ([`Framing`]); the client's data is read and thrown away, its pings and its
//! close are answered.
//!
//! [`Framing`]: crate::hub::feed::Framing

use actix_web::http::Method;
use actix_web::http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A key is 16 random bytes (section 4.1).
const KEY_LEN: usize = 16;
/// The longest payload of a control frame (section 5.5).
pub const CONTROL_MAX: usize = 125;

/// Opcodes (section 5.2).
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Close codes (section 7.4.1).
pub(super) mod code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL_ERROR: u16 = 1002;
}

/// What a request has to do with WebSockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// Nothing.
    None,
    /// It asks for one; the value of `Sec-WebSocket-Accept`.
    Accept(String),
    /// It asks for one of another version.
    Version,
    /// It asks for one, and gets it wrong.
    Bad(&'static str),
}

impl Upgrade {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if method != Method::GET || !has_token(headers, UPGRADE, "websocket") {
            return Self::None;
        }
        if !has_token(headers, CONNECTION, "upgrade") {
            return Self::Bad("a WebSocket needs \"Connection: Upgrade\"");
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Self::Version;
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(|key| key.as_bytes());
        match key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_LEN)) {
            Some(key) => Self::Accept(accept(key)),
            None => Self::Bad("Sec-WebSocket-Key has to be 16 bytes in base64"),
        }
    }
}

fn has_token(
    headers: &HeaderMap,
    name: impl actix_web::http::header::AsHeaderName,
    token: &str,
) -> bool {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// A control frame of the server. The payload is at most [`CONTROL_MAX`].
fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..CONTROL_MAX).unwrap_or(payload);
    // At most 125.
    let len = u8::try_from(payload.len()).unwrap_or(0);
    [&[0x80 | opcode, len], payload].concat()
}

/// The frame that ends a connection.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    control(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// What a client's bytes call for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Something to send.
    Send(Vec<u8>),
    /// The last thing to send.
    Close(Vec<u8>),
}

/// Reads frames of a client. Holds no more than one control frame.
#[derive(Debug, Default)]
pub struct Reader {
    head: Vec<u8>,
    frame: Option<Frame>,
    is_closed: bool,
}

#[derive(Debug)]
struct Frame {
    opcode: u8,
    left: u64,
    mask: [u8; 4],
    /// Of a control frame.
    payload: Vec<u8>,
}

impl Frame {
    fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }
}

impl Reader {
    /// Takes bytes as they come, and says what they call for. After a close nothing more is read.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Reply> {
        let mut replies = Vec::new();
        while !self.is_closed {
            let Some(frame) = &mut self.frame else {
                let Some((&byte, rest)) = bytes.split_first() else { break };
                bytes = rest;
                self.head.push(byte);
                match parse_head(&self.head) {
                    Ok(None) => {}
                    Ok(Some(frame)) => {
                        self.head.clear();
                        self.frame = Some(frame);
                    }
                    Err(reason) => self.fail(reason, &mut replies),
                }
                continue;
            };
            let n = bytes.len().min(usize::try_from(frame.left).unwrap_or(usize::MAX));
            let (own, rest) = bytes.split_at(n);
            if frame.is_control() {
                let at = frame.payload.len();
                let masks = frame.mask.into_iter().cycle().skip(at % 4);
                frame.payload.extend(own.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
            }
            frame.left -= n as u64;
            bytes = rest;
            if frame.left > 0 {
                break;
            }
            let frame = self.frame.take();
            frame.into_iter().for_each(|frame| self.on_frame(&frame, &mut replies));
        }
        replies
    }

    fn on_frame(&mut self, frame: &Frame, replies: &mut Vec<Reply>) {
        match frame.opcode {
            PING => replies.push(Reply::Send(control(PONG, &frame.payload))),
            CLOSE => {
                // Echoes the code, without the reason (section 5.5.1).
                let code = frame.payload.get(..2).unwrap_or_default();
                self.is_closed = true;
                replies.push(Reply::Close(control(CLOSE, code)));
            }
            _ => {}
        }
    }

    fn fail(&mut self, reason: &str, replies: &mut Vec<Reply>) {
        self.is_closed = true;
        replies.push(Reply::Close(close(code::PROTOCOL_ERROR, reason)));
    }
}

/// `None`: not all of it has come.
fn parse_head(head: &[u8]) -> Result<Option<Frame>, &'static str> {
    let [first, second, rest @ ..] = head else { return Ok(None) };
    let (opcode, is_final) = (first & 0x0f, first & 0x80 != 0);
    if first & 0x70 != 0 {
        return Err("reserved bits");
    }
    if second & 0x80 == 0 {
        return Err("a frame that is not masked");
    }
    let (len, rest) = match second & 0x7f {
        126 => match rest.split_first_chunk::<2>() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest),
            None => return Ok(None),
        },
        short => (u64::from(short), rest),
    };
    let Some(mask) = rest.first_chunk::<4>() else { return Ok(None) };
    let frame = Frame { opcode, left: len, mask: *mask, payload: Vec::new() };
    if frame.is_control() && (len > CONTROL_MAX as u64 || !is_final) {
        return Err("a control frame that is too long, or in pieces");
    }
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let len = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | len, 1, 2, 3, 4];
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn upgrade(method: &Method, headers: &[(&'static str, &'static str)]) -> Upgrade {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Upgrade::of(method, &headers.collect())
    }

    #[test]
    fn accepts_the_handshake_of_the_specification() {
        let asks = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];

        // Section 1.3.
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
        assert_eq!(upgrade(&Method::GET, &asks), Upgrade::Accept(accept));
        assert_eq!(upgrade(&Method::HEAD, &asks), Upgrade::None);
        assert_eq!(upgrade(&Method::GET, &asks[1..]), Upgrade::None);
        assert_eq!(upgrade(&Method::GET, &asks[..2]), Upgrade::Version);
        assert!(matches!(upgrade(&Method::GET, &asks[..3]), Upgrade::Bad(_)));
    }

    #[test]
    fn answers_pings_and_close_wherever_the_bytes_are_split() {
        let mut bytes = masked(0x82, b"data that nobody wants");
        bytes.extend(masked(0x89, b"ping"));
        bytes.extend(masked(0x8a, b""));
        bytes.extend(masked(0x88, &[&code::NORMAL.to_be_bytes()[..], b"bye"].concat()));
        bytes.extend(masked(0x89, b"too late"));
        let expected =
            [Reply::Send(b"\x8a\x04ping".to_vec()), Reply::Close(vec![0x88, 2, 0x03, 0xe8])];
        for size in 1..bytes.len() {
            let mut reader = Reader::default();

            let replies: Vec<Reply> =
                bytes.chunks(size).flat_map(|chunk| reader.push(chunk)).collect();

            assert_eq!(replies, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn skips_long_data_without_holding_it() {
        let mut reader = Reader::default();
        assert_eq!(reader.push(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9]), []);
        assert_eq!(reader.push(&vec![0; 0x1_0000]), []);

        assert_eq!(reader.push(&masked(0x89, b"")), [Reply::Send(vec![0x8a, 0])]);
    }

    #[test]
    fn ends_on_a_violation() {
        let cases: &[(&str, &[u8])] = &[
            ("not masked", &[0x82, 1, 0]),
            ("reserved bits", &[0xc2, 0x80]),
            ("long ping", &[0x89, 0xfe, 0, 126, 0, 0, 0, 0]),
            ("ping in pieces", &[0x09, 0x80, 0, 0, 0, 0]),
        ];
        for (name, bytes) in cases {
            let replies = Reader::default().push(bytes);

            let [Reply::Close(frame)] = &replies[..] else { panic!("{name}: {replies:?}") };
            assert_eq!(frame[2..4], code::PROTOCOL_ERROR.to_be_bytes(), "{name}");
        }
    }
}
