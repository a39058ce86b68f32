//! The C headers, embedded: the contract that this very program was built with.

use std::fs;
use std::io;
use std::path::Path;

use super::Error;

macro_rules! headers {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../plugin-api/include/plugcast/", $name)))),*]
    };
}

/// Name and text.
pub(super) static HEADERS: [(&str, &str); 14] = headers![
    "auth.h",
    "config.h",
    "core.h",
    "exec.h",
    "feeds.h",
    "hash.h",
    "http.h",
    "log.h",
    "mem.h",
    "metrics.h",
    "net.h",
    "plugcast.h",
    "streams.h",
    "tasks.h",
];

/// Writes them into `folder/plugcast`, for `-I folder`. Files that differ are replaced only with `force`; otherwise one of them
/// is enough that nothing is written.
pub(crate) fn write_headers(folder: &Path, force: bool) -> Result<(), Error> {
    let folder = folder.join("plugcast");
    if !force {
        for (name, text) in HEADERS {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(there) if there == text.as_bytes() => {}
                Ok(_) => return Err(Error::Differs(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::Io(path, error)),
            }
        }
    }
    fs::create_dir_all(&folder).map_err(|error| Error::Io(folder.clone(), error))?;
    for (name, text) in HEADERS {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Error::Io(path, error))?;
    }
    Ok(())
}
