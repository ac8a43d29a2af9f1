//! `codegen`: a schema folder becomes code, or is compared with the code that is there.

use std::path::PathBuf;

use anyhow::Context;
use holyfields::registry;
use holyfields::rules::Level;
use holyfields_build::sync::{self, Written};
use holyfields_codegen::{GeneratedFile, MARK, Options};

use serde_json::{Map, Value};

use crate::checked::{Checked, count};
use crate::{Console, Outcome, drift};

/// Turn schemas into code, or check that the code is up to date
///
/// Errors and warnings are shown; an error stops it before anything is written, with exit 100.
#[derive(Clone, Debug, clap::Args)]
pub struct CodegenArgs {
    /// The schema folder
    #[arg(long, value_name = "DIR")]
    pub schemas: PathBuf,

    /// The service registry, registry.yaml
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,

    /// The folder that the code goes to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Write nothing; exit 4 if the folder is not up to date
    #[arg(long)]
    pub check: bool,
}

/// Checks the schemas and, if there is no error among the findings, writes or compares the code.
///
/// `fix` is the command that brings the folder up to date, for the report of `--check`.
///
/// # Errors
///
/// If a file cannot be read or written, or the generator fails.
pub fn run(args: &CodegenArgs, fix: &str) -> anyhow::Result<Outcome> {
    run_on(args, fix, &mut Console::standard())
}

/// The same on any console.
///
/// # Errors
///
/// Those of [`run`].
pub fn run_on(args: &CodegenArgs, fix: &str, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let err = &mut console.err;
    let checked = Checked::for_code(&args.schemas, args.registry.as_deref());
    checked.show(Level::Warning, err)?;
    let summary = checked.summary();
    if checked.has_errors() {
        let verb = if args.check { "compared" } else { "written" };
        err.line(&format!("{summary}; nothing was {verb}"))?;
        return Ok(Outcome::Errors);
    }
    let files = generate(&checked, args.registry.is_some())?;
    if args.check {
        let drift = sync::compare(&args.out, &files).context("the comparison failed")?;
        drift::show(&drift, &args.out, fix, err)?;
        err.line(&format!("{summary}; {} fresh, {} stale", drift.fresh(), drift.stale()))?;
        return Ok(if drift.stale() == 0 { Outcome::Ok } else { Outcome::Stale });
    }
    let written = sync::write(&args.out, &files).context("not everything was written")?;
    err.line(&format!("{summary}; {}", done(&written)))?;
    Ok(Outcome::Ok)
}

fn generate(checked: &Checked, has_registry: bool) -> anyhow::Result<Vec<GeneratedFile>> {
    let mut files = holyfields_codegen::generate(&checked.catalog, &Options::default())
        .context("no code can be generated; this is a fault of the generator")?;
    if has_registry {
        files.push(registry_schema()?);
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(files)
}

/// The JSON Schema of registry.yaml, for editors and for whoever writes one.
fn registry_schema() -> anyhow::Result<GeneratedFile> {
    // The mark stands at the start, where it is looked for.
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), Value::Null),
        ("$comment".to_owned(), format!("{MARK}.").into()),
    ]);
    if let Value::Object(described) = registry::json_schema() {
        schema.extend(described);
    }
    let contents = serde_json::to_string_pretty(&schema)? + "\n";
    Ok(GeneratedFile { path: "registry.schema.json".to_owned(), contents })
}

/// `wrote 3 files, removed 1, 14 unchanged`.
fn done(written: &Written) -> String {
    let mut parts = Vec::new();
    if !written.written.is_empty() {
        parts.push(format!("wrote {}", count(written.written.len(), "file")));
    }
    if !written.removed.is_empty() {
        parts.push(format!("removed {}", written.removed.len()));
    }
    if !written.unchanged.is_empty() {
        parts.push(format!("{} unchanged", written.unchanged.len()));
    }
    parts.join(", ")
}
