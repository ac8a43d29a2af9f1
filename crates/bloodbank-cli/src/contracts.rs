//! Which contracts a command speaks of: those of a folder, or those built in.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use bloodbank::events;
use bloodbank::{Bundle, BundledContract, Contracts};
use clap::Args;
use holyfields::finding::has_errors;
use holyfields::rules::Level;
use holyfields::{Catalog, Finding, render};
use serde_json::Value;

/// Where contracts come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Source {
    /// Schema folder; `schemas` if there is one here, else the contracts built in.
    #[arg(long, value_name = "DIR", env = "BLOODBANK_SCHEMAS")]
    schemas: Option<PathBuf>,
    /// Service registry; `services/registry.yaml` beside the schema folder if there is one.
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
}

impl Source {
    /// The contracts as data. Broken files are left out, with a word on stderr.
    pub(crate) fn bundle(&self) -> anyhow::Result<Bundle> {
        match self.catalog()? {
            Some(catalog) => Ok(catalog.bundle()),
            None => Ok(events::contracts().bundle().clone()),
        }
    }

    /// The catalog of a folder; none for the contracts built in.
    pub(crate) fn catalog(&self) -> anyhow::Result<Option<Catalog>> {
        let Some(folder) = self.folder()? else { return Ok(None) };
        let registry = self.registry.clone().or_else(|| {
            let beside = folder.parent()?.join("services/registry.yaml");
            beside.is_file().then_some(beside)
        });
        let (catalog, findings) = holyfields::read(&folder, registry.as_deref());
        if let Some(registry) = &registry {
            refuse_broken(registry, &catalog, &findings)?;
        }
        if has_errors(&findings) {
            let summary = render::summary(&findings);
            let folder = folder.display();
            eprintln!("warning: {summary} in {folder}; `bloodbank lint {folder}` shows them");
        }
        Ok(Some(catalog))
    }

    fn folder(&self) -> anyhow::Result<Option<PathBuf>> {
        match &self.schemas {
            Some(folder) if folder.is_dir() => Ok(Some(folder.clone())),
            Some(folder) => bail!("`{}` is not a folder", folder.display()),
            None => Ok(Some(PathBuf::from("schemas")).filter(|folder| folder.is_dir())),
        }
    }
}

/// An error with the place of each fault where the registry is broken: without it there would be no
/// services and no queues, as if all were well.
fn refuse_broken(registry: &Path, catalog: &Catalog, findings: &[Finding]) -> anyhow::Result<()> {
    let file = registry.display().to_string();
    let is_fault = |finding: &&Finding| {
        finding.level == Level::Error && finding.places.iter().any(|place| place.file == file)
    };
    let faults = findings.iter().filter(is_fault);
    let faults: Vec<String> = faults
        .map(|finding| render::render(finding, &catalog.sources, render::Colour::Off))
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the service registry `{file}` is broken\n\n{}", faults.join("\n\n"))
}

/// The contract that a user means by a key and, maybe, a version.
pub(crate) fn find<'c>(
    contracts: &'c Contracts,
    key: &str,
    version: Option<u32>,
) -> anyhow::Result<&'c BundledContract> {
    let route = match version {
        None | Some(1) => key.to_owned(),
        Some(version) => format!("{key}.v{version}"),
    };
    contracts.find(&route).map_err(|unknown| {
        anyhow!("{unknown}\nhelp: `bloodbank list-events` and `list-commands` show every key")
    })
}

/// A payload from its text.
///
/// # Errors
/// If it is no JSON, with the place.
pub(crate) fn parse(name: &str, text: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(text).map_err(|error| {
        // The parser's words hold nothing of the payload, but end with the place once more.
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        let (line, column) = (error.line(), error.column().max(1));
        anyhow!("{name}:{line}:{column}: not JSON: {problem}")
    })
}
