//! The manifest: what a plugin says of itself in its file, before any of its code runs.
//!
//! Built by the compiler: [`export_plugin!`](crate::export_plugin) makes a [`Manifest`], and [`Blob`] holds its JSON behind
//! the head of core.h, with a CRC. No build script, no proc macro.

use crate::abi::core::{
    ABI_MAJOR, ABI_MINOR, MANIFEST_FORMAT, MANIFEST_MAGIC, MANIFEST_MAX, ManifestHead,
};
use crate::abi::hash::HEADER_HASH;

/// `x86_64-linux-gnu`, in pieces: what a library, or a host, built now runs on.
pub const TARGET: [&str; 5] = [
    std::env::consts::ARCH,
    "-",
    std::env::consts::OS,
    if ENVIRONMENT.is_empty() { "" } else { "-" },
    ENVIRONMENT,
];

const ENVIRONMENT: &str = if cfg!(target_env = "gnu") {
    "gnu"
} else if cfg!(target_env = "musl") {
    "musl"
} else if cfg!(target_env = "msvc") {
    "msvc"
} else {
    ""
};

/// What the macro was told. Lists are of short words.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub vendor: &'a str,
    pub licence: &'a str,
    /// Interfaces without which the plugin does not work, `pc.net/1`.
    pub requires: &'a [&'a str],
    /// Interfaces that it uses if they are there.
    pub optional: &'a [&'a str],
    pub protocols: &'a [&'a str],
    pub schemes: &'a [&'a str],
    pub formats: &'a [&'a str],
    pub codecs: &'a [&'a str],
    /// JSON Schema of the config, as it stands in its file.
    pub config_schema: &'a str,
    pub profile: &'a str,
}

/// Head and JSON, as they lie in the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Blob<const N: usize> {
    head: ManifestHead,
    json: [u8; N],
}

impl<const N: usize> Blob<N> {
    /// The blob of a manifest whose [`Manifest::json_len`] is `N`.
    pub const fn new(manifest: &Manifest<'_>) -> Self {
        assert!(N <= MANIFEST_MAX as usize, "the manifest is larger than PC_MANIFEST_MAX");
        let mut json = [0; N];
        assert!(manifest.write(&mut json) == N, "N is not the length of the JSON");
        #[expect(clippy::cast_possible_truncation, reason = "tested above")]
        let length = N as u32;
        let head = ManifestHead {
            magic: MANIFEST_MAGIC,
            format: MANIFEST_FORMAT,
            length,
            crc: crc32(&json),
            reserved: 0,
        };
        Self { head, json }
    }

    /// The head in front.
    pub const fn head(&self) -> &ManifestHead {
        &self.head
    }

    /// The JSON text.
    pub const fn json(&self) -> &[u8] {
        &self.json
    }
}

impl Manifest<'_> {
    /// Bytes of the JSON.
    pub const fn json_len(&self) -> usize {
        self.write(&mut [])
    }

    /// Writes the JSON as far as there is room, and gives its length.
    const fn write(&self, out: &mut [u8]) -> usize {
        let mut w = Writer { out, len: 0 };
        w.raw("{\"id\":").text(self.id);
        w.raw(",\"name\":").text(self.name);
        w.raw(",\"version\":").text(self.version);
        w.raw(",\"vendor\":").text(self.vendor);
        w.raw(",\"licence\":").text(self.licence);
        w.raw(",\"abi\":{\"major\":").number(ABI_MAJOR);
        w.raw(",\"minor\":").number(ABI_MINOR);
        w.raw(",\"header_hash\":").text(HEADER_HASH);
        w.raw("},\"target\":\"")
            .raw(TARGET[0])
            .raw(TARGET[1])
            .raw(TARGET[2])
            .raw(TARGET[3])
            .raw(TARGET[4]);
        w.raw("\",\"panic\":").text(if cfg!(panic = "unwind") { "unwind" } else { "abort" });
        w.raw(",\"requires\":").list(self.requires);
        w.raw(",\"optional\":").list(self.optional);
        w.raw(",\"provides\":{\"protocols\":").list(self.protocols);
        w.raw(",\"schemes\":").list(self.schemes);
        w.raw(",\"formats\":").list(self.formats);
        w.raw(",\"codecs\":").list(self.codecs);
        w.raw("},\"config_schema\":").raw(self.config_schema);
        w.raw(",\"build\":{\"profile\":").text(self.profile);
        w.raw("}}");
        w.len
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    const fn byte(&mut self, byte: u8) {
        if self.len < self.out.len() {
            self.out[self.len] = byte;
        }
        self.len += 1;
    }

    const fn raw(&mut self, text: &str) -> &mut Self {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.byte(bytes[i]);
            i += 1;
        }
        self
    }

    const fn text(&mut self, text: &str) -> &mut Self {
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i] >= b' ', "control characters have no place in a manifest");
            if bytes[i] == b'"' || bytes[i] == b'\\' {
                self.byte(b'\\');
            }
            self.byte(bytes[i]);
            i += 1;
        }
        self.byte(b'"');
        self
    }

    const fn list(&mut self, words: &[&str]) -> &mut Self {
        self.byte(b'[');
        let mut i = 0;
        while i < words.len() {
            if i > 0 {
                self.byte(b',');
            }
            self.text(words[i]);
            i += 1;
        }
        self.byte(b']');
        self
    }

    const fn number(&mut self, value: u32) -> &mut Self {
        if value >= 10 {
            self.number(value / 10);
        }
        self.byte(b"0123456789"[(value % 10) as usize]);
        self
    }
}

/// CRC-32 of IEEE 802.3, bit by bit: it runs in the compiler.
const fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut i = 0;
    while i < bytes.len() {
        crc ^= bytes[i] as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        i += 1;
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: Manifest<'static> = Manifest {
        id: "rtmp",
        name: "RTMP \"live\"",
        version: "0.1.0",
        vendor: "",
        licence: "MIT",
        requires: &["pc.net/1", "pc.exec/1"],
        optional: &[],
        protocols: &["rtmp"],
        schemes: &["rtmp"],
        formats: &["rtmp"],
        codecs: &[],
        config_schema: "{\n  \"type\": \"object\"\n}\n",
        profile: "debug",
    };
    static BLOB: Blob<{ MANIFEST.json_len() }> = Blob::new(&MANIFEST);

    #[test]
    fn the_blob_is_json_behind_its_head() {
        let json: serde_json::Value = serde_json::from_slice(BLOB.json()).unwrap();

        assert_eq!(BLOB.head().magic, *b"PLUGCAST");
        assert_eq!(BLOB.head().length as usize, BLOB.json().len());
        assert_eq!(json["name"], "RTMP \"live\"");
        assert_eq!(json["abi"]["header_hash"], HEADER_HASH);
        assert_eq!(json["requires"], serde_json::json!(["pc.net/1", "pc.exec/1"]));
        assert_eq!(json["provides"]["formats"], serde_json::json!(["rtmp"]));
        assert_eq!(json["config_schema"]["type"], "object");
        if cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
            assert_eq!(json["target"], "x86_64-linux-gnu");
        }
    }

    #[test]
    fn the_crc_is_that_of_ieee() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
