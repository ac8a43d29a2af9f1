//! The rules for readers and for what people mean: what code generation can do without.
//!
//! Build scripts do not run them; `bloodbank lint` and `codegen` do.

use crate::catalog::Catalog;
use crate::finding::{self, Finding};

/// Runs every rule that needs no validator and that code generation does not depend on.
///
/// Findings come sorted.
pub fn check(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    finding::sort(&mut findings, &catalog.sources);
    findings
}
