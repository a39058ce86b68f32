//! Searches the plugin folders. Each library found gets a verdict: a candidate, or why not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};

/// Libraries in one folder; a folder with more is reported and left.
const FILES_MAX: usize = 1000;

/// What this host can run; a manifest must agree.
#[derive(Clone, Debug)]
pub struct Requirements {
    pub abi_major: u32,
    pub header_hash: String,
    pub target: String,
}

/// One library file and what came of it.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    pub verdict: Verdict,
}

/// What came of a file.
#[derive(Debug)]
pub enum Verdict {
    /// May be loaded.
    Candidate(Box<Manifest>),
    /// A plugin, but not for this host, or shadowed by another file.
    Refused(Box<Manifest>, String),
    /// Has a manifest symbol that can't be used, or can't be trusted.
    Invalid(String),
}

/// Everything found, and the folders that could not be searched.
#[derive(Debug, Default)]
pub struct Search {
    pub found: Vec<Found>,
    pub problems: Vec<String>,
}

/// Looks at the top level of each folder for libraries of this platform.
pub fn search(folders: &[PathBuf], host: &Requirements) -> Search {
    let mut search = Search::default();
    for folder in folders {
        match libraries(folder) {
            Ok(files) => {
                search.found.extend(files.into_iter().filter_map(|path| examine(path, host)))
            }
            Err(problem) => search.problems.push(problem),
        }
    }
    refuse_duplicates(&mut search.found);
    search
}

fn libraries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let name = folder.display();
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("plugin folder {name}: {error}"))?;
    if others_may_write(folder) {
        return Err(format!(
            "plugin folder {name}: everybody may write to it; run chmod o-w {name}"
        ));
    }
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION)
        })
        .collect();
    files.sort();
    if files.len() > FILES_MAX {
        return Err(format!(
            "plugin folder {name}: holds {} libraries, more than {FILES_MAX}",
            files.len()
        ));
    }
    Ok(files)
}

/// `None` for a library that is not a plugin.
fn examine(path: PathBuf, host: &Requirements) -> Option<Found> {
    let verdict = match manifest::read(&path) {
        Ok(None) => {
            tracing::debug!(event = "plugin.ignored", file = %path.display(), "no manifest: not a plugin");
            return None;
        }
        Err(error) => Verdict::Invalid(error.to_string()),
        Ok(Some(_)) if others_may_write(&path) => {
            Verdict::Invalid("everybody may write to the file".into())
        }
        Ok(Some(manifest)) => match mismatch(&manifest, host) {
            None => Verdict::Candidate(Box::new(manifest)),
            Some(reason) => Verdict::Refused(Box::new(manifest), reason),
        },
    };
    Some(Found { path, verdict })
}

fn mismatch(manifest: &Manifest, host: &Requirements) -> Option<String> {
    let abi = &manifest.abi;
    if manifest.target != host.target {
        return Some(format!("built for {}, this host is {}", manifest.target, host.target));
    }
    if abi.major != host.abi_major {
        return Some(format!(
            "built against ABI v{}, this host has v{}",
            abi.major, host.abi_major
        ));
    }
    if abi.header_hash != host.header_hash {
        return Some(format!(
            "built against headers {}, this host has {}: rebuild it with the headers of plugcast {}",
            abi.header_hash,
            host.header_hash,
            env!("CARGO_PKG_VERSION")
        ));
    }
    None
}

/// Of several files with one id the highest version stays; equal versions: the first found.
fn refuse_duplicates(found: &mut [Found]) {
    let candidates: Vec<_> = found.iter().map(candidate).collect();
    let paths: Vec<_> = found.iter().map(|found| found.path.clone()).collect();
    for (index, found) in found.iter_mut().enumerate() {
        let Some(Some((id, version))) = candidates.get(index) else { continue };
        let better =
            candidates.iter().zip(&paths).enumerate().find_map(|(other, (rival, path))| {
                let (rival_id, rival_version) = rival.as_ref()?;
                let wins = rival_version > version || (rival_version == version && other < index);
                (rival_id == id && wins).then_some(path)
            });
        let Some(better) = better else { continue };
        let reason = format!("{} has the same id and is preferred", better.display());
        if let Verdict::Candidate(manifest) = &found.verdict {
            found.verdict = Verdict::Refused(manifest.clone(), reason);
        }
    }
}

fn candidate(found: &Found) -> Option<(String, Vec<u64>)> {
    let Verdict::Candidate(manifest) = &found.verdict else { return None };
    let numbers =
        manifest.version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    Some((manifest.id.clone(), numbers))
}

fn others_may_write(path: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o002;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & OTHERS_WRITE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, id: &str, version: &str) -> Found {
        let json = format!(
            r#"{{"id":{id:?},"version":{version:?},"abi":{{"major":0,"header_hash":"h"}},"target":"t"}}"#
        );
        let manifest = serde_json::from_str(&json).unwrap();
        Found { path: path.into(), verdict: Verdict::Candidate(Box::new(manifest)) }
    }

    #[test]
    fn the_highest_version_wins_and_the_others_say_so() {
        let mut files = [
            found("a.so", "x", "0.9.0"),
            found("b.so", "x", "0.10.0"),
            found("c.so", "x", "0.10.0"),
        ];

        refuse_duplicates(&mut files);

        assert!(matches!(files[1].verdict, Verdict::Candidate(_)));
        for file in [&files[0], &files[2]] {
            let Verdict::Refused(_, reason) = &file.verdict else { panic!("{file:?}") };
            assert!(reason.contains("b.so"), "{reason}");
        }
    }

    #[test]
    fn the_refusal_of_other_headers_names_both() {
        let host = Requirements { abi_major: 0, header_hash: "mine".into(), target: "t".into() };
        let Verdict::Candidate(manifest) = found("a.so", "x", "1.0.0").verdict else {
            unreachable!()
        };

        let reason = mismatch(&manifest, &host).unwrap();

        assert!(
            reason.contains("headers h,") && reason.contains("mine") && reason.contains("rebuild"),
            "{reason}"
        );
    }

    #[test]
    fn a_folder_that_everybody_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();

        let problem = libraries(folder.path()).unwrap_err();

        assert!(problem.contains("chmod o-w"), "{problem}");
    }
}
