//! The first command of every connection: `connect` (RTMP 1.0, section 7.2.1.1; Enhanced RTMP v2,
//! "Enhancing NetConnection connect Command").
//!
//! socket → message → command → **connect** → session

use media::container::flv::amf0::Value;

use super::{Arguments, to_u32};

/// Entries of a list of codecs that are kept; there are about fifteen codecs.
const CODECS_MAX: usize = 64;

/// Bits of `capsEx` (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
pub mod caps_ex {
    pub const RECONNECT: u32 = 0x01;
    pub const MULTITRACK: u32 = 0x02;
    pub const MOD_EX: u32 = 0x04;
    pub const TIMESTAMP_NANO_OFFSET: u32 = 0x08;
}

/// The command object of `connect`. What is missing is empty or zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// May hold more path, and a query: see [`url`](super::super::url).
    pub app: String,
    pub tc_url: String,
    pub flash_ver: String,
    pub swf_url: String,
    pub page_url: String,
    /// 0 is AMF0, 3 is AMF3. Answered with 0, which keeps the client to AMF0.
    pub object_encoding: f64,
    pub audio_codecs: u32,
    pub video_codecs: u32,
    pub video_function: u32,
    pub capabilities: Capabilities,
}

/// What one side can do beyond RTMP 1.0. A client names its own, the server answers with its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Enhanced RTMP v1: the FourCCs that it understands, `*` for all.
    pub four_cc_list: Vec<String>,
    /// Enhanced RTMP v2: what it does with each FourCC, bits decode 1, encode 2, forward 4.
    pub video_four_cc_info: Vec<(String, u32)>,
    pub audio_four_cc_info: Vec<(String, u32)>,
    /// Bits of [`caps_ex`].
    pub caps_ex: u32,
}

impl Connect {
    pub(super) fn parse(arguments: &Arguments) -> Self {
        let Some(object) = arguments.get(0) else { return Self::default() };
        let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let bits = |name| object.get(name).and_then(Value::as_f64).and_then(to_u32).unwrap_or(0);
        Self {
            app: text("app"),
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            swf_url: text("swfUrl"),
            page_url: text("pageUrl"),
            object_encoding: object.get("objectEncoding").and_then(Value::as_f64).unwrap_or(0.0),
            audio_codecs: bits("audioCodecs"),
            video_codecs: bits("videoCodecs"),
            video_function: bits("videoFunction"),
            capabilities: Capabilities::parse(object),
        }
    }

    /// The command object that a client sends. Fields that are empty are left out.
    pub(super) fn to_value(&self) -> Value {
        let mut properties = vec![
            ("app".to_owned(), Value::from(self.app.as_str())),
            ("type".to_owned(), Value::from("nonprivate")),
            ("flashVer".to_owned(), Value::from(self.flash_ver.as_str())),
            ("tcUrl".to_owned(), Value::from(self.tc_url.as_str())),
            // Bits for all codecs: some servers refuse a player that names none.
            ("audioCodecs".to_owned(), Value::Number(f64::from(self.audio_codecs))),
            ("videoCodecs".to_owned(), Value::Number(f64::from(self.video_codecs))),
            ("videoFunction".to_owned(), Value::Number(f64::from(self.video_function))),
            ("objectEncoding".to_owned(), Value::Number(self.object_encoding)),
        ];
        self.capabilities.add_to(&mut properties);
        Value::Object(properties)
    }
}

impl Capabilities {
    /// Reads them from a client's command object or a server's properties.
    pub fn parse(object: &Value) -> Self {
        let four_cc_list = match object.get("fourCcList") {
            Some(Value::StrictArray(codecs)) => {
                let names = codecs.iter().filter_map(Value::as_str).take(CODECS_MAX);
                names.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let caps_ex = object.get("capsEx").and_then(Value::as_f64).and_then(to_u32).unwrap_or(0);
        Self {
            four_cc_list,
            video_four_cc_info: parse_info_map(object.get("videoFourCcInfoMap")),
            audio_four_cc_info: parse_info_map(object.get("audioFourCcInfoMap")),
            caps_ex,
        }
    }

    /// Whether the peer said anything of Enhanced RTMP.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add_to(&self, properties: &mut Vec<(String, Value)>) {
        if !self.four_cc_list.is_empty() {
            let codecs = self.four_cc_list.iter().map(|codec| Value::from(codec.as_str()));
            properties.push(("fourCcList".to_owned(), Value::StrictArray(codecs.collect())));
        }
        for (name, map) in [
            ("videoFourCcInfoMap", &self.video_four_cc_info),
            ("audioFourCcInfoMap", &self.audio_four_cc_info),
        ] {
            if !map.is_empty() {
                let entries =
                    map.iter().map(|(codec, bits)| (codec.clone(), Value::from(f64::from(*bits))));
                properties.push((name.to_owned(), Value::Object(entries.collect())));
            }
        }
        if self.caps_ex != 0 {
            properties.push(("capsEx".to_owned(), Value::from(f64::from(self.caps_ex))));
        }
    }
}

fn parse_info_map(map: Option<&Value>) -> Vec<(String, u32)> {
    let Some(Value::Object(entries) | Value::EcmaArray(entries)) = map else { return Vec::new() };
    let numbers =
        entries.iter().filter_map(|(codec, bits)| Some((codec.clone(), to_u32(bits.as_f64()?)?)));
    numbers.take(CODECS_MAX).collect()
}
