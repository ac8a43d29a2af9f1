//! `explain`: what a rule looks for, why, and what to do.

use std::path::Path;

use anyhow::{Context, bail};
use holyfields::render::{Colour, render};
use holyfields::rules::{self, Content, Rule, Sample};
use holyfields::suggest;

use crate::checked::Checked;
use crate::{Console, Outcome};

/// Say what a lint rule looks for, why, and what to do
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The rule, as HF040; all rules are listed without one
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
}

/// Shows a rule, or the list of all, on standard output.
///
/// # Errors
///
/// If there is no such rule, or nothing can be written.
pub fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    run_on(args, &mut Console::standard())
}

/// The same on any console.
///
/// # Errors
///
/// Those of [`run`].
pub fn run_on(args: &ExplainArgs, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let out = &mut console.out;
    match &args.rule {
        None => {
            for rule in rules::all() {
                out.line(&format!("{}  {:<8} {}", rule.id, rule.level.to_string(), rule.purpose))?;
            }
        }
        Some(id) => {
            let Some(rule) = rules::find(id) else {
                let near = suggest::nearest(&id.to_uppercase(), rules::all().map(|rule| rule.id));
                match near.first() {
                    Some(near) => bail!("`{id}` is no rule; did you mean `{near}`?"),
                    None => bail!("`{id}` is no rule; `explain` without one lists them"),
                }
            };
            out.line(&page(rule, out.colour())?)?;
        }
    }
    Ok(Outcome::Ok)
}

fn page(rule: &Rule, colour: Colour) -> anyhow::Result<String> {
    let mut page =
        format!("{} ({})\n{}\n\n{}\n", rule.id, rule.level, rule.purpose, wrap(rule.why));
    page += &format!("\nWhat is found:\n\n{}", samples(rule.failing));
    for finding in found(rule, colour)? {
        page += &format!("\n{finding}\n");
    }
    page += &format!("\nWhat to do:\n\n{}\n\n{}", wrap(rule.fix), samples(rule.passing));
    Ok(page.trim_end().to_owned())
}

/// The findings of the rule in its own failing sample, as they are shown.
pub(crate) fn found(rule: &Rule, colour: Colour) -> anyhow::Result<Vec<String>> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let checked = check(rule.failing, folder.path())?;
    let sources = &checked.catalog.sources;
    let own = checked.findings.iter().filter(|finding| finding.rule == rule);
    let shown = own.map(|finding| render(finding, sources, colour));
    let prefix = format!("{}/", folder.path().display());
    Ok(shown.map(|text| text.replace(&prefix, "")).collect())
}

/// Every finding in a sample folder, which is written below this one.
pub(crate) fn check(samples: &[Sample], folder: &Path) -> anyhow::Result<Checked> {
    let schemas = folder.join("schemas");
    std::fs::create_dir_all(&schemas)?;
    let mut registry = None;
    for sample in samples {
        let path = match sample.path {
            "registry.yaml" => folder.join(sample.path),
            below => schemas.join(below),
        };
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        match sample.content {
            Content::Text(text) => std::fs::write(&path, text)?,
            Content::Bytes(bytes) => std::fs::write(&path, bytes)?,
            Content::Link(target) => link(target, &path)?,
        }
        if sample.path == "registry.yaml" {
            registry = Some(path);
        }
    }
    Ok(Checked::for_readers(&schemas, registry.as_deref()))
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    std::fs::write(path, target)
}

/// Files, each with its name above it.
fn samples(samples: &[Sample]) -> String {
    samples.iter().map(|sample| format!("{}\n", indented(sample))).collect::<Vec<_>>().join("\n")
}

fn indented(sample: &Sample) -> String {
    let text = text(sample);
    let lines = text.lines().map(|line| format!("    {line}").trim_end().to_owned());
    format!("  {}\n{}", sample.path, lines.collect::<Vec<_>>().join("\n"))
}

/// What a sample's file holds, as people can read it.
pub(crate) fn text(sample: &Sample) -> String {
    match sample.content {
        Content::Text(text) => text.trim_end().to_owned(),
        Content::Bytes(bytes) => format!("{}", bytes.escape_ascii()),
        Content::Link(target) => format!("→ {target}"),
    }
}

/// A paragraph in lines of at most 88 characters.
fn wrap(text: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(last) if line == 0 => last.push_str(word),
            Some(last) if line + 1 + word.chars().count() <= 88 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use holyfields::rules::Level;

    use super::*;

    /// The findings in a sample folder: the ids of their rules, and whether one is an error.
    fn ids(samples: &[Sample]) -> (Vec<&'static str>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let checked = check(samples, folder.path()).unwrap();
        let has_errors = checked.findings.iter().any(|finding| finding.level == Level::Error);
        (checked.findings.iter().map(|finding| finding.rule.id).collect(), has_errors)
    }

    #[test]
    fn every_rule_is_found_in_its_failing_sample_and_not_in_the_passing_one() {
        let mut problems = Vec::new();
        for rule in rules::all() {
            let (failing, _) = ids(rule.failing);
            if !failing.contains(&rule.id) {
                problems.push(format!("{}: not found, but {failing:?}", rule.id));
            }
            let (passing, has_errors) = ids(rule.passing);
            if passing.contains(&rule.id) || has_errors {
                problems.push(format!("{}: the passing sample has {passing:?}", rule.id));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn every_rule_says_what_why_and_what_to_do() {
        for rule in rules::all() {
            assert!(rule.purpose.ends_with('.') && rule.purpose.len() < 100, "{}", rule.id);
            assert!(rule.why.ends_with('.') && rule.why.len() > 60, "{}", rule.id);
            assert!(rule.fix.ends_with('.'), "{}", rule.id);
        }
    }
}
