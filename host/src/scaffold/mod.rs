//! `plugcast plugin new` and `plugcast plugin headers`: what somebody needs to write a plugin outside of this repository.
//!
//! Headers and templates (`plugin-api/templates`) are embedded, so neither the network nor a checkout is needed; only the
//! crate for plugins in Rust has to come from somewhere.

mod headers;
mod templates;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::plugin::manifest;

pub(crate) use headers::write_headers;

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    C,
    Rust,
}

/// What a plugin is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A listener whose peers publish
    Protocol,
    /// A route on the server's HTTP port
    Http,
    /// A reader of streams; there is no template yet
    Integration,
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::C => "c",
            Self::Rust => "rust",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "protocol",
            Self::Http => "http",
            Self::Integration => "integration",
        })
    }
}

/// The crate that plugins in Rust are written with, by its name in Cargo.toml.
const SDK_PACKAGE: &str = "plugcast-plugin-api";

/// Why nothing, or not everything, was written. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "{0:?} can't be a plugin's id: write 1 to 64 letters a-z, digits, - and _, beginning with a letter"
    )]
    Name(String),
    #[error("there is no template for --lang {0} --kind {1} yet; there are: {2}")]
    NoTemplate(Lang, Kind, String),
    #[error(
        "--sdk is about plugins in Rust; those in C need the headers alone, which are embedded"
    )]
    SdkForC,
    #[error(
        "--sdk {0}: there is no Cargo.toml of {SDK_PACKAGE} in it; give the folder plugin-api of a checkout"
    )]
    NotTheSdk(PathBuf),
    #[error("--sdk {0}: its whole path is not UTF-8, which Cargo.toml can't name")]
    NotUtf8(PathBuf),
    #[error("{0} is there already and is not an empty folder; nothing was written")]
    NotEmpty(PathBuf),
    #[error("{0} is another version than this program's; nothing was written, --force replaces it")]
    Differs(PathBuf),
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// A new plugin, as the command line asks for it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) lang: Lang,
    pub(crate) kind: Kind,
    /// The folder `plugin-api` of a checkout.
    pub(crate) sdk: Option<PathBuf>,
}

impl Plan {
    /// Writes the project into `parent/name`, and returns what to do next, as text for people.
    pub(crate) fn write(&self, parent: &Path) -> Result<String, Error> {
        if !manifest::is_id(&self.name) {
            return Err(Error::Name(self.name.clone()));
        }
        let template = templates::find(self.lang, self.kind)?;
        let sdk = self.sdk.as_deref().map(|path| find_sdk(path, self.lang)).transpose()?;
        let folder = parent.join(&self.name);
        if !is_free(&folder)? {
            return Err(Error::NotEmpty(folder));
        }
        for (name, text) in template.files {
            write_new(&folder.join(name), &self.fill(text, sdk.as_deref()))?;
        }
        if self.lang == Lang::C {
            write_headers(&folder.join("include"), false)?;
        }
        Ok(self.next_steps(sdk.is_some()))
    }

    /// The library's name without `lib` and its ending.
    fn snake(&self) -> String {
        self.name.replace('-', "_")
    }

    fn fill(&self, text: &str, sdk: Option<&str>) -> String {
        let source = match sdk {
            Some(path) => format!("path = {}", serde_json::Value::from(path)),
            None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        };
        let dependency = format!("plugin-api = {{ {source}, package = \"{SDK_PACKAGE}\"");
        text.replace("@ID@", &self.name)
            .replace("@SNAKE@", &self.snake())
            .replace("@SDK@", &format!("{dependency} }}"))
            .replace("@TESTING@", &format!("{dependency}, features = [\"testing\"] }}"))
    }

    /// The three commands from here to a loaded plugin.
    fn next_steps(&self, has_sdk: bool) -> String {
        let (name, file) = (&self.name, format!("libplugcast_{}.so", self.snake()));
        let (build, built) = match self.lang {
            Lang::C => ("make test all", file),
            Lang::Rust => ("cargo test && cargo build --release", format!("target/release/{file}")),
        };
        let first = match (self.lang, has_sdk) {
            (Lang::Rust, false) => format!(
                "\nFirst say in {name}/Cargo.toml where {SDK_PACKAGE} comes from: a path, git or a registry.\n"
            ),
            _ => String::new(),
        };
        format!(
            "{name}/ is a plugin. Next:{first}\n  cd {name} && {build}\n  mkdir -p ../plugins && cp {built} ../plugins/\n  \
             plugcast run --set 'server.plugin_dirs=[../plugins]'\n\nIts keys go below plugins.{name} in plugcast.yaml."
        )
    }
}

/// The SDK's folder as an absolute path: the project may be moved.
fn find_sdk(path: &Path, lang: Lang) -> Result<String, Error> {
    if lang == Lang::C {
        return Err(Error::SdkForC);
    }
    let is_it = fs::read_to_string(path.join("Cargo.toml"))
        .is_ok_and(|text| text.contains(&format!("name = \"{SDK_PACKAGE}\"")));
    if !is_it {
        return Err(Error::NotTheSdk(path.to_owned()));
    }
    let whole = fs::canonicalize(path).map_err(|error| Error::Io(path.to_owned(), error))?;
    whole.into_os_string().into_string().map_err(|_| Error::NotUtf8(path.to_owned()))
}

/// Whether there is nothing, or an empty folder.
fn is_free(folder: &Path) -> Result<bool, Error> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(Error::Io(folder.to_owned(), error)),
    }
}

/// Writes a file that is not there yet, with the folders above it.
fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()))
    });
    written.map_err(|error| Error::Io(path.to_owned(), error))
}
