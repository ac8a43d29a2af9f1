//! A schema folder with everything that is wrong with it.

use std::io;
use std::path::Path;

use holyfields::finding::{self, Finding};
use holyfields::render;
use holyfields::rules::Level;
use holyfields::{Catalog, read};

use crate::console::Stream;

/// A catalog and all findings, sorted.
pub(crate) struct Checked {
    pub(crate) catalog: Catalog,
    pub(crate) findings: Vec<Finding>,
}

impl Checked {
    /// Reads a folder and runs the rules that say whether code can be made of it.
    pub(crate) fn for_code(schemas: &Path, registry: Option<&Path>) -> Self {
        let (catalog, mut findings) = read(schemas, registry);
        findings.extend(holyfields_check::check(&catalog, &findings));
        Self::settle(catalog, findings)
    }

    /// Reads a folder and runs every rule there is, so that one run tells everything.
    pub(crate) fn for_readers(schemas: &Path, registry: Option<&Path>) -> Self {
        let (catalog, mut findings) = read(schemas, registry);
        findings.extend(holyfields_check::check(&catalog, &findings));
        findings.extend(holyfields::lint::check(&catalog, &findings));
        holyfields_check::confirm_fixes(&catalog, &mut findings);
        findings.extend(catalog.settings.unused(&findings));
        Self::settle(catalog, findings)
    }

    fn settle(catalog: Catalog, findings: Vec<Finding>) -> Self {
        let mut findings = catalog.settings.apply(findings);
        finding::sort(&mut findings, &catalog.sources);
        Checked { catalog, findings }
    }

    pub(crate) fn has_errors(&self) -> bool {
        finding::has_errors(&self.findings)
    }

    /// Shows the findings that are at least so bad.
    pub(crate) fn show(&self, at_least: Level, stream: &mut Stream<'_>) -> io::Result<()> {
        for finding in self.findings.iter().filter(|finding| finding.level >= at_least) {
            let text = render::render(finding, &self.catalog.sources, stream.colour());
            stream.line(&format!("{text}\n"))?;
        }
        Ok(())
    }

    /// `14 contracts, 1 warning, 3 notes`.
    pub(crate) fn summary(&self) -> String {
        let contracts = count(self.catalog.contracts.len(), "contract");
        match render::summary(&self.findings) {
            findings if findings.is_empty() => format!("{contracts}, no findings"),
            findings => format!("{contracts}, {findings}"),
        }
    }
}

/// `1 file`, `3 files`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
