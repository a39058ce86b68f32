//! The path of a value within the config: `plugins.rtmp.listen`, `auth[0].from[1]`.

use std::fmt;

use crate::log::mask;

/// One step of a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Index(usize),
    Name(String),
}

/// A path from the root of the config.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<Step>);

impl Key {
    pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| Step::Name(name.to_owned())).collect())
    }

    pub(super) fn name(&self, name: &str) -> Self {
        self.with(Step::Name(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(super) fn join(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let (_, steps) = self.0.split_last()?;
        Some(Self(steps.to_vec()))
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(super) fn starts_with(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// The last name, past indexes.
    pub(super) fn last_name(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Index(_) => None,
            Step::Name(name) => Some(name.as_str()),
        })
    }

    /// Whether what is here is a secret, by its name or that of a section it is in. `auth` is the list
    /// of rules, though an argument of that name is a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.0.iter().enumerate().any(|(position, step)| match step {
            Step::Index(_) => false,
            Step::Name(name) => mask::is_secret(name) && (position > 0 || name != "auth"),
        })
    }

    /// Instance and own key, for keys that a plugin's schema describes: `plugins.<instance>.<own…>`.
    pub(super) fn in_plugin(&self) -> Option<(&str, Self)> {
        match self.0.as_slice() {
            [Step::Name(plugins), Step::Name(instance), Step::Name(first), ..]
                if plugins == "plugins"
                    && !super::PluginSection::HOST_KEYS.contains(&first.as_str()) =>
            {
                Some((instance, Self(self.0.iter().skip(2).cloned().collect())))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if position > 0 => write!(f, ".{name}")?,
                Step::Name(name) => f.write_str(name)?,
            }
        }
        Ok(())
    }
}
