//! Which level is logged for which target.

use std::collections::BTreeMap;

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// A level for everything, and others for some targets and what is below them.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    default: LevelFilter,
    targets: BTreeMap<String, LevelFilter>,
}

impl Levels {
    /// `targets` without a path separator at the end: `rtmp`, `plugcast::hub`.
    #[must_use]
    pub fn new(default: LevelFilter, targets: BTreeMap<String, LevelFilter>) -> Self {
        Self { default, targets }
    }

    /// The level for everything that has none of its own.
    pub fn set_default(&mut self, level: LevelFilter) {
        self.default = level;
    }

    /// The level for everything that has none of its own.
    #[must_use]
    pub fn default(&self) -> LevelFilter {
        self.default
    }

    /// The targets with a level of their own.
    pub fn targets(&self) -> impl Iterator<Item = (&str, LevelFilter)> {
        self.targets.iter().map(|(target, level)| (target.as_str(), *level))
    }

    /// Gives a target its own level; `None` takes it away.
    pub fn set_target(&mut self, target: &str, level: Option<LevelFilter>) {
        match level {
            Some(level) => self.targets.insert(target.to_owned(), level),
            None => self.targets.remove(target),
        };
    }

    /// Whether a line is written. The longest target that contains `target` decides: `rtmp` holds for
    /// `rtmp::session`, not for `rtmps`.
    #[must_use]
    pub fn allows(&self, target: &str, level: Level) -> bool {
        level <= self.level_of(target)
    }

    /// The level in force for a target.
    #[must_use]
    pub fn level_of(&self, target: &str) -> LevelFilter {
        let mut part = target;
        loop {
            if let Some(level) = self.targets.get(part) {
                return *level;
            }
            match part.rfind("::") {
                Some(end) => part = part.get(..end).unwrap_or_default(),
                None => return self.default,
            }
        }
    }

    /// The most that any target logs; what is above needs no look at its target.
    #[must_use]
    pub fn max(&self) -> LevelFilter {
        self.targets.values().copied().fold(self.default, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_target_decides() {
        let targets = [
            ("rtmp".to_owned(), LevelFilter::DEBUG),
            ("rtmp::session".to_owned(), LevelFilter::OFF),
        ];

        let levels = Levels::new(LevelFilter::INFO, targets.into());

        assert!(levels.allows("rtmp", Level::DEBUG));
        assert!(levels.allows("rtmp::wire::chunk", Level::DEBUG));
        assert!(!levels.allows("rtmp::session::publish", Level::ERROR));
        assert!(!levels.allows("rtmps", Level::DEBUG));
        assert!(levels.allows("plugcast::hub", Level::INFO));
        assert_eq!(levels.max(), LevelFilter::DEBUG);
    }

    #[test]
    fn a_target_loses_its_level() {
        let mut levels = Levels::new(LevelFilter::INFO, BTreeMap::new());

        levels.set_target("hub", Some(LevelFilter::TRACE));
        levels.set_target("hub", None);

        assert_eq!(levels.level_of("hub"), LevelFilter::INFO);
    }
}
