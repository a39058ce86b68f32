//! The invariants of ARCHITECTURE.md, held by ordinary tests.
//!
//! Each check is a function from the repository's files to a list of complaints. It runs on the repository, and beside it
//! on doctored input, so that a check which finds nothing is known to be able to find something.

mod code;
mod dead;
mod deps;
mod docs;
mod leftovers;
mod places;
mod purity;
mod repository;
mod unsafe_code;

/// Fails with every complaint, one a line.
#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} complaint(s):\n  {}",
        complaints.len(),
        complaints.join("\n  ")
    );
}

/// Fails unless there are exactly as many complaints as fragments, each holding its fragment.
#[track_caller]
fn assert_complaints(complaints: &[String], fragments: &[&str]) {
    let matches = complaints.len() == fragments.len()
        && complaints
            .iter()
            .zip(fragments)
            .all(|(complaint, fragment)| complaint.contains(fragment));
    assert!(matches, "expected {fragments:?}, got {complaints:#?}");
}
