//! FLV files and tag bodies: what RTMP carries, as the tests need it (FLV 10.1, annex E; Enhanced RTMP v2).

/// Tag types, which are also RTMP message types.
pub const AUDIO: u8 = 8;
pub const VIDEO: u8 = 9;
pub const SCRIPT: u8 = 18;

const FILE_HEADER_LEN: usize = 9;
const TAG_HEADER_LEN: usize = 11;
const BACK_POINTER_LEN: usize = 4;

/// One tag of a file, or one media message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub kind: u8,
    pub time_ms: u32,
    pub body: Vec<u8>,
}

/// What a tag body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A decoder configuration.
    Config { codec: String, config: &'a [u8] },
    /// One frame.
    Frame { codec: String, key: bool, composition_ms: i32, payload: &'a [u8] },
    /// End of sequence, metadata, commands.
    Other,
}

impl Tag {
    #[track_caller]
    pub fn parse(&self) -> Body<'_> {
        let body = match self.kind {
            VIDEO => parse_video(&self.body),
            AUDIO => parse_audio(&self.body),
            _ => Some(Body::Other),
        };
        body.unwrap_or_else(|| {
            panic!("a tag body that can't be read: {:02x?}", &self.body[..self.body.len().min(16)])
        })
    }

    pub fn is_config(&self) -> bool {
        matches!(self.parse(), Body::Config { .. })
    }

    pub fn is_frame(&self) -> bool {
        matches!(self.parse(), Body::Frame { .. })
    }

    pub fn is_video_frame(&self) -> bool {
        self.kind == VIDEO && self.is_frame()
    }

    pub fn is_key_frame(&self) -> bool {
        self.kind == VIDEO && matches!(self.parse(), Body::Frame { key: true, .. })
    }
}

/// The tags of a file.
#[track_caller]
pub fn read(file: &[u8]) -> Vec<Tag> {
    assert!(file.starts_with(b"FLV"), "not an FLV file");
    let mut tags = Vec::new();
    let mut rest = file.get(FILE_HEADER_LEN + BACK_POINTER_LEN..).unwrap_or_default();
    while let Some((header, after)) = rest.split_first_chunk::<TAG_HEADER_LEN>() {
        let [kind, l1, l2, l3, t1, t2, t3, t_high, ..] = *header;
        let len = be24(l1, l2, l3) as usize;
        // A file whose writer was stopped may end in the middle of a tag.
        let Some(body) = after.get(..len) else { break };
        let time_ms = u32::from_be_bytes([t_high, t1, t2, t3]);
        tags.push(Tag { kind, time_ms, body: body.to_vec() });
        rest = after.get(len + BACK_POINTER_LEN..).unwrap_or_default();
    }
    tags
}

fn parse_video(body: &[u8]) -> Option<Body<'_>> {
    let (&first, rest) = body.split_first()?;
    let key = first >> 4 & 0b111 == 1;
    if first & 0x80 != 0 {
        return parse_enhanced_video(first & 0x0f, key, rest);
    }
    let codec = match first & 0x0f {
        7 => "avc1".to_owned(),
        12 => "hvc1 (legacy)".to_owned(),
        other => format!("video codec {other}"),
    };
    let (&[packet, c1, c2, c3], payload) = rest.split_first_chunk::<4>()?;
    Some(match packet {
        0 => Body::Config { codec, config: payload },
        1 => Body::Frame { codec, key, composition_ms: signed24(c1, c2, c3), payload },
        _ => Body::Other,
    })
}

/// Enhanced RTMP v2, "Extended VideoTagHeader".
fn parse_enhanced_video(packet: u8, key: bool, rest: &[u8]) -> Option<Body<'_>> {
    let (four_cc, rest) = rest.split_first_chunk::<4>()?;
    let codec = String::from_utf8_lossy(four_cc).into_owned();
    let has_composition_time = matches!(four_cc, b"avc1" | b"hvc1");
    Some(match packet {
        0 => Body::Config { codec, config: rest },
        1 if has_composition_time => {
            let (&[c1, c2, c3], payload) = rest.split_first_chunk::<3>()?;
            Body::Frame { codec, key, composition_ms: signed24(c1, c2, c3), payload }
        }
        1 | 3 => Body::Frame { codec, key, composition_ms: 0, payload: rest },
        _ => Body::Other,
    })
}

fn parse_audio(body: &[u8]) -> Option<Body<'_>> {
    let (&first, rest) = body.split_first()?;
    let frame = |codec: &str, payload| Body::Frame {
        codec: codec.to_owned(),
        key: true,
        composition_ms: 0,
        payload,
    };
    match first >> 4 {
        10 => {
            let (&packet, payload) = rest.split_first()?;
            Some(match packet {
                0 => Body::Config { codec: "mp4a".to_owned(), config: payload },
                _ => frame("mp4a", payload),
            })
        }
        9 => {
            let (four_cc, payload) = rest.split_first_chunk::<4>()?;
            let codec = String::from_utf8_lossy(four_cc).into_owned();
            Some(match first & 0x0f {
                0 => Body::Config { codec, config: payload },
                1 => frame(&codec, payload),
                _ => Body::Other,
            })
        }
        other => Some(frame(&format!("audio codec {other}"), rest)),
    }
}

fn be24(a: u8, b: u8, c: u8) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

fn signed24(a: u8, b: u8, c: u8) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tags_with_long_time_stamps() {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        file.extend([9, 0, 0, 7, 0x01, 0x02, 0x03, 0x80, 0, 0, 0]);
        file.extend([0x17, 1, 0xff, 0xff, 0xd8, 0xaa, 0xbb]);
        file.extend([0, 0, 0, 18]);
        file.extend([8, 0, 0, 9, 0, 0]);

        let tags = read(&file);

        assert_eq!(tags.len(), 1, "the tag that was cut off is left out");
        assert_eq!(tags[0].time_ms, 0x8001_0203);
        assert_eq!(
            tags[0].parse(),
            Body::Frame {
                codec: "avc1".to_owned(),
                key: true,
                composition_ms: -40,
                payload: &[0xaa, 0xbb]
            }
        );
    }

    #[test]
    fn reads_headers_of_both_generations() {
        let body = |kind, bytes: &[u8]| Tag { kind, time_ms: 0, body: bytes.to_vec() };
        assert!(body(VIDEO, &[0x17, 0, 0, 0, 0, 1]).is_config());
        assert!(body(VIDEO, b"\x90hvc1\x01").is_config());
        assert!(body(VIDEO, b"\x91hvc1\0\0\x28abc").is_key_frame());
        assert!(body(VIDEO, b"\xa3hvc1abc").is_video_frame());
        assert!(!body(VIDEO, b"\xa3hvc1abc").is_key_frame());
        assert!(body(AUDIO, &[0xaf, 0, 0x12, 0x10]).is_config());
        assert!(body(AUDIO, &[0xaf, 1, 0x21]).is_frame());
        assert_eq!(
            body(VIDEO, &[0x1c, 1, 0, 0, 0, 9]).parse(),
            Body::Frame {
                codec: "hvc1 (legacy)".to_owned(),
                key: true,
                composition_ms: 0,
                payload: &[9]
            }
        );
    }
}
