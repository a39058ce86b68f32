//! Which build of a library it is: what a debugger needs to find its symbols.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use object::Object;
use object::read::ReadCache;
use sha2::{Digest, Sha256};

/// Of a file that is summed up, at a time.
const PART_BYTES: usize = 64 << 10;

/// `build-id …` when the linker left one, `sha256 …` of the file when not, or why neither is known.
pub(super) fn of(file: &Path) -> String {
    let id = match linkers_id(file) {
        Ok(Some(id)) => Ok(format!("build-id {}", hex(&id))),
        Ok(None) => sha256(file).map(|sum| format!("sha256 {}", hex(&sum))),
        Err(error) => Err(error),
    };
    id.unwrap_or_else(|error| format!("unknown: {error}"))
}

fn linkers_id(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let cache = ReadCache::new(File::open(file)?);
    // A file that is no library has none.
    let Ok(library) = object::File::parse(&cache) else { return Ok(None) };
    Ok(library.build_id().ok().flatten().map(<[u8]>::to_vec))
}

fn sha256(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let (mut sum, mut part) = (Sha256::new(), vec![0; PART_BYTES]);
    loop {
        let n = file.read(&mut part)?;
        if n == 0 {
            return Ok(sum.finalize().to_vec());
        }
        sum.update(part.get(..n).unwrap_or_default());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_one_has_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty");
        std::fs::write(&file, "").unwrap();

        let empty = "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of(&file), empty);
        assert!(of(&folder.path().join("none")).starts_with("unknown: "));
    }

    #[test]
    fn a_linked_file_has_the_linkers() {
        let id = of(&std::env::current_exe().unwrap());

        assert!(id.starts_with("build-id ") && id.len() > 24, "{id}");
    }
}
