//! Invariant 2: nothing that a build script links depends on the validator, which takes 21 s to
//! build.

use crate::scratch::{cargo_in, succeeds, workspace};

#[test]
fn build_scripts_link_no_validator() {
    // `cargo tree -i` on the root prints nothing for build-dependencies, so ask for the graph of
    // the crate that build scripts depend on.
    let arguments = ["tree", "-p", "holyfields-build", "-e", "normal,build", "--prefix", "none"];
    let tree = succeeds(&cargo_in(workspace(), &arguments));
    let packages: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains(&"typify"), "the graph is not what it was taken for:\n{tree}");
    assert!(!packages.contains(&"jsonschema"), "jsonschema is in the build graph:\n{tree}");
}
