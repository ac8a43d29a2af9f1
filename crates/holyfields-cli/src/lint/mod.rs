//! `lint`: what is wrong with a schema folder, for people and for machines.

mod github;
mod mend;
mod sarif;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use holyfields::fix::Safety;
use holyfields::rules::Level;

use crate::checked::{Checked, count};
use crate::{Console, Outcome};

/// Say what is wrong with a schema folder
///
/// Exits 100 if one of the findings is an error.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LintArgs {
    /// The schema folder; `schemas` if it is not given
    #[arg(id = "folder", value_name = "DIR")]
    pub schemas: Option<PathBuf>,

    /// The service registry; without DIR, `services/registry.yaml` if it is there
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,

    /// What is to be done and how it is shown
    #[command(flatten)]
    pub options: LintOptions,
}

/// What a linter is asked for, wherever its folder is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LintOptions {
    /// Mend what has one right answer
    #[arg(long)]
    pub fix: bool,

    /// Also mend what changes how a contract is called (`$id`)
    #[arg(long = "unsafe", requires = "fix")]
    pub unsafe_fixes: bool,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Fail on these too
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub deny: Option<Deny>,

    /// Show notes too
    #[arg(long)]
    pub notes: bool,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: source lines with carets.
    #[default]
    Text,
    /// One array of findings.
    Json,
    /// Workflow commands, which GitHub Actions shows in the diff.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// What counts as a failure beside errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    /// Warnings.
    Warnings,
}

/// Shows every finding on standard output.
///
/// `again` is how this command is called, for the line that says what it could mend.
///
/// # Errors
///
/// If nothing can be written there, or a file cannot be mended.
pub fn run(args: &LintArgs, again: &str) -> anyhow::Result<Outcome> {
    run_on(args, again, &mut Console::standard())
}

/// The same on any console.
///
/// # Errors
///
/// Those of [`run`].
pub fn run_on(args: &LintArgs, again: &str, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let default_registry = Path::new("services/registry.yaml");
    let schemas = args.schemas.clone().unwrap_or_else(|| "schemas".into());
    let has_default = args.schemas.is_none() && default_registry.exists();
    let registry = args.registry.as_deref().or(has_default.then_some(default_registry));
    let options = &args.options;
    if options.fix {
        let worst = if options.unsafe_fixes { Safety::Unsafe } else { Safety::Safe };
        mend::run(&schemas, registry, worst, &mut console.err)?;
    }
    let checked = Checked::for_readers(&schemas, registry);
    show(&checked, &schemas, options, again, console).context("the findings cannot be shown")?;
    let denied = options.deny.map_or(Level::Error, |Deny::Warnings| Level::Warning);
    let fails = checked.findings.iter().any(|finding| finding.level >= denied);
    Ok(if fails { Outcome::Errors } else { Outcome::Ok })
}

fn show(
    checked: &Checked,
    schemas: &Path,
    options: &LintOptions,
    again: &str,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    let out = &mut console.out;
    match options.format {
        Format::Text => {
            checked.show(if options.notes { Level::Note } else { Level::Warning }, out)?;
            let has_notes = checked.findings.iter().any(|finding| finding.level == Level::Note);
            let hint = if has_notes && !options.notes { " (--notes shows them)" } else { "" };
            out.line(&format!("{}{hint}", checked.summary()))?;
            if let Some(line) = mendable(checked, again) {
                out.line(&line)?;
            }
        }
        Format::Json => {
            let sources = &checked.catalog.sources;
            let located = checked.findings.iter().map(|finding| finding.located(sources));
            out.line(&serde_json::to_string_pretty(&Vec::from_iter(located))?)?;
        }
        Format::Github => {
            for finding in &checked.findings {
                out.line(&github::command(finding, &checked.catalog.sources, schemas))?;
            }
        }
        Format::Sarif => {
            let log = sarif::log(&checked.findings, &checked.catalog.sources, schemas);
            out.line(&serde_json::to_string_pretty(&log)?)?;
        }
    }
    Ok(())
}

/// `2 of them can be mended: bloodbank lint schemas --fix`.
fn mendable(checked: &Checked, again: &str) -> Option<String> {
    let of = |safety| {
        let fixes = checked.findings.iter().filter_map(|finding| finding.fix.as_ref());
        fixes.filter(|fix| fix.safety == safety).count()
    };
    let (safe, risky) = (of(Safety::Safe), of(Safety::Unsafe));
    let command = match (safe, risky) {
        (0, 0) => return None,
        (_, 0) => "--fix",
        _ => "--fix --unsafe",
    };
    let them = count(safe + risky, "finding");
    Some(format!("{them} can be mended: {again} {command}"))
}

/// Where a finding's file lies for whoever called us.
fn real_path(file: &str, schemas: &Path, sources: &holyfields::source::Sources) -> String {
    let below = schemas.join(file);
    // The registry goes by the path it was given with.
    let is_below = below.exists() || sources.text(file).is_none();
    let path = if is_below { below } else { PathBuf::from(file) };
    path.display().to_string().replace('\\', "/")
}
