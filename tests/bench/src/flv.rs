//! A viewer of FLV over HTTP: the request, the head of the answer, then tags (FLV 10.1, E.3 and E.4).
//!
//! socket → **flv** → checker
//!
//! As with RTMP, payload is stepped over and only the first bytes of a tag are kept.

use crate::chunk::Message;
use crate::error::Error;

/// A longer head of an answer is no answer.
const HEAD_MAX: usize = 16 << 10;
/// The file's header and the size of no tag before the first (E.2, E.3).
const FILE_HEADER_LEN: usize = 9 + 4;
const TAG_HEADER_LEN: usize = 11;
/// After each tag stands its size.
const TAG_TRAILER_LEN: usize = 4;
/// What is kept of a tag: codec bytes and a stamp.
const KEPT: usize = 64;
/// A chunk's size in hexadecimal digits, with an extension or two.
const SIZE_LINE_MAX: usize = 256;

pub(crate) fn request(authority: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: plugcast-bench\r\n\r\n")
        .into_bytes()
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Of the answer, until it is whole.
    head: Vec<u8>,
    body: Option<Body>,
    tags: Tags,
}

#[derive(Debug)]
enum Body {
    /// To the end of the connection.
    Plain,
    /// RFC 9112, 7.1.
    Chunked(Chunk),
}

#[derive(Debug)]
enum Chunk {
    /// The line with the size of the next chunk, as far as it has arrived.
    Size(Vec<u8>),
    /// Bytes of data that are to come, and the line end after them.
    Data(usize),
    End(usize),
}

/// Steps through tags.
#[derive(Debug)]
struct Tags {
    /// Bytes between tags.
    skip: usize,
    header: Vec<u8>,
    left: usize,
    kept: Vec<u8>,
}

impl Default for Tags {
    fn default() -> Self {
        Self { skip: FILE_HEADER_LEN, header: Vec::new(), left: 0, kept: Vec::new() }
    }
}

impl Client {
    /// Takes bytes as they come; gives audio and video to `media`.
    ///
    /// # Errors
    ///
    /// The server said no, or does not speak HTTP.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        mut media: impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        if self.body.is_none() {
            self.head.extend_from_slice(input);
            let end = self.head.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else {
                let is_hopeless = self.head.len() > HEAD_MAX;
                return if is_hopeless {
                    Err(Error::Refused("no HTTP".to_owned()))
                } else {
                    Ok(())
                };
            };
            self.body = Some(Body::announced_by(&String::from_utf8_lossy(&self.head[..end]))?);
            // The head ends within this input, since it did not in what was there before.
            input = &input[input.len() - (self.head.len() - end - 4)..];
            self.head = Vec::new();
        }
        match &mut self.body {
            Some(Body::Chunked(chunk)) => {
                while let Some(data) = chunk.take(&mut input)? {
                    self.tags.push(data, &mut media);
                }
            }
            Some(Body::Plain) | None => self.tags.push(input, &mut media),
        }
        Ok(())
    }
}

impl Body {
    fn announced_by(head: &str) -> Result<Self, Error> {
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Error::Refused(status.to_owned()));
        }
        let is_chunked = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
            name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked"
        });
        Ok(if is_chunked { Self::Chunked(Chunk::Size(Vec::new())) } else { Self::Plain })
    }
}

impl Chunk {
    /// The next piece of data; `None` once the input is used up.
    fn take<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        while !input.is_empty() {
            match self {
                Self::Size(line) => {
                    let (&byte, rest) = input.split_first().unwrap_or((&0, &[]));
                    *input = rest;
                    line.push(byte);
                    if byte == b'\n' {
                        *self = Self::Data(chunk_size(line)?);
                    } else if line.len() > SIZE_LINE_MAX {
                        return Err(Error::Refused("no chunked body".to_owned()));
                    }
                }
                Self::Data(0) => *self = Self::End(2),
                Self::Data(left) => {
                    let (data, rest) = input.split_at(input.len().min(*left));
                    *left -= data.len();
                    *input = rest;
                    return Ok(Some(data));
                }
                Self::End(0) => *self = Self::Size(Vec::new()),
                Self::End(left) => {
                    let taken = input.len().min(*left);
                    *left -= taken;
                    *input = &input[taken..];
                }
            }
        }
        Ok(None)
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, Error> {
    let text = String::from_utf8_lossy(line);
    let digits = text.split(|letter: char| !letter.is_ascii_hexdigit()).next().unwrap_or_default();
    usize::from_str_radix(digits, 16).map_err(|_| Error::Refused("no chunked body".to_owned()))
}

impl Tags {
    fn push(&mut self, mut input: &[u8], media: &mut impl FnMut(Message<'_>)) {
        while !input.is_empty() {
            let skipped = input.len().min(self.skip);
            self.skip -= skipped;
            input = &input[skipped..];
            let missing = TAG_HEADER_LEN - self.header.len();
            if missing > 0 {
                let (taken, rest) = input.split_at(input.len().min(missing));
                self.header.extend_from_slice(taken);
                input = rest;
                if self.header.len() < TAG_HEADER_LEN {
                    return;
                }
                self.left = usize::try_from(number(&self.header[1..4])).unwrap_or(usize::MAX);
            }
            let (data, rest) = input.split_at(input.len().min(self.left));
            let kept = data.len().min(KEPT - self.kept.len());
            self.kept.extend_from_slice(&data[..kept]);
            self.left -= data.len();
            input = rest;
            if self.left == 0 {
                // The low three bytes of the time stamp come before the high one.
                let timestamp = u32::from(self.header[7]) << 24 | number(&self.header[4..7]);
                let type_id = self.header[0];
                if matches!(type_id, 8 | 9) {
                    media(Message { type_id, timestamp, head: &self.kept });
                }
                self.header.clear();
                self.kept.clear();
                self.skip = TAG_TRAILER_LEN;
            }
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n";

    fn tag(type_id: u8, timestamp: u32, data: &[u8]) -> Vec<u8> {
        let [high, time @ ..] = timestamp.to_be_bytes();
        let [_, len @ ..] = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&[type_id][..], &len, &time, &[high, 0, 0, 0], data, &[0; 4]].concat()
    }

    /// Type, time stamp and kept bytes of each tag, fed in pieces of `piece` bytes.
    fn watch(bytes: &[u8], piece: usize) -> Result<Vec<(u8, u32, Vec<u8>)>, Error> {
        let mut client = Client::default();
        let mut seen = Vec::new();
        for input in bytes.chunks(piece) {
            client.push(input, |message| {
                seen.push((message.type_id, message.timestamp, message.head.to_vec()));
            })?;
        }
        Ok(seen)
    }

    #[test]
    fn sees_tags_cut_anywhere_plain_and_chunked() {
        let long = vec![7; 1000];
        let body = [
            b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec(),
            tag(18, 0, b"metadata"),
            tag(9, 0x0123_4567, &long),
            tag(8, 40, b"sound"),
        ]
        .concat();
        let chunks = body
            .chunks(300)
            .map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
        let plain = [HEAD.as_bytes(), b"\r\n", &body].concat();
        let chunked = [
            HEAD.as_bytes(),
            b"Transfer-Encoding: chunked\r\n\r\n",
            &chunks.collect::<Vec<_>>().concat(),
        ]
        .concat();

        for (name, bytes) in [("plain", plain), ("chunked", chunked)] {
            for piece in [1, 2, 3, 7, 11, 64, 301, bytes.len()] {
                let seen = watch(&bytes, piece).unwrap();

                let expected = [(9, 0x0123_4567, vec![7; KEPT]), (8, 40, b"sound".to_vec())];
                assert_eq!(seen, expected, "{name}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn tells_a_refusal() {
        let refusal = watch(b"HTTP/1.1 404 Not Found\r\n\r\n", 5);

        assert!(matches!(refusal, Err(Error::Refused(status)) if status.contains("404")));
        let endless = [HEAD.as_bytes(), &vec![b'x'; HEAD_MAX]].concat();
        assert!(watch(&endless, 1000).is_err());
        let unsized_chunk = [HEAD.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"].concat();
        assert!(watch(&unsized_chunk, 1000).is_err());
    }
}
