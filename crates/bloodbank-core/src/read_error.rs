//! Why a folder of schemas gave no contracts.

use std::fmt;

use holyfields::render::{self, Colour};
use holyfields::rules::Level;
use holyfields::{Catalog, Finding};

use crate::Code;

/// A schema folder or its registry has errors, so that there are no contracts to work with.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadError {
    /// Everything that was found, warnings included; at least one error.
    pub findings: Vec<Finding>,
    /// The errors as people read them, with file, line and column.
    rendered: Vec<String>,
}

impl ReadError {
    /// Its code, [`Code::ContractsBroken`].
    pub fn code(&self) -> Code {
        Code::ContractsBroken
    }

    /// Of a catalog that was read with these findings, at least one of which is an error.
    pub fn new(catalog: &Catalog, findings: Vec<Finding>) -> Self {
        let errors = findings.iter().filter(|finding| finding.level == Level::Error);
        let rendered =
            errors.map(|finding| render::render(finding, &catalog.sources, Colour::Off)).collect();
        ReadError { findings, rendered }
    }
}

impl fmt::Display for ReadError {
    /// Each error with its place and source line, then a line that counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.rendered {
            writeln!(f, "{}\n", error.trim_end())?;
        }
        f.write_str(&render::summary(&self.findings))
    }
}

impl std::error::Error for ReadError {}
