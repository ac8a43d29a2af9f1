//! `lint`: what is wrong with a schema folder.

use std::path::PathBuf;

use anyhow::Context;
use holyfields::rules::Level;

use crate::checked::Checked;
use crate::{Console, Outcome};

/// Say what is wrong with a schema folder
///
/// Exits 100 if one of the findings is an error.
#[derive(Clone, Debug, clap::Args)]
pub struct LintArgs {
    /// The schema folder
    #[arg(value_name = "DIR")]
    pub schemas: PathBuf,

    /// The service registry, registry.yaml
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,

    /// Print the findings as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Shows every finding on standard output.
///
/// # Errors
///
/// If nothing can be written there.
pub fn run(args: &LintArgs) -> anyhow::Result<Outcome> {
    run_on(args, &mut Console::standard())
}

/// The same on any console.
///
/// # Errors
///
/// If nothing can be written there.
pub fn run_on(args: &LintArgs, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let checked = Checked::read(&args.schemas, args.registry.as_deref());
    if args.json {
        console.out.line(&json(&checked)?)
    } else {
        checked
            .show(Level::Note, &mut console.out)
            .and_then(|()| console.out.line(&checked.summary()))
    }
    .context("the findings cannot be shown")?;
    Ok(if checked.has_errors() { Outcome::Errors } else { Outcome::Ok })
}

fn json(checked: &Checked) -> serde_json::Result<String> {
    let sources = &checked.catalog.sources;
    let located: Vec<_> = checked.findings.iter().map(|finding| finding.located(sources)).collect();
    serde_json::to_string_pretty(&located)
}
