//! Reports of earlier runs: told of once, and removed when there are too many.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::report;
use crate::log::Timestamp;

/// Its time is that of the last start.
const LAST_START: &str = "last-start";
/// The head of a report is no longer.
const HEAD_BYTES_MAX: u64 = 4 << 10;

/// Logs every report that is newer than the last start, marks this start, and leaves the newest `kept` reports.
pub(super) fn tell(folder: &Path, kept: usize) {
    if let Err(error) = try_tell(folder, kept) {
        tracing::warn!(event = "crash.folder", folder = %folder.display(), "{error}");
    }
}

fn try_tell(folder: &Path, kept: usize) -> io::Result<()> {
    let marker = folder.join(LAST_START);
    let last_start = fs::metadata(&marker).and_then(|meta| meta.modified()).ok();
    let reports = reports(folder)?;
    for (path, written) in &reports {
        // Of the same tick as the start is rather told of twice than never.
        if last_start.is_some_and(|start| *written < start) {
            continue;
        }
        let reason = reason(path).unwrap_or_default();
        tracing::error!(
            event = "server.crashed",
            report = %path.display(),
            when = %Timestamp(*written),
            reason,
            "an earlier run of the server crashed"
        );
    }
    // Written anew, so that its time is now.
    fs::write(marker, format!("{}\n", Timestamp(SystemTime::now())))?;
    let surplus = reports.len().saturating_sub(kept);
    reports.iter().take(surplus).try_for_each(|(path, _)| fs::remove_file(path))
}

/// The reports with their times, oldest first: their names begin with the time.
fn reports(folder: &Path) -> io::Result<Vec<(PathBuf, SystemTime)>> {
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == report::EXTENSION) {
            reports.push((entry.path(), entry.metadata()?.modified()?));
        }
    }
    reports.sort();
    Ok(reports)
}

/// What the newest report gives as reason.
pub(super) fn newest_reason(folder: &Path) -> Option<String> {
    reason(&reports(folder).ok()?.pop()?.0)
}

fn reason(report: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(report).ok()?.take(HEAD_BYTES_MAX).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    Some(head.lines().find_map(|line| line.strip_prefix(report::REASON))?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_reports_stay() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..5 {
            let name = format!("2026010{n}T000000.000Z-1.{}", report::EXTENSION);
            fs::write(folder.path().join(name), format!("reason: number {n}\n")).unwrap();
        }

        try_tell(folder.path(), 2).unwrap();

        assert_eq!(reports(folder.path()).unwrap().len(), 2);
        assert_eq!(newest_reason(folder.path()).as_deref(), Some("number 4"));
    }

    #[test]
    fn a_start_leaves_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join(LAST_START);
        fs::write(&marker, "").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(&marker).unwrap().set_modified(long_ago).unwrap();

        try_tell(folder.path(), 2).unwrap();

        assert!(fs::metadata(&marker).unwrap().modified().unwrap() > long_ago);
    }
}
