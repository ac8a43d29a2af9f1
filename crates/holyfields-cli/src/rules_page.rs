//! `docs/rules.md`: every rule, from the table of rules.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use holyfields_build::sync;

use holyfields::render::Colour;
use holyfields::rules::{self, Rule, Sample};
use holyfields_codegen::{GeneratedFile, MARK};

use crate::{Console, Outcome, drift, explain};

/// Writes the page into a folder of documents, or compares the one that is there.
///
/// `fix` is the command that brings it up to date.
///
/// # Errors
///
/// If it cannot be read or written.
pub fn run(docs: &Path, check: bool, fix: &str) -> anyhow::Result<Outcome> {
    let files = [file()?];
    if !check {
        sync::write(docs, &files).with_context(|| format!("{}", docs.display()))?;
        return Ok(Outcome::Ok);
    }
    let drift = sync::compare(docs, &files).with_context(|| format!("{}", docs.display()))?;
    drift::show(&drift, docs, fix, &mut Console::standard().err)?;
    Ok(if drift.stale() == 0 { Outcome::Ok } else { Outcome::Stale })
}

/// The page, to lie in `docs/`.
fn file() -> anyhow::Result<GeneratedFile> {
    let mut page = format!(
        "<!-- {MARK}. -->\n\n# Rules\n\n\
         What `bloodbank lint` looks for; `bloodbank explain HF040` prints one. The examples are \
         tests. Levels can be\nset and findings allowed in `schemas/bloodbank.toml`:\n\n\
         ```toml\n[levels]\nHF080 = \"off\" # or \"note\", \"warning\", \"error\"\n\n\
         [[allow]]\nrule = \"HF024\"\nfile = \"theboard/\" # a file, or a folder that ends in /\n\
         pointer = \"/properties/event_type\" # optional\nreason = \"the paths are older than the keys\"\n\n\
         [tense]\nevents = [\"prompt\"] # words that may end an event's key\n```\n\n\
         | rule | level | what it looks for |\n|---|---|---|\n"
    );
    for rule in rules::all() {
        let anchor = rule.id.to_lowercase();
        let purpose = rule.purpose.replace('|', "\\|");
        writeln!(page, "| [{}](#{anchor}) | {} | {purpose} |", rule.id, rule.level)?;
    }
    for rule in rules::all() {
        section(&mut page, rule)?;
    }
    Ok(GeneratedFile { path: "rules.md".to_owned(), contents: page })
}

fn section(page: &mut String, rule: &Rule) -> anyhow::Result<()> {
    write!(page, "\n## {}\n\n{} ({})\n\n{}\n", rule.id, rule.purpose, rule.level, rule.why)?;
    samples(page, rule.failing)?;
    let found = explain::found(rule, Colour::Off)?;
    write!(page, "\n```text\n{}\n```\n", found.join("\n\n"))?;
    write!(page, "\n{}\n", rule.fix)?;
    samples(page, rule.passing)
}

fn samples(page: &mut String, samples: &[Sample]) -> anyhow::Result<()> {
    for sample in samples {
        let language = sample.path.rsplit('.').next().unwrap_or_default();
        let text = explain::text(sample);
        write!(page, "\n`{}`\n\n```{language}\n{text}\n```\n", sample.path)?;
    }
    Ok(())
}
