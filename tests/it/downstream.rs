//! `tests/downstream`: a workspace of its own that uses us from outside.

use crate::scratch::{cargo_in, succeeds, workspace};

#[test]
fn a_crate_with_its_own_schemas_builds_and_passes_its_tests() {
    let folder = workspace().join("tests/downstream");
    let lock = folder.join("Cargo.lock");
    std::fs::copy(workspace().join("Cargo.lock"), &lock).unwrap();
    let report = succeeds(&cargo_in(&folder, &["test"]));
    assert!(report.contains("4 passed"), "{report}");
}
