//! The rules, as data. A rule has an id that never changes its meaning.
//!
//! One file per family; the tens of an id are the family.

mod claims;
mod contradictions;
mod examples;
mod files;
mod identity;
mod references;
mod registry;
mod sense;
mod settings;
mod shape;
mod style;

use std::fmt;

use serde::Serialize;

pub use claims::*;
pub use contradictions::*;
pub use examples::*;
pub use files::*;
pub use identity::*;
pub use references::*;
pub use registry::*;
pub use sense::*;
pub use settings::*;
pub use shape::*;
pub use style::*;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; nothing to do.
    Note,
    /// Probably a mistake; code is generated all the same.
    Warning,
    /// No code is generated.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// Something that holyfields looks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `HF` and three digits.
    pub id: &'static str,
    /// How bad a finding of it is, if the settings say nothing else.
    pub level: Level,
    /// What it looks for, in one line.
    pub purpose: &'static str,
    /// Why that matters: what goes wrong for whom if it stays. One short paragraph.
    pub why: &'static str,
    /// What to do about it, and whether `lint --fix` does it.
    pub fix: &'static str,
    /// The smallest schema folder in which it is found.
    pub failing: &'static [Sample],
    /// The same folder put right.
    pub passing: &'static [Sample],
}

/// One file of a sample folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its path below the folder; `registry.yaml` is the registry, `bloodbank.toml` the settings.
    pub path: &'static str,
    /// What is in it.
    pub content: Content,
}

/// What is in a file of a sample folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, as it is shown.
    Text(&'static str),
    /// Something that is no text.
    Bytes(&'static [u8]),
    /// A symbolic link to this path.
    Link(&'static str),
}

impl Sample {
    /// A file with text in it.
    pub const fn text(path: &'static str, text: &'static str) -> Self {
        Sample { path, content: Content::Text(text) }
    }
}

/// The smallest contract, of which most samples are variations.
const MEETING_CREATED: Sample = Sample::text(
    "theboard/meeting.created.v1.json",
    r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
);

/// Every rule, by id.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let families = [
        files::ALL,
        references::ALL,
        identity::ALL,
        shape::ALL,
        sense::ALL,
        examples::ALL,
        registry::ALL,
        contradictions::ALL,
        style::ALL,
        settings::ALL,
        claims::ALL,
    ];
    families.into_iter().flatten().copied()
}

/// The rule of an id.
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(all().is_sorted_by(|a, b| a.id < b.id));
    }
}
