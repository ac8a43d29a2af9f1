//! `bloodbank.toml` in the schema folder: which rules count how much, and what is allowed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Place};
use crate::rules::{self, Level, Rule};
use crate::source::Sources;
use crate::suggest;

/// The file's name below the schema folder.
pub const FILE: &str = "bloodbank.toml";

/// What a folder asks of the linter. The default asks nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// By the id of a rule: how bad a finding of it is; none switches it off.
    pub levels: BTreeMap<&'static str, Option<Level>>,
    /// Findings that are known and accepted.
    pub allowances: Vec<Allowance>,
    /// Words for the rule on tense.
    pub tense: Tense,
}

/// A finding, or all of a file or folder, that is accepted for a reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    /// The rule.
    pub rule: &'static Rule,
    /// A file below the schema folder, or a folder that ends in `/`.
    pub file: String,
    /// The place, and all below it; empty for the whole file.
    pub pointer: String,
    /// Why; never empty.
    pub reason: String,
    range: Range<usize>,
}

/// Words that the rule on tense should know beside its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tense {
    /// Words that end an event's key.
    pub events: Vec<String>,
    /// Words that end a command's key.
    pub commands: Vec<String>,
}

impl Settings {
    /// The findings that count, each with the level that it has here.
    pub fn apply(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let counts = |mut finding: Finding| {
            finding.level = match self.levels.get(finding.rule.id) {
                Some(level) => (*level)?,
                None => finding.level,
            };
            let is_allowed = self.allowances.iter().any(|allowance| allowance.covers(&finding));
            (!is_allowed).then_some(finding)
        };
        findings.into_iter().filter_map(counts).collect()
    }

    /// HF091: the allowances that none of these findings needs.
    pub fn unused(&self, findings: &[Finding]) -> Vec<Finding> {
        let unused = self
            .allowances
            .iter()
            .filter(|allowance| !findings.iter().any(|finding| allowance.covers(finding)));
        let finding = |allowance: &Allowance| {
            let Allowance { rule, file, .. } = allowance;
            let message = format!("nothing in `{file}` needs this allowance of {}", rule.id);
            let place = Place::bytes(FILE, allowance.range.clone());
            Finding::new(rules::UNUSED_ALLOWANCE, message, place).help("remove it")
        };
        unused.map(finding).collect()
    }
}

impl Allowance {
    fn covers(&self, finding: &Finding) -> bool {
        let place = &finding.places[0];
        let is_file = match self.file.ends_with('/') {
            true => place.file.starts_with(&self.file),
            false => place.file == self.file,
        };
        let below = place.pointer.strip_prefix(self.pointer.as_str());
        finding.rule == self.rule
            && is_file
            && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

/// Reads the settings of a schema folder; the default where it has none.
pub(crate) fn read(schemas: &Path, sources: &mut Sources, findings: &mut Vec<Finding>) -> Settings {
    let path = schemas.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            sources.insert(FILE, text.as_str());
            parse(&text, findings)
        }
        Err(_) if !path.exists() => Settings::default(),
        Err(error) => {
            let message = format!("the settings cannot be read: {error}");
            findings.push(Finding::new(rules::SETTINGS, message, Place::file(FILE)));
            Settings::default()
        }
    }
}

/// Settings from their text; what is wrong with it, all of it, becomes findings.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Settings {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { findings };
    for error in errors {
        reader.fault(error.span().unwrap_or(0..0), error.message().to_owned(), None);
    }
    reader.settings(table.get_ref())
}

struct Reader<'f> {
    findings: &'f mut Vec<Finding>,
}

type Entry<'t> = (&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>);

impl Reader<'_> {
    fn settings(&mut self, table: &DeTable<'_>) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in table {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("levels", DeValue::Table(levels)) => {
                    for (id, level) in levels {
                        settings.levels.extend(self.level((id, level)));
                    }
                }
                ("allow", DeValue::Array(entries)) => {
                    for entry in entries {
                        settings.allowances.extend(self.allowance(entry));
                    }
                }
                ("tense", DeValue::Table(lists)) => settings.tense = self.tense(lists),
                ("levels" | "tense", _) => self.fault(value.span(), "not a table".into(), None),
                ("allow", _) => {
                    self.fault(value.span(), "not a list: write `[[allow]]`".into(), None);
                }
                (other, _) => self.unknown(name.span(), other, &["levels", "allow", "tense"]),
            }
        }
        settings
    }

    fn level(&mut self, (id, level): Entry<'_>) -> Option<(&'static str, Option<Level>)> {
        let rule = self.rule(id.span(), id.get_ref())?;
        let level = match level.get_ref().as_str() {
            Some("off") => None,
            Some("note") => Some(Level::Note),
            Some("warning") => Some(Level::Warning),
            Some("error") => Some(Level::Error),
            _ => {
                let help = "write \"off\", \"note\", \"warning\" or \"error\"";
                self.fault(level.span(), "not a level".into(), Some(help.into()));
                return None;
            }
        };
        if rule.level == Level::Error && level != Some(Level::Error) {
            self.needed(id.span(), rule);
            return None;
        }
        Some((rule.id, level))
    }

    fn allowance(&mut self, entry: &Spanned<DeValue<'_>>) -> Option<Allowance> {
        let Some(table) = entry.get_ref().as_table() else {
            self.fault(entry.span(), "not a table: write `[[allow]]`".into(), None);
            return None;
        };
        let mut texts: BTreeMap<&str, (String, Range<usize>)> = BTreeMap::new();
        for (name, value) in table {
            let known = ["rule", "file", "pointer", "reason"];
            match known.iter().find(|known| **known == name.get_ref().as_ref()) {
                Some(known) => {
                    if let Some(text) = self.text(value) {
                        texts.insert(known, (text, value.span()));
                    }
                }
                None => self.unknown(name.span(), name.get_ref(), &known),
            }
        }
        for name in ["rule", "file", "reason"] {
            if texts.get(name).is_none_or(|(text, _)| text.trim().is_empty()) {
                let help = format!("write `{name} = \"…\"`");
                self.fault(entry.span(), format!("an allowance without a {name}"), Some(help));
            }
        }
        let pointer = texts.remove("pointer").map(|(pointer, _)| pointer).unwrap_or_default();
        let (id, range) = texts.remove("rule")?;
        let ((file, _), (reason, _)) = (texts.remove("file")?, texts.remove("reason")?);
        let rule = self.rule(range.clone(), &id)?;
        if rule.level == Level::Error {
            self.needed(range, rule);
            return None;
        }
        Some(Allowance { rule, file, pointer, reason, range })
    }

    fn tense(&mut self, lists: &DeTable<'_>) -> Tense {
        let mut tense = Tense::default();
        for (name, value) in lists {
            let list = match name.get_ref().as_ref() {
                "events" => &mut tense.events,
                "commands" => &mut tense.commands,
                other => {
                    self.unknown(name.span(), other, &["events", "commands"]);
                    continue;
                }
            };
            match value.get_ref().as_array() {
                Some(words) => list.extend(words.iter().filter_map(|word| self.text(word))),
                None => self.fault(value.span(), "not a list of words".into(), None),
            }
        }
        tense
    }

    fn text(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.fault(value.span(), "not a text".into(), None);
        }
        text
    }

    fn rule(&mut self, range: Range<usize>, id: &str) -> Option<&'static Rule> {
        let rule = rules::find(id);
        if rule.is_none() {
            let near = suggest::nearest(id, rules::all().map(|rule| rule.id));
            let help = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`bloodbank explain` lists the rules".to_owned(),
            };
            self.fault(range, format!("`{id}` is no rule"), Some(help));
        }
        rule
    }

    fn needed(&mut self, range: Range<usize>, rule: &Rule) {
        let message = format!("{} is an error and cannot be lowered or allowed", rule.id);
        let help = "its contracts cannot work; mend them, or take them out of the folder";
        self.fault(range, message, Some(help.to_owned()));
    }

    fn unknown(&mut self, range: Range<usize>, name: &str, known: &[&str]) {
        let near = suggest::nearest(name, known.iter().copied());
        let help = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are `{}`", known.join("`, `")),
        };
        self.fault(range, format!("nothing reads `{name}`"), Some(help));
    }

    fn fault(&mut self, range: Range<usize>, message: String, help: Option<String>) {
        let message = format!("{FILE}: {message}");
        let mut finding = Finding::new(rules::SETTINGS, message, Place::bytes(FILE, range));
        finding.help = help;
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn parsed(text: &str) -> (Settings, Vec<String>) {
        let mut findings = Vec::new();
        let settings = parse(text, &mut findings);
        let mut sources = Sources::default();
        sources.insert(FILE, text);
        let line = |finding: &Finding| {
            let place = finding.places[0].line_column(&sources);
            format!("{}:{} {}", place.line, place.column, finding.message)
        };
        (settings, findings.iter().map(line).collect())
    }

    fn finding(rule: &'static Rule, file: &str, pointer: &str) -> Finding {
        Finding::new(rule, "…", Place::key(file, pointer))
    }

    #[test]
    fn levels_and_allowances_change_what_counts() {
        let (settings, faults) = parsed(
            r#"
[levels]
HF080 = "off"
HF030 = "warning"
[[allow]]
rule = "HF024"
file = "theboard/"
reason = "the paths are older"
[[allow]]
rule = "HF045"
file = "a.json"
pointer = "/properties/x"
reason = "read by the dashboard"
[tense]
events = ["prompt"]
"#,
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(settings.tense.events, ["prompt"]);
        let findings = vec![
            finding(rules::MISSING_DESCRIPTION, "a.json", ""),
            finding(rules::NOT_CARRIED, "a.json", ""),
            finding(rules::KEY_AGAINST_PATH, "theboard/a.json", "/x"),
            finding(rules::UNKNOWN_KEYWORD, "a.json", "/properties/x/y"),
            finding(rules::UNKNOWN_KEYWORD, "a.json", "/properties/xy"),
        ];
        assert!(settings.unused(&findings).is_empty());
        assert_eq!(settings.unused(&findings[..2]).len(), 2);
        let left = settings.apply(findings);
        let left: Vec<_> = left.iter().map(|f| (f.rule.id, f.level)).collect();
        assert_eq!(left, [("HF030", Level::Warning), ("HF045", Level::Warning)]);
    }

    #[test]
    fn every_fault_with_its_place() {
        let (settings, faults) = parsed(
            r#"
levls = 1
[levels]
HF999 = "off"
HF040 = "warning"
HF080 = "loud"
[[allow]]
rule = "HF041"
file = "a.json"
reason = "…"
[[allow]]
rule = "HF080"
reason = " "
why = "…"
[tense]
events = "prompt"
"#,
        );
        assert_eq!(settings, Settings::default());
        expect_test::expect![[r#"
            8:8 bloodbank.toml: HF041 is an error and cannot be lowered or allowed
            14:1 bloodbank.toml: nothing reads `why`
            11:1 bloodbank.toml: an allowance without a file
            11:1 bloodbank.toml: an allowance without a reason
            5:1 bloodbank.toml: HF040 is an error and cannot be lowered or allowed
            6:9 bloodbank.toml: not a level
            4:1 bloodbank.toml: `HF999` is no rule
            2:1 bloodbank.toml: nothing reads `levls`
            16:10 bloodbank.toml: not a list of words"#]]
        .assert_eq(&faults.join("\n"));
    }
}
