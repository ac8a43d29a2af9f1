//! `lint --fix`: text edits, file by file, until there is nothing left to mend.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use holyfields::finding::Finding;
use holyfields::fix::{self, Edit, Safety};
use holyfields::rules;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::checked::Checked;
use crate::console::Stream;

/// One edit can make room for the next; more rounds than this are a fault of a rule.
const ROUNDS: usize = 8;

/// Mends what may be mended and says what was.
///
/// # Errors
///
/// If a file cannot be written.
pub(super) fn run(
    schemas: &Path,
    registry: Option<&Path>,
    worst: Safety,
    err: &mut Stream<'_>,
) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let checked = Checked::for_readers(schemas, registry);
        if !round(&checked, schemas, worst, err)? {
            break;
        }
    }
    Ok(())
}

/// Whether something was mended.
fn round(
    checked: &Checked,
    schemas: &Path,
    worst: Safety,
    err: &mut Stream<'_>,
) -> anyhow::Result<bool> {
    let mut by_file: BTreeMap<&str, Vec<(&Finding, &Edit)>> = BTreeMap::new();
    for finding in &checked.findings {
        let fix = finding.fix.as_ref().filter(|fix| fix.safety <= worst);
        for edit in fix.into_iter().flat_map(|fix| &fix.edits) {
            by_file.entry(&edit.file).or_default().push((finding, edit));
        }
    }
    let mut has_mended = false;
    for (file, edits) in by_file {
        // Where a name stands twice, nobody can say which of the two is meant.
        let is_double = |finding: &Finding| {
            finding.rule == rules::DUPLICATE_NAME && finding.places[0].file == file
        };
        if checked.findings.iter().any(is_double) {
            continue;
        }
        let Some(before) = checked.catalog.sources.text(file) else { continue };
        let path = schemas.join(file);
        if path.is_symlink() {
            err.line(&format!("left alone: {file} is a link"))?;
            continue;
        }
        let after = fix::apply(before, &edits.iter().map(|(_, edit)| *edit).collect::<Vec<_>>());
        if after == before || serde_json::from_str::<Value>(&after).is_err() {
            continue;
        }
        replace(&path, &after).with_context(|| format!("{} cannot be mended", path.display()))?;
        has_mended = true;
        for (finding, edit) in edits {
            let line = finding.places[0].line_column(&checked.catalog.sources).line;
            err.line(&format!("mended {file}:{line} {} ({})", edit.pointer, finding.rule.id))?;
        }
    }
    Ok(has_mended)
}

/// Whole or not at all: written beside it first, then put in its place.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    fs::set_permissions(new.path(), fs::metadata(path)?.permissions())?;
    new.persist(path)?;
    Ok(())
}
