//! The first Holyfields, with its faults. It is not part of the project.

use std::path::{Path, PathBuf};

use holyfields::rules;

/// The corpus, where this tree has one beside it; without it there is nothing to try.
fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/holyfields");
    if !beside.is_dir() {
        eprintln!("skipped: {} is not there", beside.display());
        return None;
    }
    Some(beside)
}

#[test]
fn eight_contracts_accept_nothing_and_are_reported_once() {
    let Some(corpus) = corpus() else { return };
    let (catalog, structural) = holyfields::read(&corpus, None);
    let closed =
        structural.iter().filter(|finding| finding.rule == rules::CLOSED_INHERITANCE).count();
    assert_eq!(closed, 8);
    let found = holyfields_check::check(&catalog, &structural);
    assert_eq!(found, [], "what is known is not found again");
}

#[test]
fn the_validator_alone_finds_the_same_eight_with_both_places() {
    let Some(corpus) = corpus() else { return };
    let (catalog, _) = holyfields::read(&corpus, None);
    let found = holyfields_check::check(&catalog, &[]);
    assert_eq!(found.len(), 8);
    for finding in &found {
        assert_eq!(finding.rule, rules::UNSATISFIABLE);
        let labels: Vec<_> = finding.places.iter().map(|place| place.label.as_str()).collect();
        let closed = "only the properties declared beside it may be present";
        assert!(labels.contains(&closed), "{labels:?}");
        assert!(labels.iter().any(|label| label.ends_with("must be present")), "{labels:?}");
    }
}
