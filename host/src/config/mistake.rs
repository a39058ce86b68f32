//! Where a value comes from, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

/// Where a value of the config comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The config file.
    File(PathBuf),
    /// An environment variable, by name.
    Env(String),
    /// `--set`.
    CommandLine,
    /// A default in a plugin's schema, by the plugin's id.
    Plugin(String),
    /// A default of the host.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Env(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
            Self::Plugin(id) => write!(f, "default of plugin {id}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One mistake in the config. As text: one line that an editor can jump to.
///
/// `config/plugcast.yaml:12:5: plugins.rtmp.chunk_sise: unknown key; did you mean "chunk_size"?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub source: Source,
    /// From 1. Known for YAML files.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The path of the key: `plugins.rtmp.chunk_size`, `auth[0].from`. Empty for the file as a whole.
    pub key: String,
    /// What is wrong. Secrets are masked.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Mistake {
    pub(super) fn new(source: Source, problem: impl Into<String>) -> Self {
        let (key, problem) = (String::new(), problem.into());
        Self { source, line: None, column: None, key, problem, hint: None }
    }

    /// The order in which people repair them: by place in the file, then by variable.
    pub(super) fn order(&self) -> (&Source, Option<usize>, Option<usize>, &str) {
        (&self.source, self.line, self.column, &self.key)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}
