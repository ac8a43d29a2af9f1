//! The checks that need a validator: satisfiability, patterns, examples.
//!
//! They stand apart from `holyfields` because build scripts link that, and a validator would cost
//! every build script 21 s.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod annotations;
mod assertion;
mod contracts;
mod contradiction;
mod engine;
mod examples;
mod fixes;
mod metaschema;
mod origin;
mod parallel;
mod patterns;
mod unsatisfiable;

pub use fixes::confirm as confirm_fixes;

use holyfields::Catalog;
use holyfields::finding::{self, Finding};
use holyfields::rules::Level;

/// Runs every check that needs a validator, and gives what they found, sorted.
///
/// `structural` is what [`holyfields::read`] found in the same catalog. One cause makes one
/// finding: what is already known to be wrong there is not found again here.
pub fn check(catalog: &Catalog, structural: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    metaschema::check(&catalog.files, &mut findings);
    patterns::check(&catalog.files, &mut findings);
    let known: Vec<&Finding> = structural.iter().chain(&findings).filter(is_error).collect();
    let of_contracts = contracts::check(catalog, &known);
    findings.extend(of_contracts);
    finding::sort(&mut findings, &catalog.sources);
    findings
}

fn is_error(finding: &&Finding) -> bool {
    finding.level == Level::Error
}
