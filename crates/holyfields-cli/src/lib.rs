//! The commands on schema folders, for the command line and `cargo xtask` alike.
//!
//! They need no more than the schemas, so they also run when the crate that is generated from them
//! does not compile.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod checked;
pub mod codegen;
pub mod console;
mod drift;
pub mod explain;
pub mod lint;
pub mod rules_page;

pub use codegen::CodegenArgs;
pub use console::Console;
pub use explain::ExplainArgs;
pub use lint::{LintArgs, LintOptions};

use std::process::ExitCode;

/// How a command ended, other than by an error of its own (which exits 1; wrong usage exits 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do, or done. Exits 0.
    Ok,
    /// Generated files are not what the schemas give. Exits 4.
    Stale,
    /// There are errors among the findings. Exits 100.
    Errors,
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Ok => 0,
            Outcome::Stale => 4,
            Outcome::Errors => 100,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(outcome.code())
    }
}
