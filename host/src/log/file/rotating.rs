//! The log file that is written now, and those that were put aside.
//!
//! `plugcast.log` grows until it is too long or too old; then it is renamed to the next number, `plugcast-00000017.log`, and
//! the lowest numbers are removed. Numbers and not times: a clock that is set back must not make the newest the oldest. A file
//! that somebody else has renamed or removed is left to them, and a new one begun.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::SystemTime;

use super::Settings;

const CURRENT: &str = "plugcast.log";
const PREFIX: &str = "plugcast-";
const SUFFIX: &str = ".log";
/// Stream keys and addresses of peers are nobody else's business.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

pub(super) struct Rotating {
    settings: Settings,
    open: Option<Open>,
}

struct Open {
    file: File,
    /// What tells it from another file of its name.
    id: (u64, u64),
    len: u64,
    began: SystemTime,
}

impl Rotating {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, open: None }
    }

    /// The file that is written.
    pub(super) fn path(&self) -> PathBuf {
        self.settings.dir.join(CURRENT)
    }

    /// Writes whole lines; what could be written of them only in part is taken back.
    ///
    /// # Errors
    /// When nothing was written. The next call begins anew.
    pub(super) fn append(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        let open = match self.open.take().filter(|open| self.is_current(open)) {
            Some(open) => open,
            None => self.open_file(now)?,
        };
        let mut open = if self.is_due(&open, lines.len(), now) { self.rotate(now)? } else { open };
        if let Err(error) = open.file.write_all(lines) {
            // It fails where there is nothing to take back: a device, a disk that is gone.
            let _ = open.file.set_len(open.len);
            return Err(error);
        }
        open.len += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn is_current(&self, open: &Open) -> bool {
        fs::metadata(self.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == open.id)
    }

    fn is_due(&self, open: &Open, more: usize, now: SystemTime) -> bool {
        let Settings { max_size, rotate_after, .. } = &self.settings;
        let age = now.duration_since(open.began).unwrap_or_default();
        let is_old = rotate_after.is_some_and(|limit| age >= limit);
        open.len > 0 && (is_old || open.len + more as u64 > *max_size)
    }

    fn open_file(&self, now: SystemTime) -> io::Result<Open> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.settings.dir)?;
        let file =
            OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(self.path())?;
        let meta = file.metadata()?;
        // A file of an earlier run is as old as it is; where the system doesn't know, it is new.
        let began = meta.created().unwrap_or(now);
        Ok(Open { id: (meta.dev(), meta.ino()), len: meta.len(), began, file })
    }

    /// Puts the file aside. Where that is not possible nothing is written: it would grow without end.
    fn rotate(&self, now: SystemTime) -> io::Result<Open> {
        let mut aside = self.aside()?;
        let next = aside.last().map_or(1, |newest| newest.saturating_add(1));
        fs::rename(self.path(), self.numbered(next))?;
        aside.push(next);
        let kept = self.settings.max_files.saturating_sub(1);
        let surplus = aside.len().saturating_sub(kept);
        for number in aside.into_iter().take(surplus) {
            fs::remove_file(self.numbered(number))?;
        }
        self.open_file(now)
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.settings.dir.join(format!("{PREFIX}{number:08}{SUFFIX}"))
    }

    /// The numbers of the files that were put aside, oldest first.
    fn aside(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.settings.dir)? {
            let name = entry?.file_name();
            let number = |name: &str| -> Option<u32> {
                name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
            };
            numbers.extend(name.to_str().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn rotating(dir: &Path, rotate_after: Option<Duration>) -> Rotating {
        let dir = dir.to_owned();
        Rotating::new(Settings { dir, max_size: 10, rotate_after, max_files: 3 })
    }

    /// What all files hold, oldest first.
    fn contents(dir: &Path) -> Vec<String> {
        let mut names: Vec<PathBuf> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|name| fs::read_to_string(name).unwrap()).collect()
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = rotating(folder.path(), None);
        let now = SystemTime::now();

        for line in ["one\n", "two\n", "three\n", "four\n", "longer than a file\n", "six\n"] {
            file.append(line.as_bytes(), now).unwrap();
        }

        assert_eq!(contents(folder.path()), ["four\n", "longer than a file\n", "six\n"]);
    }

    #[test]
    fn a_file_that_is_old_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = rotating(folder.path(), Some(Duration::from_secs(60)));
        let now = SystemTime::now();

        file.append(b"a\n", now).unwrap();
        file.append(b"b\n", now + Duration::from_secs(50)).unwrap();
        file.append(b"c\n", now + Duration::from_secs(70)).unwrap();

        assert_eq!(contents(folder.path()), ["a\nb\n", "c\n"]);
    }

    #[test]
    fn the_next_run_goes_on_with_the_file() {
        let folder = tempfile::tempdir().unwrap();

        for line in ["a\n", "b\n"] {
            rotating(folder.path(), None).append(line.as_bytes(), SystemTime::now()).unwrap();
        }

        assert_eq!(contents(folder.path()), ["a\nb\n"]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = rotating(folder.path(), None);
        file.append(b"a\n", SystemTime::now()).unwrap();

        fs::rename(folder.path().join(CURRENT), folder.path().join("moved")).unwrap();
        file.append(b"b\n", SystemTime::now()).unwrap();

        assert_eq!(contents(folder.path()), ["a\n", "b\n"]);
    }
}
