//! What a check found, and where.

use std::ops::Range;

use serde::Serialize;

use crate::fix::{Edit, Fix, Safety};
use crate::rules::{Level, Rule};
use crate::source::{LineColumn, Part, Sources};

/// One problem: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule that was broken.
    pub rule: &'static Rule,
    /// How bad it is: what the rule says, or the settings of the folder.
    pub level: Level,
    /// One sentence: subject, what is, what should be.
    pub message: String,
    /// The place it is about, then the places it conflicts with.
    pub places: Vec<Place>,
    /// The exact fix or command, where there is one.
    pub help: Option<String>,
    /// The same for `lint --fix`.
    pub fix: Option<Fix>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The file's path below the schema root, or that of registry.yaml.
    pub file: String,
    /// JSON Pointer; empty for the root, and in YAML.
    pub pointer: String,
    /// What this place has to do with the finding; may be empty.
    pub label: String,
    spot: Spot,
}

#[derive(Clone, Debug, PartialEq)]
enum Spot {
    Pointer(Part),
    Bytes(Range<usize>),
    File,
}

impl Place {
    /// The name of the member that a pointer leads to.
    pub fn key(file: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self::new(file, pointer, Spot::Pointer(Part::Key))
    }

    /// The value that a pointer leads to.
    pub fn value(file: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self::new(file, pointer, Spot::Pointer(Part::Value))
    }

    /// A range of bytes, in a text that has no pointers.
    pub fn bytes(file: impl Into<String>, range: Range<usize>) -> Self {
        Self::new(file, "", Spot::Bytes(range))
    }

    /// A file as a whole, also one that could not be read.
    pub fn file(file: impl Into<String>) -> Self {
        Self::new(file, "", Spot::File)
    }

    /// The same place with a label.
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same place, known in a text by bytes, with the pointer it stands for.
    pub fn at_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// The bytes to underline; none where the file as a whole is meant.
    pub fn range(&self, sources: &Sources) -> Option<Range<usize>> {
        let text = sources.text(&self.file)?;
        match &self.spot {
            Spot::Pointer(part) => sources.locate(&self.file, &self.pointer, *part),
            Spot::Bytes(range) => {
                let start = text.floor_char_boundary(range.start);
                Some(start..text.ceil_char_boundary(range.end).max(start))
            }
            Spot::File => None,
        }
    }

    /// Line and column, both from 1.
    pub fn line_column(&self, sources: &Sources) -> LineColumn {
        sources.line_column(&self.file, self.range(sources).map_or(0, |range| range.start))
    }

    fn new(file: impl Into<String>, pointer: impl Into<String>, spot: Spot) -> Self {
        Place { file: file.into(), pointer: pointer.into(), label: String::new(), spot }
    }
}

impl Finding {
    /// A finding at one place.
    pub fn new(rule: &'static Rule, message: impl Into<String>, place: Place) -> Self {
        Finding {
            rule,
            level: rule.level,
            message: message.into(),
            places: vec![place],
            help: None,
            fix: None,
        }
    }

    /// The same with one more place.
    pub fn also(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// The same with what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with what `lint --fix` writes.
    pub fn fix(mut self, safety: Safety, edits: Vec<Edit>) -> Self {
        self.fix = Some(Fix { safety, edits });
        self
    }

    /// The finding as data, with line and column instead of byte ranges.
    pub fn located(&self, sources: &Sources) -> LocatedFinding<'_> {
        let places = self.places.iter().map(|place| LocatedPlace {
            file: &place.file,
            line: place.line_column(sources).line,
            column: place.line_column(sources).column,
            pointer: &place.pointer,
            label: &place.label,
        });
        LocatedFinding {
            rule: self.rule.id,
            level: self.level,
            message: &self.message,
            places: places.collect(),
            help: self.help.as_deref(),
        }
    }
}

/// A finding as JSON output shows it.
#[derive(Clone, Debug, Serialize)]
pub struct LocatedFinding<'a> {
    /// `HF010`.
    pub rule: &'a str,
    /// `note`, `warning` or `error`.
    pub level: Level,
    /// One sentence.
    pub message: &'a str,
    /// At least one.
    pub places: Vec<LocatedPlace<'a>>,
    /// The fix, where there is one.
    pub help: Option<&'a str>,
}

/// A place as JSON output shows it.
#[derive(Clone, Debug, Serialize)]
pub struct LocatedPlace<'a> {
    /// Path below the schema root.
    pub file: &'a str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// JSON Pointer.
    pub pointer: &'a str,
    /// May be empty.
    pub label: &'a str,
}

/// Puts findings into the order in which they are shown: by file, place and rule; no doubles.
pub fn sort(findings: &mut Vec<Finding>, sources: &Sources) {
    findings.sort_by_cached_key(|finding| {
        let place = &finding.places[0];
        let start = place.range(sources).map_or(0, |range| range.start);
        (place.file.clone(), start, finding.rule.id, finding.message.clone())
    });
    findings.dedup();
}

/// Whether code may be generated.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Error)
}
