//! The token of the operator: made at the first start, kept in a file, never logged.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The file in the data folder.
pub const FILE_NAME: &str = "admin.token";
/// Random bytes of a token; its text is twice as long.
const RANDOM_BYTES: usize = 32;
/// A token that an operator has chosen is not shorter than this, nor longer.
const LEN_MIN: usize = 32;
const LEN_MAX: usize = 512;

/// The admin token. Its value can't be printed by accident.
#[derive(Clone)]
pub struct Token {
    text: String,
    digest: [u8; 32],
}

/// A token and where it is.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub token: Token,
    pub path: PathBuf,
    /// It was made just now: the first start.
    pub is_new: bool,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is not a file of its own (a link, a folder, a device)")]
    NotAFile { path: PathBuf },
    #[error("{path} can be read by other users, and that can't be changed: {source}")]
    Exposed { path: PathBuf, source: io::Error },
    #[error(
        "{path} does not hold a token ({LEN_MIN} to {LEN_MAX} letters, digits or -._~+/=); delete it to have one made"
    )]
    Malformed { path: PathBuf },
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Token {
    /// Reads the token of this data folder, or makes the folder and the token.
    ///
    /// A file that other users can read is made private, with a warning.
    ///
    /// # Errors
    ///
    /// See [`Error`]; all name the file.
    pub fn load_or_create(data_dir: &Path) -> Result<Loaded, Error> {
        let path = data_dir.join(FILE_NAME);
        if let Some(token) = Self::load(&path)? {
            return Ok(Loaded { token, path, is_new: false });
        }
        create_private_dir(data_dir)
            .map_err(|source| Error::Io { path: data_dir.to_owned(), source })?;
        let token = Self::random().map_err(Error::Random)?;
        match write_new(&path, &token.text) {
            Ok(()) => Ok(Loaded { token, path, is_new: true }),
            // Another process was faster: its token is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let io = || Error::Io { path: path.clone(), source: error };
                let token = Self::load(&path)?.ok_or_else(io)?;
                Ok(Loaded { token, path, is_new: false })
            }
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// The token in `path`; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// The file can't be read, is exposed, or holds something else.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(Error::NotAFile { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        }
        let file = File::open(path).map_err(io)?;
        make_private(&file, path)?;
        let mut text = String::new();
        // One more than fits, so that a longer file is noticed.
        let limit = LEN_MAX as u64 + 3;
        file.take(limit).read_to_string(&mut text).map_err(io)?;
        let text = text.trim_ascii();
        let is_text =
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
        if !is_text || !(LEN_MIN..=LEN_MAX).contains(&text.len()) {
            return Err(Error::Malformed { path: path.to_owned() });
        }
        Ok(Some(Self::new(text)))
    }

    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::new(&hex))
    }

    /// A token with this text. For tests and for `plugcast token`; the server loads its own.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), digest: Sha256::digest(text).into() }
    }

    /// True if `given` is the token. The time it takes tells nothing about it, not even its length.
    pub fn matches(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.digest.ct_eq(&given).into()
    }

    /// The value, for the one command that prints it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Writes a file that nobody ever sees half written, and never replaces one.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{:016x}", u64::from_le_bytes(suffix)));
    let result = write_private(&temporary, text).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    result?;
    removed?;
    // The name has to be there after a power failure too.
    if let Some(dir) = path.parent()
        && let Ok(dir) = File::open(dir)
    {
        let _ = dir.sync_all();
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn make_private(file: &File, path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    let found = file.metadata().map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(|source| Error::Exposed { path: path.to_owned(), source })?;
    tracing::warn!(
        event = "token.exposed", path = %path.display(), mode = format!("{mode:03o}"),
        "other users could read the admin token; the file is private now, but make a new token by deleting it"
    );
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_file: &File, _path: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
