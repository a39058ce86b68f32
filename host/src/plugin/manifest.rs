//! Reads a plugin's manifest out of its file. No code of the plugin runs.
//!
//! The manifest is the data symbol `PLUGCAST_MANIFEST` (core.h): a head with magic, length and CRC, then JSON. Files without
//! the symbol are not plugins. Identity comes from here, never from the file's name.

use std::fs::File;
use std::path::Path;

use object::read::elf::{ElfFile64, FileHeader};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, Object, ObjectSegment, ObjectSymbol};
use serde::Deserialize;
use serde_json::Value;

/// `PC_MANIFEST_MAX`: a longer manifest is invalid.
pub const LENGTH_MAX: usize = 1 << 20;
/// Exported symbols looked at before a file is given up on; a plugin exports two.
const SYMBOLS_MAX: usize = 100_000;
const SYMBOL: &str = "PLUGCAST_MANIFEST";
const HEAD_LEN: usize = 24;
const MAGIC: &[u8; 8] = b"PLUGCAST";

/// What a plugin says of itself. Fields that are not known here are left alone: they belong to later hosts.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    pub id: String,
    #[serde(default)]
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub vendor: String,
    #[serde(default)]
    pub licence: String,
    pub abi: Abi,
    pub target: String,
    /// What a panic does in there: `unwind`, `abort` or `none`.
    #[serde(default)]
    pub panic: String,
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default)]
    pub optional: Vec<String>,
    #[serde(default)]
    pub provides: Value,
    /// JSON Schema of the plugin's config section.
    #[serde(default)]
    pub config_schema: Value,
    #[serde(default)]
    pub build: Value,
    /// The newest glibc that the file's own version needs name, as (2, 31); not from the JSON.
    #[serde(skip)]
    pub libc: Option<(u32, u32)>,
}

/// Which contract the plugin was built against.
#[derive(Clone, Debug, Deserialize)]
pub struct Abi {
    pub major: u32,
    #[serde(default)]
    pub minor: u32,
    /// Of the header set, while the contract is v0.
    #[serde(default)]
    pub header_hash: String,
}

/// Why a file that looks like a plugin is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is not a shared library that this host understands: {0}")]
    Object(#[from] object::Error),
    #[error("manifest is truncated: the file holds {have} of {want} bytes")]
    Truncated { have: usize, want: usize },
    #[error("manifest does not begin with PLUGCAST")]
    Magic,
    #[error("manifest format {0} is unknown; this host reads format 1")]
    Format(u32),
    #[error("manifest of {0} bytes is longer than {LENGTH_MAX}")]
    Length(usize),
    #[error("manifest is damaged: its CRC is {found:08x}, {stated:08x} was stated")]
    Crc { found: u32, stated: u32 },
    #[error("manifest is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
    #[error("manifest id {0:?} is not of the form [a-z][a-z0-9_-]*, at most 64 long")]
    Id(String),
}

/// The manifest of a library file; `None` when it is not a plugin.
///
/// # Errors
/// When it has a manifest symbol, but what is there can't be used.
pub fn read(path: &Path) -> Result<Option<Manifest>, Error> {
    let cache = ReadCache::new(File::open(path)?);
    parse(&cache)
}

/// The same for a file's bytes, wherever they are.
///
/// # Errors
/// As for [`read`].
pub fn parse<'data, R: ReadRef<'data>>(data: R) -> Result<Option<Manifest>, Error> {
    let Ok(file) = object::File::parse(data) else { return Ok(None) };
    let Some(blob) = symbol_bytes(&file)? else { return Ok(None) };
    let mut manifest = parse_blob(blob)?;
    manifest.libc = libc_needed(data);
    Ok(Some(manifest))
}

/// The bytes from the manifest symbol to the end of its segment.
fn symbol_bytes<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
) -> Result<Option<&'data [u8]>, Error> {
    let mut symbols = file.dynamic_symbols().take(SYMBOLS_MAX);
    let Some(symbol) = symbols.find(|symbol| symbol.is_definition() && symbol.name() == Ok(SYMBOL))
    else {
        return Ok(None);
    };
    let address = symbol.address();
    for segment in file.segments() {
        let start = segment.address();
        if !(start..start.saturating_add(segment.size())).contains(&address) {
            continue;
        }
        let skip = usize::try_from(address - start).unwrap_or(usize::MAX);
        // A segment's bytes in the file may end before its memory does: what is left is zero, and not a manifest.
        return Ok(Some(segment.data()?.get(skip..).unwrap_or_default()));
    }
    Err(Error::Truncated { have: 0, want: HEAD_LEN })
}

fn parse_blob(blob: &[u8]) -> Result<Manifest, Error> {
    let Some((head, rest)) = blob.split_first_chunk::<HEAD_LEN>() else {
        return Err(Error::Truncated { have: blob.len(), want: HEAD_LEN });
    };
    let (magic, numbers) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Error::Magic);
    }
    let (words, _) = numbers.as_chunks::<4>();
    let &[format, length, stated, _reserved] = words else { return Err(Error::Magic) };
    let format = u32::from_le_bytes(format);
    if format != 1 {
        return Err(Error::Format(format));
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > LENGTH_MAX {
        return Err(Error::Length(length));
    }
    let json = rest.get(..length).ok_or(Error::Truncated { have: rest.len(), want: length })?;
    let stated = u32::from_le_bytes(stated);
    let found = crc32fast::hash(json);
    if stated != 0 && stated != found {
        return Err(Error::Crc { found, stated });
    }
    let manifest: Manifest = serde_json::from_slice(json)?;
    if !is_id(&manifest.id) {
        return Err(Error::Id(manifest.id));
    }
    Ok(manifest)
}

/// Ids name config sections, metrics and log targets, so they are kept plain.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() <= 64
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// The newest `GLIBC_x.y` in the file's version needs. `None` for other formats and libraries that need none.
fn libc_needed<'data, R: ReadRef<'data>>(data: R) -> Option<(u32, u32)> {
    let elf = ElfFile64::<Endianness, R>::parse(data).ok()?;
    let endian = elf.endian();
    let sections = elf.elf_header().sections(endian, data).ok()?;
    let (mut needs, link) = sections.gnu_verneed(endian, data).ok()??;
    let strings = sections.strings(endian, data, link).ok()?;
    let mut newest = None;
    while let Ok(Some((_, mut names))) = needs.next() {
        while let Ok(Some(name)) = names.next() {
            let version = name.name(endian, strings).ok().and_then(parse_glibc);
            newest = newest.max(version);
        }
    }
    newest
}

fn parse_glibc(name: &[u8]) -> Option<(u32, u32)> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(json: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for word in [1, u32::try_from(json.len()).unwrap(), crc32fast::hash(json.as_bytes()), 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(json.as_bytes());
        bytes
    }

    const GOOD: &str = r#"{"id":"rtmp","version":"0.1.0","abi":{"major":0,"header_hash":"ab"},"target":"t","later":1}"#;

    #[test]
    fn reads_a_manifest_and_ignores_what_it_does_not_know() {
        let manifest = parse_blob(&blob(GOOD)).unwrap();

        assert_eq!(manifest.id, "rtmp");
        assert_eq!(manifest.abi.header_hash, "ab");
    }

    #[test]
    fn a_crc_of_zero_is_not_checked() {
        let mut bytes = blob(GOOD);
        bytes[16..20].fill(0);

        assert!(parse_blob(&bytes).is_ok());
    }

    #[test]
    fn refuses_every_truncation() {
        let whole = blob(GOOD);
        for len in 0..whole.len() {
            assert!(
                matches!(parse_blob(&whole[..len]), Err(Error::Truncated { .. })),
                "cut at {len}"
            );
        }
    }

    #[test]
    fn refuses_what_is_damaged() {
        type Expected = fn(&Error) -> bool;
        let cases: &[(&str, usize, u8, Expected)] = &[
            ("magic", 0, b'p', |e| matches!(e, Error::Magic)),
            ("format", 8, 2, |e| matches!(e, Error::Format(2))),
            ("length", 15, 0xff, |e| matches!(e, Error::Length(_))),
            ("text", 30, b'!', |e| matches!(e, Error::Crc { .. })),
        ];
        for (name, offset, value, expected) in cases {
            let mut bytes = blob(GOOD);
            bytes[*offset] = *value;
            let error = parse_blob(&bytes).expect_err(name);
            assert!(expected(&error), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_ids_that_could_not_name_a_config_section() {
        for id in ["", "Rtmp", "../x", "a b", "1a"] {
            let json = GOOD.replace("\"rtmp\"", &format!("{id:?}"));
            assert!(matches!(parse_blob(&blob(&json)), Err(Error::Id(_))), "{id:?}");
        }
    }

    #[test]
    fn a_file_without_the_symbol_is_not_a_plugin() {
        let program = std::fs::read("/proc/self/exe").unwrap();

        assert!(parse(&program[..]).unwrap().is_none());
        assert!(parse(&b"not a library"[..]).unwrap().is_none());
    }

    #[test]
    fn reads_glibc_versions() {
        assert_eq!(parse_glibc(b"GLIBC_2.34"), Some((2, 34)));
        assert_eq!(parse_glibc(b"GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(parse_glibc(b"GLIBC_PRIVATE"), None);
    }
}
