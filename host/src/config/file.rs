//! Finds the config file and reads it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::{ConfigError, FileFormat, Source as _};
use serde_json::{Map, Value};

use super::Options;
use super::layers::plain;
use super::mistake::{Mistake, Source};
use super::yaml::{self, Document, Place};

/// The variable that names the config file.
const VARIABLE: &str = "PLUGCAST_CONFIG";
/// Below the working directory.
const LOCAL: &str = "config/plugcast.yaml";
/// Larger files are refused: a config this long is a mix-up of files.
const BYTES_MAX: u64 = 4 << 20;

/// Which file is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    Found(PathBuf),
    /// Built-in defaults, because there is no file in any of these places.
    NotFound {
        looked: Vec<PathBuf>,
    },
}

/// Looks in `-c` › `$PLUGCAST_CONFIG` › `./config/plugcast.yaml` › the system's file. One that is named
/// has to exist.
pub(super) fn find(options: &Options) -> ConfigFile {
    let variable = options.env.iter().find(|(name, _)| name == VARIABLE);
    let variable =
        variable.map(|(_, path)| PathBuf::from(path)).filter(|p| !p.as_os_str().is_empty());
    if let Some(named) = options.file.clone().or(variable) {
        return ConfigFile::Found(named);
    }
    let looked = vec![PathBuf::from(LOCAL), options.system_file.clone()];
    let found = looked.iter().find(|path| options.working_dir.join(path).is_file());
    match found {
        Some(path) => ConfigFile::Found(path.clone()),
        None => ConfigFile::NotFound { looked },
    }
}

/// Reads a file; `path` is as the user wrote it, for messages.
pub(super) fn read(path: &Path, working_dir: &Path) -> Result<Document, Box<Mistake>> {
    let mistake = |problem: String| Box::new(Mistake::new(Source::File(path.to_owned()), problem));
    let text = read_text(&working_dir.join(path))
        .map_err(|error| mistake(format!("cannot be read: {error}")))?;
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") | None => None,
        Some("json") => Some(FileFormat::Json),
        Some("toml") => Some(FileFormat::Toml),
        Some(other) => {
            return Err(mistake(format!(
                "\".{other}\" is no format of a config: use YAML, JSON or TOML"
            )));
        }
    };
    let Some(format) = format else {
        return yaml::parse(&text).map_err(|error| {
            Box::new(Mistake {
                line: Some(error.place.line),
                column: Some(error.place.column),
                hint: tab_hint(&text, error.place),
                ..*mistake(error.problem)
            })
        });
    };
    let table = config::File::from_str(&text, format).collect().map_err(|error| match error {
        ConfigError::FileParse { cause, .. } => mistake(cause.to_string()),
        other => mistake(other.to_string()),
    })?;
    let mut document = Document::default();
    let root: Map<String, Value> =
        table.into_iter().map(|(name, value)| (name, plain(value.kind))).collect();
    document.root = root;
    Ok(document)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > BYTES_MAX) {
        return Err(io::Error::other("longer than 4 MiB"));
    }
    Ok(text)
}

/// A tab looks like spaces, and YAML refuses it with words that do not name it.
fn tab_hint(text: &str, place: Place) -> Option<String> {
    let mut near = text.lines().skip(place.line.saturating_sub(2)).take(2);
    let is_indented_by_tab =
        |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    near.any(is_indented_by_tab).then(|| "YAML is indented with spaces, not tabs".to_owned())
}
